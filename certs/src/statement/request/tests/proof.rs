//! Who signed: what is not proven is told apart from what is proven and wrong.

use proptest::prelude::*;

use super::*;
use crate::{
    testing::{DAY, MINUTE, identities, shape},
    verify::VerifyError,
};

fn unproven(result: Result<Opened, OpenError>) -> OpenError {
    let error = result.unwrap_err();
    assert!(!error.is_proven(), "{error:?}");
    error
}

#[test]
fn refuses_another_key_than_the_certificates() {
    let world = World::new();
    let envelope = make(&world.request(), &p256(), &world.certificate).unwrap();
    let error = unproven(world.open(&envelope.encode_to_vec()));
    assert!(matches!(error, OpenError::Envelope(envelope::EnvelopeError::Unproven { .. })));
}

#[test]
fn refuses_an_operator_of_a_foreign_ca() {
    let world = World::new();
    let foreign = Ca::new(CaKind::Operator).operator(world.key.public(), NOW);
    let envelope = make(&world.request(), &world.key, &foreign).unwrap();
    let error = unproven(world.open(&envelope.encode_to_vec()));
    assert!(matches!(error, OpenError::Certificate(VerifyError::UnknownIssuer)));
}

#[test]
fn refuses_certificates_of_other_roles() {
    let world = World::new();
    for identity in identities().iter().filter(|identity| identity.role() != crate::identity::Role::Operator)
    {
        let credential = world.ca.credential(&shape(identity));
        let key: &SigningKey = credential.key();
        let envelope = make(&world.request(), key, credential.certificate()).unwrap();
        let error = unproven(world.open(&envelope.encode_to_vec()));
        assert!(matches!(error, OpenError::Certificate(VerifyError::WrongRole)), "{error:?}");
    }
}

#[test]
fn refuses_a_certificate_of_more_than_12_hours() {
    let world = World::new();
    let mut parameters = shape(&identities()[2]);
    parameters.not_after = crate::testing::date(NOW.plus(DAY));
    let credential = world.ca.credential(&parameters);
    let key: &SigningKey = credential.key();
    let envelope = make(&world.request(), key, credential.certificate()).unwrap();
    let error = unproven(world.open(&envelope.encode_to_vec()));
    assert!(matches!(error, OpenError::Certificate(VerifyError::TooLong)));
}

#[test]
fn refuses_a_certificate_that_had_expired_at_first_receipt() {
    let world = World::new();
    let bytes = world.sign(&world.request().to_message());
    let late = NOW.plus(9 * HOUR);
    let error = unproven(open(&bytes, world.place(), late, late));
    assert!(matches!(error, OpenError::Certificate(VerifyError::Expired)));
    let early = NOW.minus(2 * MINUTE);
    let error = unproven(open(&bytes, world.place(), early, early));
    assert!(matches!(error, OpenError::Certificate(VerifyError::NotYetValid)));
}

#[test]
fn refuses_a_signature_without_a_certificate() {
    let world = World::new();
    let payload = world.request().to_message().encode_to_vec();
    let signers: [(&dyn Signer, _); 1] = [(&world.key, None)];
    let envelope = envelope::sign(PayloadType::Request, payload, &signers).unwrap();
    unproven(world.open(&envelope.encode_to_vec()));
}

#[test]
fn refuses_intermediates_in_place_of_the_certificate() {
    let world = World::new();
    let both = [world.certificate.as_ref(), world.ca.authority.certificate().as_ref()].concat();
    let envelope = make(&world.request(), &world.key, &CertificateDer::from(both)).unwrap();
    let error = unproven(world.open(&envelope.encode_to_vec()));
    assert!(matches!(error, OpenError::Certificate(VerifyError::Malformed)));
}

#[test]
fn refuses_altered_bytes_and_other_kinds() {
    let world = World::new();
    let mut envelope = make(&world.request(), &world.key, &world.certificate).unwrap();
    envelope.payload[10] ^= 1;
    unproven(world.open(&envelope.encode_to_vec()));
    let signers: [(&dyn Signer, _); 1] = [(&world.key, Some(&world.certificate))];
    let outcome = envelope::sign(PayloadType::Outcome, vec![], &signers).unwrap();
    unproven(world.open(&outcome.encode_to_vec()));
}

#[test]
fn refuses_more_than_64_kib() {
    let world = World::new();
    let error = unproven(world.open(&vec![0; 64 * 1024 + 1]));
    assert!(matches!(error, OpenError::Envelope(envelope::EnvelopeError::TooLarge(65_536))));
}

#[test]
fn ignores_unknown_signatures_beside_a_good_one() {
    let world = World::new();
    let stranger = p256();
    let foreign = Ca::new(CaKind::Operator).operator(stranger.public(), NOW);
    let signers: [(&dyn Signer, _); 2] =
        [(&stranger, Some(&foreign)), (&world.key, Some(&world.certificate))];
    let payload = world.request().to_message().encode_to_vec();
    let envelope = envelope::sign(PayloadType::Request, payload, &signers).unwrap();
    assert!(world.open(&envelope.encode_to_vec()).is_ok());
}

#[test]
fn a_proven_refusal_tells_who_asked_and_where_to_answer() {
    let world = World::new();
    let mut message = world.request().to_message();
    message.label = "aaaaaaaaaa".into();
    let error = world.open(&world.sign(&message)).unwrap_err();
    assert!(error.is_proven());
    let OpenError::Refused { operator, reply, fault, .. } = error else { panic!("{error:?}") };
    assert_eq!((operator, *fault), (alice(), Fault::Cluster));
    let reply = reply.unwrap();
    assert_eq!(reply.id.to_string(), message.id);
    assert_eq!(&reply.outcome_key.as_bytes()[..], &message.outcome_key[..]);
}

#[test]
fn an_unknown_field_is_a_proven_refusal_with_an_answer() {
    let world = World::new();
    let mut payload = world.request().to_message().encode_to_vec();
    prost::encoding::string::encode(99, &"x".to_owned(), &mut payload);
    let error = world.open(&world.sign_bytes(payload)).unwrap_err();
    let OpenError::Refused { reply, fault, .. } = error else { panic!("{error:?}") };
    assert!(matches!(*fault, Fault::Payload(text) if text.contains("99")));
    assert!(reply.is_some());
}

proptest! {
    #[test]
    fn garbage_payloads_are_proven_refusals_and_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
        let world = World::new();
        prop_assert!(world.open(&world.sign_bytes(payload)).unwrap_err().is_proven());
    }

    #[test]
    fn garbage_and_truncations_never_panic(garbage in proptest::collection::vec(any::<u8>(), 0..300), cut: prop::sample::Index) {
        let world = World::new();
        let mut bytes = world.sign(&world.request().to_message());
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(!world.open(&bytes).unwrap_err().is_proven());
        prop_assert!(!world.open(&garbage).unwrap_err().is_proven());
    }
}
