//! Bundles as they are delivered, damaged and forged; and the two secrets of one.

use proptest::prelude::*;

use super::*;
use crate::{
    key::{Signer, SigningKey},
    statement::registration::Registration,
    testing::{NOW, ed25519, enrollment, label, p256, suffix},
};

fn bundle() -> Bundle {
    enrollment(&ed25519())
}

/// What a bundle with one field changed is refused for.
fn refusal(change: impl FnOnce(&mut v1::EnrollmentBundle)) -> OpenError {
    let mut message = bundle().to_message();
    change(&mut message);
    Bundle::open(&message.encode_to_vec()).unwrap_err()
}

fn same(left: &Bundle, right: &Bundle) -> bool {
    left.encode() == right.encode()
}

#[test]
fn opens_what_it_makes_as_bytes_text_and_file() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, path) = (bundle(), folder.path().join("acme.bundle"));
    bundle.save(&path).unwrap();
    let bytes = bundle.encode();
    for opened in [
        Bundle::open(&bytes).unwrap(),
        Bundle::open(bundle.to_text().as_bytes()).unwrap(),
        Bundle::load(&path).unwrap(),
    ] {
        assert!(same(&opened.bundle, &bundle));
        assert_eq!(opened.sha256, crypto::sha256(&bytes), "of the bytes, whatever was delivered");
    }
    assert!(matches!(bundle.save(&path), Err(OpenError::File(FileError::Exists { .. }))));
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acme.bundle");
    bundle().save(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Bundle::load(&path), Err(OpenError::File(FileError::TooOpen { .. }))));
}

#[test]
fn text_survives_mail_and_shells() {
    let text = bundle().to_text();
    let wrapped: Vec<_> = text.as_bytes().chunks(76).map(<[u8]>::to_vec).collect();
    for spelled in [
        format!("\n  {}\r\n\r\n", text.as_str()).into_bytes(),
        wrapped.join(&b"\r\n"[..]),
        wrapped.join(&b"\n\t "[..]),
        format!("{}==\n", text.as_str()).into_bytes(),
    ] {
        assert!(Bundle::open(&spelled).is_ok());
    }
}

#[test]
fn damaged_text_is_refused() {
    let text = bundle().to_text();
    let half = &text[..text.len() / 2];
    for damaged in [half, "", " \n", "=", "{}", "-----BEGIN POSTERN-----"] {
        assert!(matches!(Bundle::open(damaged.as_bytes()), Err(OpenError::Malformed)), "{damaged}");
    }
    for (from, to) in [("A", "+"), ("A", "="), ("A", "\u{c}\u{1}"), ("A", "é")] {
        assert!(Bundle::open(text.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
    }
}

#[test]
fn no_byte_of_it_can_be_changed_unseen() {
    let bundle = bundle();
    let bytes = bundle.encode();
    for at in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        if let Ok(opened) = Bundle::open(&changed) {
            assert_ne!(opened.sha256, crypto::sha256(&bytes), "byte {at}");
        }
    }
}

#[test]
fn has_one_spelling() {
    let bytes = bundle().encode();
    let unknown = [&bytes[..], &[0x78, 1]].concat();
    assert!(matches!(Bundle::open(&unknown), Err(OpenError::Malformed)), "field 15");
    let twice = [&bytes[..], &bytes[..]].concat();
    assert!(matches!(Bundle::open(&twice), Err(OpenError::Malformed)));
    let long_version = [&[0x08, 0x81, 0x00], &bytes[2..]].concat();
    assert!(matches!(Bundle::open(&long_version), Err(OpenError::Malformed)));
}

#[test]
fn refuses_fields_outside_their_grammar() {
    assert!(matches!(refusal(|m| m.version = 2), OpenError::Malformed));
    for (name, error) in [
        ("vendor", refusal(|m| m.vendor = "Initech".into())),
        ("suffix", refusal(|m| m.suffix = "a b".into())),
        ("broker addresses", refusal(|m| m.broker_addresses.clear())),
        ("broker addresses", refusal(|m| m.broker_addresses = vec!["b1:443".into(); 65])),
        ("broker addresses", refusal(|m| m.broker_addresses.push("http://x".into()))),
        ("vendor keys", refusal(|m| m.vendor_keys.clear())),
        ("vendor keys", refusal(|m| m.vendor_keys = vec![m.vendor_keys[0].clone(); 9])),
        ("vendor keys", refusal(|m| m.vendor_keys[0].truncate(31))),
        ("trust bundle", refusal(|m| m.trust_bundle = None)),
        ("cluster", refusal(|m| m.cluster = "acme".into())),
        ("label", refusal(|m| m.label = "../etc".into())),
        ("kind", refusal(|m| m.kind = 0)),
        ("kind", refusal(|m| m.kind = 9)),
        ("token", refusal(|m| m.token_id.push('a'))),
        ("secret", refusal(|m| m.secret.truncate(31))),
    ] {
        assert!(matches!(error, OpenError::Field(found) if found == name), "{name}: {error}");
    }
}

#[test]
fn the_trust_bundle_within_is_the_vendors() {
    let thief = ed25519();
    let forged = enrollment(&thief).trust_bundle;
    assert!(matches!(refusal(|m| m.trust_bundle = Some(forged)), OpenError::Trust(_)));
    assert!(matches!(refusal(|m| m.vendor = "umbrella".into()), OpenError::OtherVendor));
    assert!(matches!(refusal(|m| m.suffix = "evil.example".into()), OpenError::OtherVendor));
    let entry = |m: &mut v1::EnrollmentBundle| {
        let trust = m.trust_bundle.as_mut().unwrap();
        trust.payload_type = "application/vnd.postern.inventory.v1+protobuf".into();
    };
    assert!(matches!(refusal(entry), OpenError::Trust(_)));
}

#[test]
fn opening_leaves_time_to_the_caller() {
    let bundle = bundle();
    assert!(!bundle.is_expired(NOW));
    assert!(bundle.is_expired(bundle.expires));
    assert_eq!(bundle.trust(NOW).unwrap().suffix, suffix());
    let later = NOW.plus(Bundle::MAX_LIFE * 3);
    assert!(matches!(bundle.trust(later), Err(OpenError::Trust(trust_bundle::OpenError::Expired))));
}

#[test]
fn what_is_too_large_is_not_even_decoded() {
    assert!(matches!(Bundle::open(&vec![b'A'; MAX_TEXT + 1]), Err(OpenError::TooLarge)));
    assert!(matches!(Bundle::open(&vec![b'A'; MAX_TEXT]), Err(OpenError::TooLarge)));
    assert!(matches!(Bundle::open(&vec![8; MAX_BYTES + 1]), Err(OpenError::TooLarge)));
}

#[test]
fn shows_no_secret() {
    let bundle = bundle();
    let shown = format!("{bundle:?} {:?} {:?}", bundle.secret.broker_secret(), bundle.secret.ends_secret());
    assert!(shown.contains("Secret(…)"), "{shown}");
    for secret in [*bundle.secret.as_bytes(), *bundle.secret.ends_secret().as_bytes()] {
        assert!(!shown.contains(format!("{:?}", &secret[..4]).trim_matches(['[', ']'])));
        assert!(!shown.contains(&data_encoding::HEXLOWER.encode(&secret[..4])));
    }
}

#[test]
fn the_brokers_secret_tells_nothing_of_the_ends() {
    let secret = bundle().secret;
    let (broker, ends) = (secret.broker_secret(), secret.ends_secret());
    assert_ne!(broker.as_bytes(), ends.as_bytes());
    assert_ne!(broker.as_bytes(), secret.as_bytes());
    assert_eq!(broker.sha256(), crypto::sha256(broker.as_bytes()));
    assert_eq!(BrokerSecret::from_bytes(*broker.as_bytes()).sha256(), broker.sha256());
    assert_ne!(Secret::random().broker_secret().as_bytes(), Secret::random().broker_secret().as_bytes());
    assert_eq!(BrokerSecret::try_from(&[0; 31][..]).unwrap_err(), SecretError);
}

/// RFC 5869 by hand, so that a change of label, salt or hash is seen.
#[test]
fn the_secrets_are_derived_as_written_down() {
    let secret = bundle().secret;
    let prk = crypto::hmac_sha256(&[0; 32], secret.as_bytes());
    let broker = crypto::hmac_sha256(&prk, b"postern/v1/enroll/broker\x01");
    let ends = crypto::hmac_sha256(&prk, b"postern/v1/enroll/ends\x01");
    assert_eq!(*secret.broker_secret().as_bytes(), broker);
    assert_eq!(*secret.ends_secret().as_bytes(), ends);
}

fn registration(key: &SigningKey) -> v1::Envelope {
    let registration = Registration {
        bundle_sha256: Some([1; 32]),
        token: Some(TokenId::from_random([3; 16])),
        label: label(),
        mesh_csr: p256().csr().unwrap(),
        cluster_key: key.public().clone(),
        sealing_key: *crate::key::SealingKey::generate().unwrap().public(),
        jwks: vec![],
        facts: vec![],
    };
    registration.make(key).unwrap()
}

#[test]
fn a_registration_is_proven_by_the_ends_only() {
    let (secret, key) = (bundle().secret, ed25519());
    let honest = registration(&key);
    let mac = secret.ends_secret().mac(&honest);
    assert_eq!(secret.ends_secret().check(&honest, &mac), Ok(()));
    // A broker that swaps the keys has its own secret only.
    let forged = registration(&ed25519());
    let by_broker = EndsSecret::from_bytes(*secret.broker_secret().as_bytes()).mac(&forged);
    for (registration, mac) in
        [(&forged, &mac[..]), (&forged, &by_broker), (&honest, &mac[..31]), (&honest, &[])]
    {
        assert_eq!(secret.ends_secret().check(registration, mac), Err(MacError));
    }
    assert_eq!(Secret::random().ends_secret().check(&honest, &mac), Err(MacError), "another bundle");
}

proptest! {
    #[test]
    fn garbage_never_panics(garbage in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Bundle::open(&garbage).is_err());
    }

    #[test]
    fn garbage_text_never_panics(garbage in "[A-Za-z0-9_\\-= \n]{0,300}") {
        prop_assert!(Bundle::open(garbage.as_bytes()).is_err());
    }

    #[test]
    fn line_breaks_anywhere_change_nothing(at in 0usize..400, breaks in "[ \r\n\t]{1,4}") {
        let bundle = bundle();
        let mut text = bundle.to_text().to_string();
        text.insert_str(at, &breaks);
        let opened = Bundle::open(text.as_bytes()).unwrap();
        prop_assert!(same(&opened.bundle, &bundle));
    }
}
