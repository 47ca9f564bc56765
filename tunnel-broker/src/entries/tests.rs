//! Which entry counts, and in what order they are listed.

use super::*;

fn entry(cluster: &str, label: &str, sequence: u64) -> Entry {
    let (cluster, label) = (cluster.parse().unwrap(), label.parse().unwrap());
    Entry { cluster, label, envelope: Envelope::default(), sequence }
}

fn label(text: &str) -> Label {
    text.parse().unwrap()
}

#[test]
fn of_two_entries_of_one_cluster_the_later_counts() {
    for order in [[1, 2], [2, 1]] {
        let mut entries = Entries::default();
        for sequence in order {
            entries.insert(entry(
                "acme/prod",
                &format!("k3v7aaaaa{}", ["x", "a", "b"][sequence]),
                sequence as u64,
            ));
        }
        assert_eq!(entries.named(&"acme/prod".parse().unwrap()).unwrap().sequence, 2);
        assert!(entries.labeled(label("k3v7aaaaab")).is_some());
        assert!(entries.labeled(label("k3v7aaaaaa")).is_none());
    }
}

#[test]
fn entries_are_listed_by_name_from_any_place() {
    let mut entries = Entries::default();
    for (cluster, label) in [("b/b", "k3v7aaaaaa"), ("a/a", "k3v7aaaaab"), ("c/c", "k3v7aaaaac")] {
        entries.insert(entry(cluster, label, 1));
    }
    let names = |after: Option<&str>| {
        let after = after.map(|name| name.parse().unwrap());
        entries.after(after.as_ref()).map(|entry| entry.cluster.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None), ["a/a", "b/b", "c/c"]);
    assert_eq!(names(Some("a/a")), ["b/b", "c/c"]);
    assert_eq!(names(Some("bb/x")), ["c/c"]);
}

#[test]
fn only_entry_files_count_and_a_change_shows() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.pb"), b"a").unwrap();
    std::fs::write(folder.path().join("notes.txt"), b"n").unwrap();
    let before = Fingerprint::of(folder.path()).unwrap();
    assert_eq!(before.paths().count(), 1);
    assert_eq!(Fingerprint::of(folder.path()).unwrap(), before);
    std::fs::write(folder.path().join("a.pb"), b"ab").unwrap();
    assert_ne!(Fingerprint::of(folder.path()).unwrap(), before);
}

#[test]
fn a_folder_that_goes_away_leaves_what_was_read() {
    let before = Fingerprint::of(tempfile::tempdir().unwrap().path()).unwrap();
    let folder = Folder::new(Some("/nowhere".into()), Vec::new());
    assert_eq!(folder.read_if_changed(Path::new("/nowhere"), Some(&before)), Some(before));
}
