//! Trust bundles: who may sign the next, and what it may hold.

use super::*;
use crate::{
    issue::CaKind,
    key::SigningKey,
    testing::{Ca, DAY, HOUR, NOW, ed25519, suffix, vendor},
};

fn bundle(key: &SigningKey) -> TrustBundle {
    TrustBundle {
        vendor: vendor(),
        suffix: suffix(),
        sequence: 7,
        expires: NOW.plus(90 * DAY),
        vendor_keys: vec![key.public().clone()],
        mesh_roots: Ca::new(CaKind::Mesh).roots(),
        operator_roots: Ca::new(CaKind::Operator).roots(),
        release_keys: vec![],
        release_threshold: 0,
        broker_addresses: vec!["broker.initech.example:443".into(), "[::1]:4433".into()],
        allowed_private_addresses: vec!["10.0.0.0/8".into(), "fd00::/8".into()],
    }
}

fn signed(bundle: &TrustBundle, key: &SigningKey) -> Vec<u8> {
    bundle.make(key).unwrap().encode_to_vec()
}

fn field(change: impl FnOnce(&mut v1::TrustBundle)) -> OpenError {
    let key = ed25519();
    let mut message = bundle(&key).to_message();
    change(&mut message);
    let payload = message.encode_to_vec();
    let envelope = envelope::sign(PayloadType::TrustBundle, payload, &[(&key, None)]).unwrap();
    TrustBundle::open(&envelope.encode_to_vec(), &[key.public().clone()], NOW).unwrap_err()
}

#[test]
fn opens_what_it_makes() {
    let key = ed25519();
    let bundle = bundle(&key);
    assert_eq!(TrustBundle::open(&signed(&bundle, &key), &bundle.vendor_keys, NOW).unwrap(), bundle);
}

#[test]
fn refuses_a_foreign_vendor_key() {
    let key = ed25519();
    let bytes = signed(&bundle(&key), &ed25519());
    let refused = TrustBundle::open(&bytes, &[key.public().clone()], NOW);
    assert!(matches!(refused, Err(OpenError::Envelope(EnvelopeError::Unproven { .. }))));
}

#[test]
fn the_next_is_signed_by_a_key_of_the_current_list() {
    let (old, new) = (ed25519(), ed25519());
    let current = bundle(&old);
    let next = TrustBundle { sequence: 8, vendor_keys: vec![new.public().clone()], ..current.clone() };
    assert_eq!(current.open_next(&signed(&next, &old), NOW).unwrap(), next);
    assert!(matches!(current.open_next(&signed(&next, &new), NOW), Err(OpenError::Envelope(_))));
    let third = TrustBundle { sequence: 9, ..next.clone() };
    assert!(next.open_next(&signed(&third, &new), NOW).is_ok());
    assert!(next.open_next(&signed(&third, &old), NOW).is_err(), "a retired key signs nothing");
}

#[test]
fn the_next_has_a_higher_sequence_and_the_same_vendor() {
    let key = ed25519();
    let current = bundle(&key);
    for sequence in [7, 6] {
        let older = TrustBundle { sequence, ..current.clone() };
        let refused = current.open_next(&signed(&older, &key), NOW);
        assert!(matches!(refused, Err(OpenError::NotNewer { current: 7, .. })));
    }
    let foreign = TrustBundle { sequence: 8, vendor: "globex".parse().unwrap(), ..current.clone() };
    assert!(matches!(current.open_next(&signed(&foreign, &key), NOW), Err(OpenError::OtherVendor)));
}

#[test]
fn expires_within_90_days() {
    let key = ed25519();
    let bytes = signed(&bundle(&key), &key);
    let keys = [key.public().clone()];
    let end = NOW.plus(90 * DAY);
    assert!(matches!(TrustBundle::open(&bytes, &keys, end), Err(OpenError::Expired)));
    assert!(matches!(TrustBundle::open(&bytes, &keys, NOW.minus(2 * HOUR)), Err(OpenError::TooLong)));
}

#[test]
fn refuses_fields_outside_their_grammar() {
    assert!(matches!(field(|m| m.version = 0), OpenError::Field("version")));
    assert!(matches!(field(|m| m.vendor = "A".into()), OpenError::Field("vendor")));
    assert!(matches!(field(|m| m.suffix = ".x".into()), OpenError::Field("suffix")));
    assert!(matches!(field(|m| m.vendor_keys.clear()), OpenError::Field("vendor keys")));
    assert!(matches!(field(|m| m.vendor_keys = vec![vec![1; 32]; 9]), OpenError::Field("vendor keys")));
    assert!(matches!(field(|m| m.vendor_keys = vec![vec![1; 31]]), OpenError::Field("vendor keys")));
    assert!(matches!(field(|m| m.mesh_roots.clear()), OpenError::Field("mesh roots")));
    assert!(matches!(field(|m| m.mesh_roots = vec![vec![1]]), OpenError::Field("mesh roots")));
    let five = |roots: &[Vec<u8>]| vec![roots[0].clone(); 5];
    assert!(matches!(field(|m| m.mesh_roots = five(&m.mesh_roots)), OpenError::Field("mesh roots")));
    let error = field(|m| m.operator_roots = five(&m.operator_roots));
    assert!(matches!(error, OpenError::Field("operator roots")));
    assert!(matches!(field(|m| m.operator_roots.clear()), OpenError::Field("operator roots")));
    assert!(matches!(field(|m| m.release_threshold = 1), OpenError::Field("release threshold")));
}

#[test]
fn refuses_addresses_that_are_none() {
    for bad in ["broker", "broker:0", "broker:99999", ":443", "http://b:1", "a b:1", "[::1", "::1:443", "é:1"]
    {
        let error = field(|m| m.broker_addresses = vec![bad.into()]);
        assert!(matches!(error, OpenError::Field("broker addresses")), "{bad}");
    }
    for bad in ["10.0.0.0", "10.0.0.0/33", "x/8", "fd00::/129", "10.0.0.0/-1"] {
        let error = field(|m| m.allowed_private_addresses = vec![bad.into()]);
        assert!(matches!(error, OpenError::Field("allowed private addresses")), "{bad}");
    }
    let error = field(|m| m.allowed_private_addresses = vec!["10.0.0.0/8".into(); 65]);
    assert!(matches!(error, OpenError::Field("allowed private addresses")));
    let error = field(|m| m.broker_addresses = vec!["b:1".into(); 65]);
    assert!(matches!(error, OpenError::Field("broker addresses")));
}
