//! Outcomes: whose, about what, in which order.

use proptest::prelude::*;

use super::*;
use crate::{
    issue::CaKind,
    key::SigningKey,
    testing::{Ca, MINUTE, NOW, ed25519, new_grant, p256},
};

fn request() -> Digest {
    Digest::new([3; 32])
}

fn outcome() -> Outcome {
    Outcome {
        request_digest: request(),
        sequence: 2,
        state: v1::RequestState::Approved,
        time: NOW,
        reason: "allowed by policy".into(),
        rule: "reads".into(),
        approvals_had: 0,
        approvals_needed: 0,
        notified: vec![("bob".into(), NOW)],
        deadlines: v1::Deadlines { work_until_ms: NOW.plus(MINUTE).0, ..Default::default() },
        granted: Some(Granted {
            methods: vec![("a.B/Get".parse().unwrap(), v1::GrantLevel::Auto)],
            targets: vec![TargetName::default_target()],
        }),
        issued: None,
    }
}

fn issued(key: &SigningKey) -> Issued {
    let ca = Ca::new(CaKind::Access);
    Issued {
        certificate: ca.grant_for(key, new_grant(), NOW).certificate,
        doors: vec![(TargetName::default_target(), Door::from_random([4; 17]))],
        anchors: vec![ca.authority.certificate().clone()],
    }
}

fn signed(outcome: &Outcome, key: &SigningKey) -> Vec<u8> {
    make(outcome, key).unwrap().encode_to_vec()
}

fn field(change: impl FnOnce(&mut v1::Outcome)) -> OpenError {
    let key = ed25519();
    let mut message = write::message(&Outcome { issued: Some(issued(&p256())), ..outcome() });
    change(&mut message);
    let payload = message.encode_to_vec();
    let envelope = envelope::sign(PayloadType::Outcome, payload, &[(&key, None)]).unwrap();
    open(&envelope.encode_to_vec(), key.public(), &request(), 0).unwrap_err()
}

#[test]
fn opens_what_it_makes() {
    let key = ed25519();
    for outcome in [outcome(), Outcome { issued: Some(issued(&p256())), granted: None, ..outcome() }] {
        let opened = open(&signed(&outcome, &key), key.public(), &request(), 0).unwrap();
        assert_eq!(opened, outcome);
    }
}

#[test]
fn refuses_another_cluster_key() {
    let refused = open(&signed(&outcome(), &ed25519()), ed25519().public(), &request(), 0);
    assert!(matches!(refused, Err(OpenError::Envelope(EnvelopeError::Unproven { .. }))));
}

#[test]
fn refuses_another_requests_digest() {
    let key = ed25519();
    let refused = open(&signed(&outcome(), &key), key.public(), &Digest::new([4; 32]), 0);
    assert!(matches!(refused, Err(OpenError::OtherRequest)));
}

#[test]
fn refuses_a_lower_sequence_and_takes_the_same_again() {
    let key = ed25519();
    let bytes = signed(&outcome(), &key);
    assert!(open(&bytes, key.public(), &request(), 2).is_ok());
    let refused = open(&bytes, key.public(), &request(), 3);
    assert!(matches!(refused, Err(OpenError::Sequence { seen: 3, got: 2 })));
    let zero = signed(&Outcome { sequence: 0, ..outcome() }, &key);
    assert!(open(&zero, key.public(), &request(), 0).is_err());
}

#[test]
fn refuses_a_certificate_for_another_key() {
    let asked = p256();
    let issued = issued(&asked);
    assert!(issued.check_key(asked.public()).is_ok());
    assert!(matches!(issued.check_key(p256().public()), Err(OpenError::OtherKey)));
    let garbage = Issued { certificate: vec![1, 2, 3].into(), ..issued };
    assert!(matches!(garbage.check_key(asked.public()), Err(OpenError::Field("certificate"))));
}

#[test]
fn refuses_fields_outside_their_grammar() {
    assert!(matches!(field(|m| m.version = 2), OpenError::Field("version")));
    assert!(matches!(field(|m| m.state = 0), OpenError::Field("state")));
    assert!(matches!(field(|m| m.state = 99), OpenError::Field("state")));
    assert!(matches!(field(|m| m.request_digest.truncate(31)), OpenError::Field("request")));
    assert!(matches!(field(|m| m.reason = "a\u{202E}b".into()), OpenError::Field("reason")));
    assert!(matches!(field(|m| m.rule = "a\nb".into()), OpenError::Field("rule")));
    assert!(matches!(field(|m| m.deadlines = None), OpenError::Field("deadlines")));
    assert!(matches!(field(|m| m.notified = vec![v1::Notified::default(); 17]), OpenError::Field(_)));
}

#[test]
fn cuts_long_sentences_instead_of_refusing_what_they_say() {
    let (key, long) = (ed25519(), Outcome { reason: "ä".repeat(9999), ..outcome() });
    let opened = open(&signed(&long, &key), key.public(), &request(), 0).unwrap();
    assert_eq!(opened.reason, "ä".repeat(256));
}

#[test]
fn refuses_grants_and_certificates_outside_their_bounds() {
    fn granted(m: &mut v1::Outcome) -> &mut v1::Granted {
        m.granted.as_mut().unwrap()
    }
    fn issued(m: &mut v1::Outcome) -> &mut v1::IssuedCertificate {
        m.issued.as_mut().unwrap()
    }
    assert!(matches!(field(|m| granted(m).methods[0].level = 0), OpenError::Field("level")));
    assert!(matches!(field(|m| granted(m).methods[0].method = "a.B/*".into()), OpenError::Field("method")));
    assert!(matches!(field(|m| granted(m).targets[0] = "A".into()), OpenError::Field("target")));
    assert!(matches!(field(|m| issued(m).doors[0].door = "x.y".into()), OpenError::Field("door")));
    assert!(matches!(field(|m| issued(m).doors.clear()), OpenError::Field("doors")));
    assert!(matches!(field(|m| issued(m).access_ca_anchors.clear()), OpenError::Field("anchors")));
    assert!(matches!(field(|m| issued(m).access_ca_anchors = vec![vec![]; 3]), OpenError::Field("anchors")));
}

proptest! {
    #[test]
    fn garbage_payloads_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let key = ed25519();
        let envelope = envelope::sign(PayloadType::Outcome, payload, &[(&key, None)]).unwrap();
        prop_assert!(open(&envelope.encode_to_vec(), key.public(), &request(), 0).is_err());
    }
}
