//! What is sealed opens in its own place only.

use proptest::prelude::*;

use super::*;

fn label() -> Label {
    Label::from_random([1; 17])
}

#[test]
fn a_request_opens_with_the_key_that_it_names_only() {
    let (current, previous, other) =
        (SealingKey::generate().unwrap(), SealingKey::generate().unwrap(), SealingKey::generate().unwrap());
    let sealed = seal_request(b"envelope", &label(), previous.public()).unwrap();
    assert_eq!(check_shape(&sealed), Ok(label()));
    assert_eq!(open_request(&sealed, &label(), &[&current, &previous]).unwrap(), b"envelope");
    assert_eq!(open_request(&sealed, &label(), &[&current, &other]), Err(SealError::UnknownKey));
    let foreign = Label::from_random([2; 17]);
    assert_eq!(open_request(&sealed, &foreign, &[&previous]), Err(SealError::Foreign("cluster")));
}

#[test]
fn a_request_relabelled_or_altered_does_not_open() {
    let key = SealingKey::generate().unwrap();
    let sealed = seal_request(b"envelope", &label(), key.public()).unwrap();
    let foreign = Label::from_random([2; 17]);
    let relabelled = SealedRequest { label: foreign.to_string(), ..sealed.clone() };
    assert_eq!(open_request(&relabelled, &foreign, &[&key]), Err(SealError::Open));
    for position in 0..sealed.ciphertext.len() {
        let mut altered = sealed.clone();
        let mut bytes = altered.ciphertext.to_vec();
        bytes[position] ^= 1;
        altered.ciphertext = bytes.into();
        assert_eq!(open_request(&altered, &label(), &[&key]), Err(SealError::Open));
        assert_ne!(envelope_id(&altered), envelope_id(&sealed));
    }
    let truncated = SealedRequest { ciphertext: sealed.ciphertext.slice(..10), ..sealed.clone() };
    assert_eq!(open_request(&truncated, &label(), &[&key]), Err(SealError::Open));
}

#[test]
fn an_outcome_opens_for_its_own_request_only() {
    let key = SealingKey::generate().unwrap();
    let (id, other) = (EnvelopeId::new([1; 32]), EnvelopeId::new([2; 32]));
    let sealed = seal_outcome(b"envelope", &id, key.public()).unwrap();
    assert_eq!(open_outcome(&sealed, &id, &key).unwrap(), b"envelope");
    assert_eq!(open_outcome(&sealed, &other, &key), Err(SealError::Foreign("request")));
    let moved = SealedOutcome { envelope_id: other.as_bytes().to_vec(), ..sealed };
    assert_eq!(open_outcome(&moved, &other, &key), Err(SealError::Open));
}

#[test]
fn a_request_is_no_outcome() {
    let key = SealingKey::generate().unwrap();
    let request = seal_request(b"envelope", &label(), key.public()).unwrap();
    let id = envelope_id(&request);
    let posed = SealedOutcome {
        envelope_id: id.as_bytes().to_vec(),
        enc: request.enc,
        ciphertext: request.ciphertext,
    };
    assert_eq!(open_outcome(&posed, &id, &key), Err(SealError::Open));
}

#[test]
fn sizes_are_bounded_on_both_ends() {
    let key = SealingKey::generate().unwrap();
    let largest = vec![7; MAX_ENVELOPE];
    let sealed = seal_request(&largest, &label(), key.public()).unwrap();
    assert_eq!(check_shape(&sealed), Ok(label()));
    assert_eq!(open_request(&sealed, &label(), &[&key]).unwrap(), largest);
    let too_large = vec![7; MAX_ENVELOPE + 1];
    assert_eq!(seal_request(&too_large, &label(), key.public()), Err(SealError::TooLarge(MAX_ENVELOPE)));
    let oversized = SealedRequest { ciphertext: vec![0; MAX_ENVELOPE + 17].into(), ..sealed };
    assert!(check_shape(&oversized).is_err());
    assert_eq!(open_request(&oversized, &label(), &[&key]), Err(SealError::TooLarge(MAX_ENVELOPE)));
}

#[test]
fn the_envelope_id_and_key_id_are_as_the_format_says() {
    let key = SealingKey::generate().unwrap();
    let sealed = seal_request(b"envelope", &label(), key.public()).unwrap();
    assert_eq!(sealed.key_id, crypto::sha256(key.public().as_bytes())[..8]);
    let mut bytes = label().as_str().as_bytes().to_vec();
    bytes.extend(&sealed.key_id);
    bytes.extend(&sealed.enc);
    bytes.extend(&sealed.ciphertext);
    assert_eq!(envelope_id(&sealed).as_bytes(), &crypto::sha256(&bytes));
}

#[test]
fn infos_and_associated_data_are_as_the_format_says() {
    let key = SealingKey::generate().unwrap();
    let open = |info: &[u8], aad: &[u8], enc: &[u8], ciphertext: &[u8]| {
        let secret = HpkePrivateKey::from(key.secret().to_vec());
        HPKE.open(&EncapsulatedSecret(enc.to_vec()), info, aad, ciphertext, &secret).unwrap()
    };
    let request = seal_request(b"envelope", &label(), key.public()).unwrap();
    let aad = [label().as_str().as_bytes(), &request.key_id].concat();
    assert_eq!(open(b"postern/v1/request", &aad, &request.enc, &request.ciphertext), b"envelope");
    let id = envelope_id(&request);
    let outcome = seal_outcome(b"envelope", &id, key.public()).unwrap();
    assert_eq!(open(b"postern/v1/outcome", id.as_bytes(), &outcome.enc, &outcome.ciphertext), b"envelope");
}

#[test]
fn the_broker_refuses_parts_of_other_lengths() {
    let key = SealingKey::generate().unwrap();
    let sealed = seal_request(b"envelope", &label(), key.public()).unwrap();
    for bad in [
        SealedRequest { label: "short".into(), ..sealed.clone() },
        SealedRequest { key_id: vec![0; 7], ..sealed.clone() },
        SealedRequest { enc: vec![0; 33], ..sealed.clone() },
        SealedRequest { ciphertext: vec![0; 15].into(), ..sealed.clone() },
    ] {
        assert!(matches!(check_shape(&bad), Err(SealError::Shape(_))));
    }
}

#[test]
fn refuses_to_seal_to_a_key_of_small_order() {
    let zero = SealingPublicKey::try_from(&[0; 32][..]).unwrap();
    assert_eq!(seal_request(b"envelope", &label(), &zero), Err(SealError::Seal));
}

proptest! {
    #[test]
    fn opens_what_it_seals(envelope in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let key = SealingKey::generate().unwrap();
        let sealed = seal_request(&envelope, &label(), key.public()).unwrap();
        prop_assert_eq!(open_request(&sealed, &label(), &[&key]).unwrap(), envelope);
    }

    #[test]
    fn garbage_never_opens_nor_panics(
        enc in proptest::collection::vec(any::<u8>(), 0..64),
        ciphertext in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let key = SealingKey::generate().unwrap();
        let key_id = key.public().id().as_bytes().to_vec();
        let sealed = SealedRequest { label: label().to_string(), key_id, enc, ciphertext: ciphertext.into() };
        prop_assert!(open_request(&sealed, &label(), &[&key]).is_err());
        let _ = check_shape(&sealed);
    }
}
