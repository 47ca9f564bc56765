//! Vendor keys behind a passphrase, from a file; the terminal is tried by hand.

use std::{fs, os::unix::fs::PermissionsExt};

use super::*;

/// A passphrase file, 0600.
fn passphrase(folder: &Folder, name: &str, text: &str) {
    fs::write(folder.path(name), text).unwrap();
    fs::set_permissions(folder.path(name), fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn an_encrypted_vendor_key_signs_with_its_passphrase_file() {
    let folder = Folder::new();
    folder.vendor();
    passphrase(&folder, "words", "correct horse battery\n");
    folder.run("key vendor --out @safe.key --passphrase-file @words").unwrap();
    let line = BUNDLE.replace("vendor.key", "safe.key").replace("vendor.pub", "safe.pub");
    folder.run(&format!("{line} --passphrase-file @words")).unwrap();
    let key = PublicKey::from_pem(&String::from_utf8(folder.read("safe.pub")).unwrap()).unwrap();
    assert!(TrustBundle::open(&folder.read("bundle.pb"), &[key], now()).is_ok());
    passphrase(&folder, "wrong", "correct horse batterx\n");
    let error = folder.run(&format!("{line} --passphrase-file @wrong")).unwrap_err();
    assert!(format!("{error:#}").contains("does not open the key file"), "{error:#}");
    let shown = folder.run("inspect @safe.key").unwrap();
    assert!(shown.contains("encrypted private key"), "{shown}");
}

#[test]
fn a_passphrase_file_is_private_and_has_one_line() {
    let folder = Folder::new();
    let line = "key vendor --out @safe.key --passphrase-file @words";
    passphrase(&folder, "words", "correct horse\nbattery\n");
    assert!(folder.run(line).unwrap_err().to_string().contains("more than one line"));
    passphrase(&folder, "words", "short\n");
    assert!(folder.run(line).unwrap_err().to_string().contains("at least 12"));
    passphrase(&folder, "words", "correct horse battery");
    fs::set_permissions(folder.path("words"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(format!("{:#}", folder.run(line).unwrap_err()).contains("chmod 600"));
    for name in ["safe.key", "safe.pub"] {
        assert!(!Path::new(&folder.path(name)).exists(), "nothing stays behind: {name}");
    }
}

#[test]
fn plain_and_encrypted_exclude_each_other() {
    let folder = Folder::new();
    assert!(folder.run("key vendor --out @safe.key --plain --passphrase-file @words").is_err());
}
