//! Releases: who may sign them, and what they may hold.

use std::time::Duration;

use super::*;
use crate::{
    key::SigningKey,
    testing::{DAY, HOUR, MINUTE, NOW, ed25519},
};

fn image(container: &str) -> Image {
    Image {
        container: container.parse().unwrap(),
        repository: "registry.initech.example:5000/db/storage-node".parse().unwrap(),
        digest: [7; 32],
    }
}

fn release() -> Release {
    Release {
        product: "initech-db".parse().unwrap(),
        component: "storage".parse().unwrap(),
        name: "2.4.1".parse().unwrap(),
        seq: 41,
        images: vec![image("node"), image("sidecar")],
        min_source_seq: 30,
        configuration_schema: 3,
        expires: NOW.plus(90 * DAY),
    }
}

/// Three release keys.
fn engineers() -> [SigningKey; 3] {
    [ed25519(), ed25519(), ed25519()]
}

fn public(keys: &[SigningKey]) -> Vec<PublicKey> {
    keys.iter().map(|key| key.public().clone()).collect()
}

fn signed(keys: &[&SigningKey]) -> Vec<u8> {
    let keys: Vec<_> = keys.iter().map(|key| *key as &dyn Signer).collect();
    release().make(&keys).unwrap().encode_to_vec()
}

/// What is wrong with a good release after `change`.
fn refusal(change: impl FnOnce(&mut v1::Release)) -> OpenError {
    let key = ed25519();
    let mut message = release().to_message();
    let open = |message: &v1::Release| {
        let envelope =
            envelope::sign(PayloadType::Release, message.encode_to_vec(), &[(&key, None)]).unwrap();
        super::open(&envelope.encode_to_vec(), &[key.public().clone()], 1, NOW)
    };
    assert_eq!(open(&message).unwrap().release, release(), "good before the change");
    change(&mut message);
    open(&message).unwrap_err()
}

fn refused_field(change: impl FnOnce(&mut v1::Release)) -> &'static str {
    match refusal(change) {
        OpenError::Field(field) => field,
        other => panic!("{other:?}"),
    }
}

fn refused_image(change: impl FnOnce(&mut v1::Image)) -> ImageError {
    match refusal(|release| change(&mut release.images[1])) {
        OpenError::Image { number: 2, source } => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn opens_what_enough_keys_signed_and_names_them() {
    let keys = engineers();
    let bytes = signed(&[&keys[2], &keys[0]]);
    let opened = open(&bytes, &public(&keys), 2, NOW).unwrap();
    assert_eq!(opened.release, release());
    assert_eq!(opened.signed_by, [keys[0].public().clone(), keys[2].public().clone()]);
    assert_eq!(opened.words, Words::of(&opened.digest));
    let name = data_encoding::HEXLOWER.encode(&keys[0].public().keyid())[..16].to_owned();
    assert_eq!(opened.signers()[0], name);
}

#[test]
fn too_few_or_foreign_signatures_open_nothing() {
    let keys = engineers();
    let (trusted, foreign) = (public(&keys), ed25519());
    for (signers, wanted) in [
        (vec![&keys[0]], 2),
        (vec![&keys[0], &keys[0]], 2),
        (vec![&keys[0], &foreign], 2),
        (vec![&foreign], 1),
        (vec![&foreign], 0),
        (vec![&keys[0], &keys[1], &keys[2]], 4),
    ] {
        let refused = open(&signed(&signers), &trusted, wanted, NOW).unwrap_err();
        assert!(matches!(refused, OpenError::Envelope(EnvelopeError::Unproven { .. })), "{refused:?}");
    }
    assert!(open(&signed(&[&keys[0], &foreign]), &trusted, 1, NOW).is_ok(), "a foreign one is ignored");
}

#[test]
fn a_vendor_without_release_keys_has_no_releases() {
    let refused = open(&signed(&[&ed25519()]), &[], 0, NOW);
    assert!(matches!(refused, Err(OpenError::NoKeys)));
}

#[test]
fn a_key_named_twice_counts_once() {
    let key = ed25519();
    let twice = vec![key.public().clone(); 2];
    assert!(open(&signed(&[&key, &key]), &twice, 2, NOW).is_err());
}

#[test]
fn it_expires() {
    let key = ed25519();
    let (bytes, keys) = (signed(&[&key]), [key.public().clone()]);
    let end = release().expires;
    assert!(open(&bytes, &keys, 1, end.minus(Duration::from_millis(1))).is_ok());
    assert!(matches!(open(&bytes, &keys, 1, end), Err(OpenError::Expired(at)) if at == end));
    assert_eq!(open_at_any_time(&bytes, &keys, 1).unwrap().release, release());
}

#[test]
fn changed_bytes_are_not_what_was_signed() {
    let key = ed25519();
    let mut envelope = release().make(&[&key]).unwrap();
    let other = Release { seq: 42, ..release() };
    envelope.payload = other.to_message().encode_to_vec();
    assert!(open(&envelope.encode_to_vec(), &[key.public().clone()], 1, NOW).is_err());
}

#[test]
fn another_statement_is_no_release() {
    let key = ed25519();
    let payload = release().to_message().encode_to_vec();
    let envelope = envelope::sign(PayloadType::Record, payload, &[(&key, None)]).unwrap();
    let refused = open(&envelope.encode_to_vec(), &[key.public().clone()], 1, NOW).unwrap_err();
    assert!(matches!(refused, OpenError::Envelope(EnvelopeError::Type { .. })), "{refused:?}");
}

#[test]
fn unknown_fields_are_refused() {
    let key = ed25519();
    let mut payload = release().to_message().encode_to_vec();
    payload.extend([0xf8, 0x07, 0x01]);
    let envelope = envelope::sign(PayloadType::Release, payload, &[(&key, None)]).unwrap();
    let refused = open(&envelope.encode_to_vec(), &[key.public().clone()], 1, NOW).unwrap_err();
    assert!(matches!(refused, OpenError::Envelope(EnvelopeError::Payload(_))), "{refused:?}");
}

#[test]
fn every_field_keeps_its_bounds() {
    for version in [0, 2] {
        assert_eq!(refused_field(|m| m.version = version), "version");
    }
    for bad in ["", "Initech", "a b", "a/b"] {
        assert_eq!(refused_field(|m| m.product = bad.into()), "product");
        assert_eq!(refused_field(|m| m.component = bad.into()), "component");
    }
    for bad in ["", "  ", "2.4\n", "2.4\u{202e}", &"9".repeat(513)] {
        assert_eq!(refused_field(|m| m.name = bad.into()), "name");
    }
    assert_eq!(refused_field(|m| m.release_seq = 0), "sequence");
    assert_eq!(refused_field(|m| m.min_source_seq = 41), "lowest source sequence");
    assert_eq!(refused_field(|m| m.min_source_seq = u64::MAX), "lowest source sequence");
    assert!(matches!(refusal(|m| m.expires_ms = 0), OpenError::Expired(_)));
    assert!(matches!(refusal(|m| m.expires_ms = i64::MIN), OpenError::Expired(_)));
}

#[test]
fn it_has_1_to_64_images_each_container_once() {
    assert_eq!(refused_field(|m| m.images.clear()), "list of 1 to 64 images");
    let many = |count: usize| (0..count).map(|n| image(&format!("c{n}")).to_message()).collect::<Vec<_>>();
    assert_eq!(refused_field(|m| m.images = many(65)), "list of 1 to 64 images");
    let refused = refusal(|m| m.images[1].container = "node".into());
    assert!(matches!(refused, OpenError::Twice(name) if name.as_str() == "node"));
}

#[test]
fn as_many_as_64_images_fit_with_8_signatures() {
    let keys: Vec<_> = (0..8).map(|_| ed25519()).collect();
    let images = (0..64).map(|n| image(&format!("{}{n:02}", "c".repeat(61))));
    let repository = format!("r.example/{}", "x".repeat(245));
    let long = |image| Image { repository: repository.parse().unwrap(), ..image };
    let big = Release { images: images.map(long).collect(), ..release() };
    let signers: Vec<_> = keys.iter().map(|key| key as &dyn Signer).collect();
    let bytes = big.make(&signers).unwrap().encode_to_vec();
    assert_eq!(open(&bytes, &public(&keys), 8, NOW).unwrap().release, big);
}

#[test]
fn an_image_is_named_by_digest_only() {
    for bad in [
        "storage",
        "r.example/storage:2.4",
        "r.example:5000",
        "r.example:x/storage",
        "r.example:0/storage",
        "r.example:99999/storage",
        "r.example/storage@sha256:00",
        "R.example/storage",
        "r.example/Storage",
        "r.example//storage",
        "r.example/storage/",
        "/storage",
        "r.example/../storage",
        "https://r.example/storage",
        "r.example/a b",
        "r..example/storage",
        &format!("r.example/{}", "x".repeat(246)),
    ] {
        assert_eq!(refused_image(|m| m.repository = bad.into()), ImageError::Repository, "{bad}");
    }
    for bad in [vec![], vec![7; 31], vec![7; 33]] {
        assert_eq!(refused_image(|m| m.digest = bad.clone()), ImageError::Digest);
    }
    for bad in ["", "-a", "a-", "A", "a_b", "a.b", &"a".repeat(64)] {
        assert_eq!(refused_image(|m| m.container = bad.into()), ImageError::Container, "{bad}");
    }
}

#[test]
fn an_image_is_read_as_it_is_written() {
    let image = image("node");
    let text = image.to_string();
    assert!(text.starts_with("node=registry.initech.example:5000/db/storage-node@sha256:0707"), "{text}");
    assert_eq!(text.parse(), Ok(image.clone()));
    for (bad, error) in [
        (image.reference(), ImageError::Form),
        ("node".to_owned(), ImageError::Form),
        ("node=r.example/storage:2.4".into(), ImageError::Digest),
        ("node=r.example/storage@sha256:07".into(), ImageError::Digest),
        (format!("node=r.example/storage:2.4@sha256:{}", "07".repeat(32)), ImageError::Repository),
        (text.to_uppercase(), ImageError::Digest),
    ] {
        assert_eq!(bad.parse::<Image>(), Err(error), "{bad}");
    }
}

#[test]
fn signatures_are_added_one_by_one() {
    let keys = engineers();
    let first = release().make(&[&keys[0]]).unwrap();
    let second = add_signature(&first.encode_to_vec(), &keys[1]).unwrap();
    assert_eq!(second.payload, first.payload);
    let opened = open(&second.encode_to_vec(), &public(&keys), 2, NOW).unwrap();
    assert_eq!(opened.signed_by, public(&keys[..2]));
    let again = add_signature(&second.encode_to_vec(), &keys[0]);
    assert!(matches!(again, Err(AddError::Signed)));
}

#[test]
fn no_more_than_8_signatures_are_added() {
    let keys: Vec<_> = (0..8).map(|_| ed25519()).collect();
    let full = signed(&keys.iter().collect::<Vec<_>>());
    assert!(matches!(add_signature(&full, &ed25519()), Err(AddError::Full)));
}

#[test]
fn what_readers_would_refuse_gets_no_signature() {
    let bad = Release { seq: 0, min_source_seq: 0, ..release() };
    let bytes = bad.make(&[&ed25519()]).unwrap().encode_to_vec();
    let refused = add_signature(&bytes, &ed25519());
    assert!(matches!(refused, Err(AddError::Open(OpenError::Field("sequence")))));
    assert!(add_signature(b"x", &ed25519()).is_err());
}

#[test]
fn a_release_of_a_moment_ago_is_still_good() {
    let key = ed25519();
    let soon = Release { expires: NOW.plus(HOUR), ..release() };
    let bytes = soon.make(&[&key]).unwrap().encode_to_vec();
    assert!(open(&bytes, &[key.public().clone()], 1, NOW.plus(59 * MINUTE)).is_ok());
}
