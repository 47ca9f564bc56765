//! Inventory entries: false, older and expired ones.

use super::*;
use crate::{
    key::{SealingKey, SigningKey},
    testing::{DAY, HOUR, NOW, ed25519, label},
};

fn entry() -> Entry {
    Entry {
        cluster: "acme/prod".parse().unwrap(),
        label: label(),
        cluster_key: ed25519().public().clone(),
        sealing_key: *SealingKey::generate().unwrap().public(),
        sequence: 3,
        expires: NOW.plus(180 * DAY),
    }
}

fn signed(entry: &Entry, key: &SigningKey) -> Vec<u8> {
    entry.make(key).unwrap().encode_to_vec()
}

#[test]
fn opens_what_it_makes_and_tells_its_words() {
    let (key, entry) = (ed25519(), entry());
    let envelope = entry.make(&key).unwrap();
    let opened = open(&envelope.encode_to_vec(), &[key.public().clone()], NOW).unwrap();
    assert_eq!(opened.entry, entry);
    assert_eq!(opened.words, Words::of(&envelope::digest(&envelope)));
}

#[test]
fn refuses_a_false_entry() {
    let key = ed25519();
    let refused = open(&signed(&entry(), &ed25519()), &[key.public().clone()], NOW);
    assert!(matches!(refused, Err(OpenError::Envelope(EnvelopeError::Unproven { .. }))));
}

#[test]
fn expires_within_180_days() {
    let key = ed25519();
    let (bytes, keys) = (signed(&entry(), &key), [key.public().clone()]);
    assert!(matches!(open(&bytes, &keys, NOW.plus(180 * DAY)), Err(OpenError::Expired)));
    assert!(matches!(open(&bytes, &keys, NOW.minus(2 * HOUR)), Err(OpenError::TooLong)));
}

#[test]
fn an_older_or_changed_entry_is_refused() {
    let key = ed25519();
    let keys = [key.public().clone()];
    let opened = open(&signed(&entry(), &key), &keys, NOW).unwrap();
    assert!(opened.check_succeeds(2, &Digest::new([0; 32])).is_ok());
    assert!(opened.check_succeeds(3, &opened.digest).is_ok());
    assert!(matches!(opened.check_succeeds(3, &Digest::new([0; 32])), Err(OpenError::Changed)));
    assert!(matches!(opened.check_succeeds(4, &opened.digest), Err(OpenError::Older { seen: 4, got: 3 })));
}

#[test]
fn refuses_fields_outside_their_grammar() {
    let good = v1::InventoryEntry {
        version: 1,
        cluster: "acme/prod".into(),
        label: label().to_string(),
        cluster_key: vec![1; 32],
        sealing_key: vec![1; 32],
        ..Default::default()
    };
    assert!(Entry::read(&good).is_ok());
    let bad = [
        v1::InventoryEntry { version: 2, ..good.clone() },
        v1::InventoryEntry { cluster: "acme".into(), ..good.clone() },
        v1::InventoryEntry { label: "x".into(), ..good.clone() },
        v1::InventoryEntry { cluster_key: vec![1; 31], ..good.clone() },
        v1::InventoryEntry { sealing_key: vec![1; 33], ..good },
    ];
    for message in bad {
        assert!(matches!(Entry::read(&message), Err(OpenError::Field(_))), "{message:?}");
    }
}
