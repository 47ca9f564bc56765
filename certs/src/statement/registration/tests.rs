//! Registrations: fake and swapped ones.

use proptest::prelude::*;

use super::*;
use crate::{
    key::{SealingKey, SigningKey},
    service_account::MAX_KEY_SET,
    testing::{ed25519, label, p256, vendor},
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
    assert!(matches!(refusal(|m| m.jwks = vec![b' '; MAX_KEY_SET + 1]), OpenError::Field("key set")));
    let many = (0..17).map(|n| v1::Fact { name: format!("fact {n}"), value: String::new() });
    assert!(matches!(refusal(|m| m.facts = many.collect()), OpenError::Field("number of facts")));
    let disguised = v1::Fact { name: "a\u{202E}".into(), value: String::new() };
    assert!(matches!(refusal(|m| m.facts = vec![disguised]), OpenError::Field("fact")));
}

#[test]
fn names_its_bundle_and_token_or_neither() {
    let key = ed25519();
    let token = TokenId::from_random([3; 16]);
    let enrolled = Registration { bundle_sha256: Some([1; 32]), token: Some(token), ..registration(&key) };
    let opened = open(&enrolled.make(&key).unwrap().encode_to_vec()).unwrap();
    assert_eq!(opened.registration, enrolled);
    for refused in [
        refusal(|m| m.token_id = token.to_string()),
        refusal(|m| m.bundle_sha256 = vec![1; 32]),
        refusal(|m| (m.bundle_sha256, m.token_id) = (vec![1; 31], token.to_string())),
        refusal(|m| (m.bundle_sha256, m.token_id) = (vec![1; 32], "t".into())),
    ] {
        assert!(matches!(refused, OpenError::Field("enrollment")), "{refused}");
    }
}

#[test]
fn a_fact_has_one_value() {
    let fact = |value: &str| v1::Fact { name: SERVICE_ACCOUNT_ISSUER.into(), value: value.into() };
    let refused = refusal(|m| m.facts = vec![fact("https://ours"), fact("https://theirs")]);
    assert!(matches!(refused, OpenError::Field("fact")));
}

#[test]
fn pins_the_service_account_by_facts_beside_its_key_set() {
    let key = ed25519();
    let fact = |name: &str, value: &str| (name.parse().unwrap(), value.parse().unwrap());
    let mut registration = registration(&key);
    registration.facts =
        vec![fact(SERVICE_ACCOUNT_ISSUER, "https://k8s"), fact(SERVICE_ACCOUNT_SUBJECT, "s")];
    assert_eq!(registration.service_account(&vendor()), None, "no keys to verify with");
    registration.jwks = b"{}".to_vec();
    let expected = registration.service_account(&vendor()).unwrap();
    assert_eq!(expected.audience, format!("postern/initech/{}", label()));
    assert_eq!((expected.issuer.as_str(), expected.subject.as_str()), ("https://k8s", "s"));
    registration.facts.pop();
    assert_eq!(registration.service_account(&vendor()), None, "no subject is any subject");
}

#[test]
fn a_replacement_is_signed_by_the_new_and_the_old_key() {
    let (old, new, thief) = (ed25519(), ed25519(), ed25519());
    let registration = registration(&new);
    let bytes = |envelope: v1::Envelope| envelope.encode_to_vec();
    let honest = bytes(registration.make_replacement(&new, &old).unwrap());
    assert_eq!(open_replacement(&honest, old.public()).unwrap().registration, registration);
    for forged in [
        bytes(registration.make(&new).unwrap()),
        bytes(registration.make(&old).unwrap()),
        bytes(registration.make_replacement(&new, &thief).unwrap()),
        bytes(registration.make_replacement(&thief, &old).unwrap()),
        bytes(registration.make_replacement(&old, &old).unwrap()),
    ] {
        let refused = open_replacement(&forged, old.public());
        assert!(matches!(refused, Err(OpenError::Envelope(_))), "{refused:?}");
    }
    assert!(open_replacement(&honest, thief.public()).is_err(), "not the key in force");
}

#[test]
fn the_signature_of_one_key_counts_once() {
    let (old, new) = (ed25519(), ed25519());
    let mut envelope = registration(&new).make(&new).unwrap();
    envelope.signatures.push(envelope.signatures[0].clone());
    assert!(open_replacement(&envelope.encode_to_vec(), old.public()).is_err());
}

#[test]
fn a_replaced_sealing_key_needs_one_signature_of_the_key_that_stays() {
    let key = ed25519();
    let envelope = registration(&key).make_replacement(&key, &key).unwrap();
    assert_eq!(envelope.signatures.len(), 1);
    assert!(open_replacement(&envelope.encode_to_vec(), key.public()).is_ok());
}

#[test]
fn an_enrollment_is_no_replacement() {
    let (old, new) = (ed25519(), ed25519());
    let token = Some(TokenId::from_random([3; 16]));
    let enrolled = Registration { bundle_sha256: Some([1; 32]), token, ..registration(&new) };
    let bytes = enrolled.make_replacement(&new, &old).unwrap().encode_to_vec();
    assert!(matches!(open_replacement(&bytes, old.public()), Err(OpenError::Field("enrollment"))));
}

proptest! {
    #[test]
    fn garbage_never_panics(garbage in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(open(&garbage).is_err());
    }
}
