//! Envelopes: what is signed, by whom, and of which kind.

use proptest::prelude::*;

use super::*;
use crate::testing::{ed25519, p256};

const KIND: PayloadType = PayloadType::Receipt;

fn payload_bytes() -> Vec<u8> {
    v1::Receipt { version: 1, ..Default::default() }.encode_to_vec()
}

#[test]
fn the_signed_bytes_are_dsses() {
    assert_eq!(
        pae("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
    assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
}

#[test]
fn opens_what_it_signs() {
    for signer in [ed25519(), p256()] {
        let envelope = sign(KIND, payload_bytes(), &[(&signer, None)]).unwrap();
        let keys = [signer.public().clone()];
        let (message, opened): (v1::Receipt, _) = open(&envelope.encode_to_vec(), KIND, &keys).unwrap();
        assert_eq!(message.version, 1);
        assert_eq!(digest(&opened), digest(&envelope));
        assert_eq!(envelope.signatures[0].keyid, signer.public().keyid());
    }
}

#[test]
fn each_place_takes_exactly_one_payload_type() {
    let signer = ed25519();
    for made in PayloadType::ALL {
        let bytes = sign(made, vec![], &[(&signer, None)]).unwrap().encode_to_vec();
        for wanted in PayloadType::ALL {
            let opened = decode(&bytes, wanted);
            assert_eq!(opened.is_ok(), made == wanted, "{made:?} at {wanted:?}");
        }
    }
}

#[test]
fn a_payload_posed_as_another_type_is_not_signed() {
    let signer = ed25519();
    let mut envelope = sign(PayloadType::Receipt, payload_bytes(), &[(&signer, None)]).unwrap();
    envelope.payload_type = PayloadType::Record.as_str().to_owned();
    assert!(matches!(verify(&envelope, &[signer.public().clone()], 1), Err(EnvelopeError::Unproven { .. })));
}

#[test]
fn a_threshold_counts_distinct_keys() {
    let (one, two, other) = (ed25519(), ed25519(), ed25519());
    let trusted = [one.public().clone(), two.public().clone()];
    let twice = sign(KIND, payload_bytes(), &[(&one, None), (&one, None)]).unwrap();
    assert!(matches!(verify(&twice, &trusted, 2), Err(EnvelopeError::Unproven { got: 1, wanted: 2 })));
    let listed_twice = [one.public().clone(), one.public().clone()];
    assert!(verify(&twice, &listed_twice, 2).is_err());
    let both = sign(KIND, payload_bytes(), &[(&one, None), (&other, None), (&two, None)]).unwrap();
    assert_eq!(verify(&both, &trusted, 2).unwrap().len(), 2);
    assert!(verify(&both, &[other.public().clone()], 2).is_err());
}

#[test]
fn a_threshold_of_zero_still_needs_a_signature() {
    let envelope = sign(KIND, payload_bytes(), &[(&ed25519(), None)]).unwrap();
    assert!(verify(&envelope, &[ed25519().public().clone()], 0).is_err());
    assert!(verify(&envelope, &[], 0).is_err());
}

#[test]
fn the_keyid_is_a_hint_only() {
    let (signer, other) = (ed25519(), ed25519());
    let mut envelope = sign(KIND, payload_bytes(), &[(&signer, None)]).unwrap();
    envelope.signatures[0].keyid = other.public().keyid().to_vec();
    assert!(verify(&envelope, &[signer.public().clone()], 1).is_ok());
    assert!(verify(&envelope, &[other.public().clone()], 1).is_err());
    envelope.signatures[0].keyid.clear();
    assert!(verify(&envelope, &[signer.public().clone()], 1).is_ok());
}

#[test]
fn there_are_one_to_eight_signatures() {
    let signer = ed25519();
    let mut envelope = sign(KIND, payload_bytes(), &[(&signer, None)]).unwrap();
    let signature = envelope.signatures[0].clone();
    envelope.signatures = vec![signature.clone(); 8];
    assert!(decode(&envelope.encode_to_vec(), KIND).is_ok());
    envelope.signatures.push(signature);
    assert!(matches!(decode(&envelope.encode_to_vec(), KIND), Err(EnvelopeError::Count(9))));
    envelope.signatures.clear();
    assert!(matches!(decode(&envelope.encode_to_vec(), KIND), Err(EnvelopeError::Count(0))));
}

#[test]
fn unknown_fields_are_refused_in_envelope_and_payload() {
    let signer = ed25519();
    let keys = [signer.public().clone()];
    let mut bytes = sign(KIND, payload_bytes(), &[(&signer, None)]).unwrap().encode_to_vec();
    prost::encoding::string::encode(99, &"x".to_owned(), &mut bytes);
    assert!(matches!(open::<v1::Receipt>(&bytes, KIND, &keys), Err(EnvelopeError::Malformed(_))));
    let mut payload = payload_bytes();
    prost::encoding::string::encode(99, &"x".to_owned(), &mut payload);
    let bytes = sign(KIND, payload, &[(&signer, None)]).unwrap().encode_to_vec();
    assert!(matches!(open::<v1::Receipt>(&bytes, KIND, &keys), Err(EnvelopeError::Payload(_))));
}

#[test]
fn sizes_are_bounded() {
    let signer = ed25519();
    for kind in PayloadType::ALL {
        let bytes = sign(kind, vec![0; kind.limit()], &[(&signer, None)]).unwrap().encode_to_vec();
        assert!(matches!(decode(&bytes, kind), Err(EnvelopeError::TooLarge(_))), "{kind:?}");
    }
    assert_eq!(PayloadType::Request.limit(), 64 * 1024);
}

#[test]
fn every_kind_names_a_message_that_exists() {
    for kind in PayloadType::ALL {
        let envelope = v1::Envelope { payload_type: kind.as_str().to_owned(), ..Default::default() };
        assert!(payload::<v1::Receipt>(&envelope, kind).is_ok(), "{kind:?}");
    }
}

proptest! {
    #[test]
    fn any_altered_byte_of_payload_or_signature_is_refused(position: prop::sample::Index, bit in 0u8..8) {
        let signer = ed25519();
        let mut envelope = sign(KIND, payload_bytes(), &[(&signer, None)]).unwrap();
        let (payload, sig) = (envelope.payload.len(), envelope.signatures[0].sig.len());
        match position.index(payload + sig) {
            at if at < payload => envelope.payload[at] ^= 1 << bit,
            at => envelope.signatures[0].sig[at - payload] ^= 1 << bit,
        }
        prop_assert!(verify(&envelope, &[signer.public().clone()], 1).is_err());
    }

    #[test]
    fn truncated_and_garbage_envelopes_never_panic(garbage in proptest::collection::vec(any::<u8>(), 0..300), cut: prop::sample::Index) {
        let signer = ed25519();
        let keys = [signer.public().clone()];
        let mut bytes = sign(KIND, payload_bytes(), &[(&signer, None)]).unwrap().encode_to_vec();
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(open::<v1::Receipt>(&bytes, KIND, &keys).is_err());
        prop_assert!(open::<v1::Receipt>(&garbage, KIND, &keys).is_err());
    }
}
