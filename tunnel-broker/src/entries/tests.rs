//! Which entry counts, and in what order they are listed.

use tunnel_certs::key::{Algorithm, Signer, SigningKey};

use super::{fingerprint::Fingerprint, *};

fn entry(cluster: &str, label: &str, sequence: u64) -> Entry {
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    Entry {
        cluster: cluster.parse().unwrap(),
        label: label.parse().unwrap(),
        envelope: Envelope::default(),
        digest: Digest::new([sequence as u8; 32]),
        cluster_key: key.public().clone(),
        sequence,
        expires: UnixMillis(sequence as i64),
    }
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
fn of_two_with_one_sequence_the_first_counts() {
    let mut entries = Entries::default();
    entries.insert(entry("a/a", "k3v7aaaaaa", 1));
    entries.insert(Entry { digest: Digest::new([9; 32]), ..entry("a/a", "k3v7aaaaab", 1) });
    assert!(entries.labeled(label("k3v7aaaaaa")).is_some());
    assert!(entries.labeled(label("k3v7aaaaab")).is_none());
}

#[test]
fn only_changed_labels_are_told() {
    let mut before = Entries::default();
    before.insert(entry("a/a", "k3v7aaaaaa", 1));
    before.insert(entry("b/b", "k3v7aaaaab", 1));
    let mut after = before.clone();
    after.insert(entry("b/b", "k3v7aaaaab", 2));
    after.insert(entry("c/c", "k3v7aaaaac", 3));
    let mut changed: Vec<_> = after.changed_since(&before).collect();
    changed.sort();
    assert_eq!(changed, [label("k3v7aaaaab"), label("k3v7aaaaac")]);
    assert_eq!(after.first_end(), Some(UnixMillis(1)));
}
