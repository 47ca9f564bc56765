//! Keys sign, survive their files, and show nothing of themselves.

use std::{fs, os::unix::fs::PermissionsExt};

use zeroize::Zeroizing;

use super::*;
use crate::file::FileError;

#[test]
fn both_algorithms_sign_what_they_verify() {
    for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
        let key = SigningKey::generate(algorithm).unwrap();
        assert_eq!(key.public().algorithm(), algorithm);
        let signature = key.sign(b"message").unwrap();
        assert_eq!(key.public().verify(b"message", &signature), Ok(()));
        assert!(key.public().verify(b"massage", &signature).is_err());
        let other = SigningKey::generate(algorithm).unwrap();
        assert!(other.public().verify(b"message", &signature).is_err());
    }
}

#[test]
fn keys_survive_their_files() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
        let path = folder.path().join(format!("{algorithm:?}"));
        let key = SigningKey::load_or_create(&path, algorithm).unwrap();
        assert_eq!(SigningKey::load_or_create(&path, algorithm).unwrap().public(), key.public());
        assert!(matches!(key.save(&path), Err(KeyError::File(FileError::Exists { .. }))));
        assert_eq!(PublicKey::from_pem(&key.public().to_pem()).as_ref(), Ok(key.public()));
    }
    let path = folder.path().join("sealing");
    let key = SealingKey::load_or_create(&path).unwrap();
    assert_eq!(SealingKey::load_or_create(&path).unwrap().public(), key.public());
    assert!(key.save(&path).is_err());
}

#[test]
fn an_ed25519_key_has_a_one_line_form() {
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let line = key.public().to_line().unwrap();
    assert!(line.starts_with("ed25519:"), "{line}");
    assert_eq!(line.parse().as_ref(), Ok(key.public()));
    for bad in ["ed25519:", "ed25519:AAAA", line.trim_start_matches("ed25519:"), &format!("{line} ")] {
        assert!(bad.parse::<PublicKey>().is_err(), "{bad}");
    }
    assert_eq!(SigningKey::generate(Algorithm::P256).unwrap().public().to_line(), None);
}

#[test]
fn refuses_a_key_file_that_others_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.key");
    SigningKey::generate(Algorithm::P256).unwrap().save(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(SigningKey::load(&path), Err(KeyError::File(FileError::TooOpen { .. }))));
    assert!(SealingKey::load(&path).is_err());
    assert!(SigningKey::load_or_create(&path, Algorithm::P256).is_err(), "never replaced by a new one");
}

#[test]
fn a_key_of_another_kind_is_refused() {
    let sealing = SealingKey::generate().unwrap();
    let signing = SigningKey::generate(Algorithm::Ed25519).unwrap();
    assert!(matches!(SigningKey::from_pem(&sealing.to_pem()), Err(KeyError::Malformed)));
    assert!(matches!(SealingKey::from_pem(&signing.to_pem()), Err(SealingKeyError::Malformed)));
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    assert!(matches!(SigningKey::from_pem(&p384.serialize_pem()), Err(KeyError::Malformed)));
    assert_eq!(PublicKey::from_pem(&p384.public_key_pem()), Err(PublicKeyError));
}

#[test]
fn refuses_a_point_off_the_curve_and_other_lengths() {
    let key = SigningKey::generate(Algorithm::P256).unwrap();
    let mut spki = key.public().spki().to_vec();
    *spki.last_mut().unwrap() ^= 1;
    assert_eq!(PublicKey::from_spki(&spki), Err(PublicKeyError));
    assert_eq!(PublicKey::from_spki(&key.public().spki()[..90]), Err(PublicKeyError));
    assert_eq!(PublicKey::from_ed25519_raw(&[1; 31]), Err(PublicKeyError));
    assert!(SealingPublicKey::try_from(&[1; 33][..]).is_err());
}

#[test]
fn debug_shows_no_secret() {
    for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
        let key = SigningKey::generate(algorithm).unwrap();
        let shown = format!("{key:?} {key:#?}");
        assert!(shown.contains("SigningKey(PublicKey("), "{shown}");
        refuses_to_contain(&shown, key.pkcs8());
    }
    let key = SealingKey::generate().unwrap();
    let shown = format!("{key:?} {key:#?}");
    assert!(shown.starts_with("SealingKey("), "{shown}");
    refuses_to_contain(&shown, key.secret());
}

/// Neither as hex, base64 nor as a list of numbers: any four bytes in a row would be too many.
fn refuses_to_contain(shown: &str, secret: &[u8]) {
    let tail = &secret[secret.len() - 32..];
    for window in tail.windows(4) {
        assert!(!shown.contains(&data_encoding::HEXLOWER.encode(window)));
        assert!(!shown.contains(format!("{window:?}").trim_matches(['[', ']'])));
    }
    assert!(!shown.contains(&data_encoding::BASE64.encode(secret)[..16]));
}

#[test]
fn an_encrypted_key_opens_with_its_passphrase_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vendor.key");
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    key.save_encrypted(&path, "correct horse battery").unwrap();
    let typed = |passphrase: &str| SigningKey::load_with(&path, || Ok(Zeroizing::new(passphrase.to_owned())));
    assert_eq!(typed("correct horse battery").unwrap().public(), key.public());
    assert!(matches!(typed("correct horse batterx"), Err(KeyError::Passphrase)));
    assert!(matches!(SigningKey::load(&path), Err(KeyError::Encrypted)), "never read as if it were plain");
    let nobody = SigningKey::load_with(&path, || Err(std::io::Error::other("no terminal")));
    assert!(matches!(nobody, Err(KeyError::Ask(_))));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn nobody_is_asked_for_the_passphrase_of_a_plain_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vendor.key");
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    key.save(&path).unwrap();
    let loaded = SigningKey::load_with(&path, || panic!("asked")).unwrap();
    assert_eq!(loaded.public(), key.public());
}

#[test]
fn a_weak_passphrase_or_an_existing_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vendor.key");
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    for weak in ["", "12345678901"] {
        assert!(matches!(key.save_encrypted(&path, weak), Err(KeyError::Weak)));
    }
    assert!(!path.exists());
    key.save(&path).unwrap();
    let refused = key.save_encrypted(&path, "correct horse battery");
    assert!(matches!(refused, Err(KeyError::File(FileError::Exists { .. }))));
}
