//! Releases from their keys to what customers would take.

use super::*;
use crate::statement::release;

const SIGN: &str =
    "release sign --product initech-db --component storage --name 2.4.1 --seq 41 --out @m.release";

fn image() -> String {
    format!("node=registry.example/storage@sha256:{}", "0a".repeat(32))
}

/// Three release keys, two of which sign.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.vendor();
    for name in ["r1", "r2", "r3"] {
        folder.run(&format!("key release --out @{name}.key")).unwrap();
    }
    let release = "--release-key @r1.pub --release-key @r2.pub --release-key @r3.pub --release-threshold 2";
    folder.run(&format!("{BUNDLE} {release}")).unwrap();
    folder
}

fn sign(folder: &Folder, more: &str) -> Result<String> {
    folder.run_with(&format!("{SIGN} {more}"), &["--image", &image()])
}

const VERIFY: &str = "release verify @m.release --trust-bundle @bundle.pb --vendor-key @vendor.pub";

#[test]
fn customers_take_what_two_of_three_signed() {
    let folder = folder();
    let told = sign(&folder, "--key @r1.key --min-source-seq 30").unwrap();
    assert!(told.contains("sequence 30 on") && told.contains(&image()), "{told}");
    let alone = format!("{:#}", folder.run(VERIFY).unwrap_err());
    assert!(alone.contains("signed by 1 of the trusted keys, 2 needed"), "{alone}");
    folder.run("release add-signature @m.release --key @r3.key --out @m.release").unwrap();
    let told = folder.run(VERIFY).unwrap();
    assert!(told.contains("2 of 2 needed") && told.contains("2.4.1"), "{told}");
    let again = folder.run("release add-signature @m.release --key @r3.key --out @m.release").unwrap_err();
    assert!(format!("{again:#}").contains("has signed the release already"), "{again:#}");
    let keys: Vec<_> = ["r1.pub", "r2.pub", "r3.pub"]
        .map(|name| PublicKey::from_pem(&String::from_utf8(folder.read(name)).unwrap()).unwrap())
        .into();
    let opened = release::open(&folder.read("m.release"), &keys, 2, now()).unwrap();
    assert_eq!((opened.release.seq, opened.release.min_source_seq, opened.signed_by.len()), (41, 30, 2));
}

#[test]
fn several_keys_on_one_machine_sign_at_once() {
    let folder = folder();
    sign(&folder, "--key @r1.key --key @r2.key").unwrap();
    folder.run(VERIFY).unwrap();
    assert!(sign(&folder, "--key @r1.key --key @r1.key").is_err(), "one key is one signature");
    let by_keys = "release verify @m.release --release-key @r1.pub --release-key @r3.pub";
    folder.run(by_keys).unwrap();
    assert!(folder.run(&format!("{by_keys} --threshold 2")).is_err());
}

#[test]
fn what_customers_would_refuse_is_not_written() {
    let folder = folder();
    let signed = |more: &[&str]| folder.run_with(&format!("{SIGN} --key @r1.key"), more);
    let good = image();
    let tagged = ["--image", "node=registry.example/storage:2.4"];
    let twice = ["--image", &good, "--image", &good];
    let later = ["--image", &good, "--min-source-seq", "41"];
    let cases: [&[&str]; 5] =
        [&[], &tagged, &twice, &later, &["--image", &good, "--key", &folder.path("mesh.key")]];
    for more in cases {
        assert!(signed(more).is_err(), "{more:?}");
        assert!(!Path::new(&folder.path("m.release")).exists(), "{more:?}");
    }
    assert!(
        folder.run_with(&SIGN.replace("--seq 41", "--seq 0 --key @r1.key"), &["--image", &good]).is_err()
    );
}

#[test]
fn an_expired_manifest_is_shown_and_refused() {
    let folder = folder();
    sign(&folder, "--key @r1.key --key @r2.key --life 0s").unwrap();
    assert!(format!("{:#}", folder.run(VERIFY).unwrap_err()).contains("expired"));
    let shown = folder.run("release inspect @m.release").unwrap();
    assert!(shown.contains("it has expired") && shown.contains("initech-db"), "{shown}");
    let json: serde_json::Value =
        serde_json::from_str(&folder.run("release inspect @m.release --output json").unwrap()).unwrap();
    assert_eq!((json["sequence"].as_str(), json["images"][0].as_str()), (Some("41"), Some(&*image())));
}

#[test]
fn a_release_key_may_have_a_passphrase() {
    use std::os::unix::fs::PermissionsExt;

    let folder = folder();
    std::fs::write(folder.path("words"), "correct horse battery\n").unwrap();
    std::fs::set_permissions(folder.path("words"), std::fs::Permissions::from_mode(0o600)).unwrap();
    folder.run("key release --out @safe.key --passphrase-file @words").unwrap();
    sign(&folder, "--key @safe.key --passphrase-file @words").unwrap();
    folder.run("release verify @m.release --release-key @safe.pub").unwrap();
    let shown = folder.run("inspect @safe.key").unwrap();
    assert!(shown.contains("encrypted private key"), "{shown}");
}

#[test]
fn another_file_is_no_manifest() {
    let folder = folder();
    assert!(folder.run("release inspect @bundle.pb").is_err());
    assert!(folder.run("release add-signature @bundle.pb --key @r1.key --out @m.release").is_err());
    assert!(!Path::new(&folder.path("m.release")).exists());
}
