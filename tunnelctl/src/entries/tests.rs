use std::time::Duration;

use tempfile::TempDir;
use tunnel_certs::{
    key::{Algorithm, Signer, SigningKey},
    statement::inventory::{Entry, OpenError},
};

use super::*;
use crate::testing::{Cluster, NOW, Vendor};

struct Scene {
    vendor: Vendor,
    entry: Entry,
    entries: Entries,
    home: TempDir,
}

fn scene() -> Scene {
    let vendor = Vendor::new();
    let home = tempfile::tempdir().unwrap();
    let entries = Entries::new(&home.path().join("entries"), vec![vendor.key.public().clone()]);
    Scene { entry: Cluster::new(&vendor).entry(), entries, vendor, home }
}

impl Scene {
    fn accept(&self, entry: &Entry) -> Result<inventory::Opened, Error> {
        self.entries.accept(&self.vendor.listed(entry), NOW)
    }

    fn with_sequence(&self, sequence: u64) -> Entry {
        Entry { sequence, ..self.entry.clone() }
    }
}

#[test]
fn takes_an_entry_again_and_newer_ones() {
    let scene = scene();
    for sequence in [1, 1, 7] {
        assert_eq!(scene.accept(&scene.with_sequence(sequence)).unwrap().entry.sequence, sequence);
    }
}

#[test]
fn keeps_the_newest_entry_that_was_vouched_for_over_or_not() {
    let scene = scene();
    let cluster = &scene.entry.cluster;
    assert!(scene.entries.vouched(cluster).unwrap().is_none());
    let first = scene.accept(&scene.with_sequence(1)).unwrap();
    assert!(scene.entries.vouched(cluster).unwrap().is_none(), "it was only looked at");
    scene.entries.compared(&first).unwrap();
    assert_eq!(scene.entries.vouched(cluster).unwrap().unwrap(), first);
    let newer = scene.with_sequence(7);
    let signed = newer.make(&scene.vendor.key).unwrap();
    let opened = scene.entries.check(&signed, NOW).unwrap();
    scene.entries.vouch(&opened, &signed).unwrap();
    assert_eq!(scene.entries.vouched(cluster).unwrap().unwrap().entry, newer);
    assert_eq!(scene.entries.clusters().unwrap(), std::slice::from_ref(cluster));
}

#[test]
fn an_entry_that_was_changed_where_it_is_kept_is_not_given_back() {
    let scene = scene();
    let opened = scene.accept(&scene.entry).unwrap();
    scene.entries.compared(&opened).unwrap();
    let path = scene.home.path().join("entries/acme/prod.json");
    let kept: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let with = |entry: &v1::Envelope| {
        let mut changed = kept.clone();
        changed["entry"] = BASE64.encode(&entry.encode_to_vec()).into();
        folder::write(&path, changed.to_string().as_bytes()).unwrap();
        scene.entries.vouched(&scene.entry.cluster)
    };
    let older = scene.with_sequence(0).make(&scene.vendor.key).unwrap();
    assert!(matches!(with(&older), Err(Error::Damaged(_))));
    let forged = scene.entry.make(&SigningKey::generate(Algorithm::Ed25519).unwrap()).unwrap();
    assert!(matches!(with(&forged), Err(Error::Kept(_))));
}

#[test]
fn refuses_an_entry_older_than_the_last_seen() {
    let scene = scene();
    scene.accept(&scene.with_sequence(7)).unwrap();
    let older = scene.accept(&scene.with_sequence(6));
    assert!(matches!(older, Err(Error::Entry(OpenError::Older { seen: 7, got: 6 }))));
}

#[test]
fn refuses_another_entry_of_the_same_sequence() {
    let scene = scene();
    scene.accept(&scene.entry).unwrap();
    let swapped = Entry { cluster_key: scene.vendor.key.public().clone(), ..scene.entry.clone() };
    assert!(matches!(scene.accept(&swapped), Err(Error::Entry(OpenError::Changed))));
}

#[test]
fn refuses_an_expired_entry() {
    let scene = scene();
    let said = scene.vendor.listed(&scene.entry);
    let later = scene.entry.expires.plus(Duration::from_millis(1));
    assert!(matches!(scene.entries.accept(&said, later), Err(Error::Entry(OpenError::Expired))));
}

#[test]
fn refuses_an_entry_that_no_pinned_key_signed() {
    let scene = scene();
    let forger = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let mut said = scene.vendor.listed(&scene.entry);
    said.entry = Some(scene.entry.make(&forger).unwrap());
    assert!(matches!(scene.entries.accept(&said, NOW), Err(Error::Entry(OpenError::Envelope(_)))));
}

#[test]
fn refuses_the_entry_of_another_cluster() {
    let scene = scene();
    let said = scene.vendor.listed(&scene.entry);
    let asked = "acme/dev".parse().unwrap();
    assert!(matches!(scene.entries.accept_as(&asked, &said, NOW), Err(Error::OtherCluster(_))));
    let renamed = operators::Cluster { cluster: "acme/dev".into(), ..said };
    assert!(matches!(scene.entries.accept(&renamed, NOW), Err(Error::OtherCluster(_))));
    assert!(matches!(scene.entries.accept_as(&asked, &renamed, NOW), Err(Error::OtherCluster(_))));
}

#[test]
fn refuses_a_label_that_is_not_the_entrys() {
    let scene = scene();
    let said = operators::Cluster { label: "bbbbbbbbbb".into(), ..scene.vendor.listed(&scene.entry) };
    assert!(matches!(scene.entries.accept(&said, NOW), Err(Error::OtherLabel)));
}

#[test]
fn refuses_a_cluster_without_an_entry() {
    let scene = scene();
    let said = operators::Cluster { entry: None, ..scene.vendor.listed(&scene.entry) };
    assert!(matches!(scene.entries.accept(&said, NOW), Err(Error::Missing)));
}

#[test]
fn a_damaged_memory_is_not_forgotten() {
    let scene = scene();
    scene.accept(&scene.entry).unwrap();
    let path = scene.home.path().join("entries/acme/prod.json");
    folder::write(&path, b"{").unwrap();
    assert!(matches!(scene.accept(&scene.entry), Err(Error::Damaged(_))));
}
