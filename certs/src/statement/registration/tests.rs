//! Registrations: fake and swapped ones.

use proptest::prelude::*;

use super::*;
use crate::{
    key::{SealingKey, SigningKey},
    testing::{ed25519, label, p256},
};

fn registration(key: &SigningKey) -> Registration {
    Registration {
        bundle_sha256: None,
        token: None,
        jwks: Vec::new(),
        label: label(),
        mesh_csr: p256().csr().unwrap(),
        cluster_key: key.public().clone(),
        sealing_key: *SealingKey::generate().unwrap().public(),
        facts: vec![("version".parse().unwrap(), "0.1.0".parse().unwrap())],
    }
}

fn refusal(change: impl FnOnce(&mut v1::Registration)) -> OpenError {
    let key = ed25519();
    let bytes = registration(&key).make(&key).unwrap().payload;
    let mut message = v1::Registration::decode(&bytes[..]).unwrap();
    change(&mut message);
    let payload = message.encode_to_vec();
    let envelope = envelope::sign(PayloadType::Registration, payload, &[(&key, None)]).unwrap();
    open(&envelope.encode_to_vec()).unwrap_err()
}

#[test]
fn opens_what_it_makes_and_tells_its_words() {
    let key = ed25519();
    let registration = registration(&key);
    let envelope = registration.make(&key).unwrap();
    let opened = open(&envelope.encode_to_vec()).unwrap();
    assert_eq!(opened.registration, registration);
    assert_eq!(opened.words, Words::of(&envelope::digest(&envelope)));
    assert_eq!(csr::public_key(&registration.mesh_csr), Ok(opened.mesh_key));
}

#[test]
fn is_signed_by_the_cluster_key_that_it_names() {
    let (key, thief) = (ed25519(), ed25519());
    let swapped = registration(&key).make(&thief).unwrap();
    assert!(matches!(open(&swapped.encode_to_vec()), Err(OpenError::Envelope(_))));
}

#[test]
fn a_swapped_key_changes_the_words() {
    let key = ed25519();
    let honest = registration(&key);
    let fake = Registration { sealing_key: *SealingKey::generate().unwrap().public(), ..honest.clone() };
    let words =
        |registration: &Registration| open(&registration.make(&key).unwrap().encode_to_vec()).unwrap().words;
    assert_ne!(words(&honest), words(&fake));
}

#[test]
fn the_mesh_csr_is_signed_by_its_own_key() {
    assert!(matches!(refusal(|m| *m.mesh_csr.last_mut().unwrap() ^= 1), OpenError::Csr(_)));
    assert!(matches!(refusal(|m| m.mesh_csr.clear()), OpenError::Csr(_)));
}

#[test]
fn refuses_fields_outside_their_grammar() {
    assert!(matches!(refusal(|m| m.version = 0), OpenError::Field("version")));
    assert!(matches!(refusal(|m| m.label = "x".into()), OpenError::Field("label")));
    assert!(matches!(refusal(|m| m.cluster_key.truncate(31)), OpenError::Field("cluster key")));
    assert!(matches!(refusal(|m| m.sealing_key.truncate(31)), OpenError::Field("sealing key")));
    assert!(matches!(refusal(|m| m.token_id = "t".into()), OpenError::Field("enrollment")));
    assert!(matches!(refusal(|m| m.facts = vec![v1::Fact::default(); 17]), OpenError::Field(_)));
    let disguised = v1::Fact { name: "a\u{202E}".into(), value: String::new() };
    assert!(matches!(refusal(|m| m.facts = vec![disguised]), OpenError::Field("fact")));
}

proptest! {
    #[test]
    fn garbage_never_panics(garbage in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(open(&garbage).is_err());
    }
}
