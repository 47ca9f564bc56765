//! Enrollment bundles and what is redeemed with them, on the administrator's machine.

use std::{fs, os::unix::fs::PermissionsExt};

use super::*;
use crate::{
    enrollment::Bundle,
    testing::{self, label},
};

/// A bundle, the registration that was made with it, and its MAC and words.
struct Enrolled {
    folder: Folder,
    bundle: Bundle,
    mac: String,
    words: Words,
}

fn registration(bundle: &Bundle) -> (Registration, SigningKey) {
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let registration = Registration {
        bundle_sha256: Some(crypto::sha256(&bundle.encode())),
        token: Some(bundle.token),
        label: label(),
        mesh_csr: SigningKey::generate(Algorithm::P256).unwrap().csr().unwrap(),
        cluster_key: key.public().clone(),
        sealing_key: *SealingKey::generate().unwrap().public(),
        jwks: vec![],
        facts: vec![],
    };
    (registration, key)
}

fn enrolled() -> Enrolled {
    let folder = Folder::new();
    folder.vendor();
    let bundle = testing::enrollment(&SigningKey::load(Path::new(&folder.path("vendor.key"))).unwrap());
    bundle.save(Path::new(&folder.path("acme.bundle"))).unwrap();
    let (mac, words) = redeem(&folder, &bundle, |_| {});
    Enrolled { folder, bundle, mac, words }
}

/// Writes what a cluster redeems, after `change`; gives its MAC and words.
fn redeem(folder: &Folder, bundle: &Bundle, change: impl FnOnce(&mut Registration)) -> (String, Words) {
    let (mut registration, key) = registration(bundle);
    change(&mut registration);
    let envelope = registration.make(&key).unwrap();
    fs::write(folder.path("acme.pb"), envelope.encode_to_vec()).unwrap();
    let mac = bundle.secret.ends_secret().mac(&envelope);
    (data_encoding::HEXLOWER.encode(&mac), registration::open(&envelope.encode_to_vec()).unwrap().words)
}

impl Enrolled {
    fn entry(&self, mac: &str, words: Words) -> Result<String> {
        let line = "statement inventory --registration @acme.pb --enrollment @acme.bundle --sequence 1 \
                    --key @vendor.key --out @entry.pb";
        self.folder.run_with(line, &["--mac", mac, "--words", &words.to_string()])
    }
}

#[test]
fn an_entry_comes_from_an_enrollment_whose_mac_and_words_hold() {
    let enrolled = enrolled();
    enrolled.entry(&enrolled.mac, enrolled.words).unwrap();
    let keys = [vendor_key(&enrolled.folder)];
    let opened = inventory::open(&enrolled.folder.read("entry.pb"), &keys, now()).unwrap();
    assert_eq!((opened.entry.cluster, opened.entry.label), (enrolled.bundle.cluster.clone(), label()));
}

#[test]
fn a_swapped_registration_gets_no_entry() {
    let enrolled = enrolled();
    let (folder, bundle) = (&enrolled.folder, &enrolled.bundle);
    let refused = |mac: &str, words| format!("{:#}", enrolled.entry(mac, words).unwrap_err());
    let (_, theirs) = redeem(folder, bundle, |_| {});
    assert!(
        refused(&enrolled.mac, theirs).contains("was not made with this enrollment bundle"),
        "the MAC of another"
    );
    assert!(refused("00", theirs).contains("was not made with"));
    assert!(refused("zz", theirs).contains("the MAC"));
    let (mac, words) = redeem(folder, bundle, |r| r.bundle_sha256 = Some([0; 32]));
    assert!(refused(&mac, words).contains("names another bundle"));
    let (mac, words) = redeem(folder, bundle, |r| r.label = Label::from_random([9; 17]));
    assert!(refused(&mac, words).contains("names another label"));
    let (mac, words) =
        redeem(folder, bundle, |r| r.token = Some(tunnel_protos::TokenId::from_random([8; 16])));
    assert!(refused(&mac, words).contains("names another token"));
    let (mac, _) = redeem(folder, bundle, |_| {});
    assert!(refused(&mac, words).contains("words differ"));
    assert!(!Path::new(&folder.path("entry.pb")).exists());
}

#[test]
fn an_enrolled_registration_is_not_taken_by_words_alone() {
    let enrolled = enrolled();
    let words = enrolled.words.to_string();
    let error = enrolled.folder.run_with(INVENTORY, &["--words", &words]).unwrap_err();
    assert!(error.to_string().contains("came by enrollment"), "{error}");
}

#[test]
fn inspect_shows_a_bundle_but_not_its_secret() {
    let enrolled = enrolled();
    let folder = &enrolled.folder;
    fs::write(folder.path("acme.txt"), enrolled.bundle.to_text().as_bytes()).unwrap();
    fs::set_permissions(folder.path("acme.txt"), fs::Permissions::from_mode(0o600)).unwrap();
    for name in ["acme.bundle", "acme.txt"] {
        for format in ["text", "json"] {
            let shown = folder.run(&format!("inspect @{name} --output {format}")).unwrap();
            assert!(shown.contains("acme/prod") && shown.contains("(not shown)"), "{shown}");
            let secret = enrolled.bundle.secret.as_bytes();
            assert!(!shown.contains(&data_encoding::HEXLOWER.encode(&secret[..4])));
            assert!(!shown.contains(&data_encoding::BASE64.encode(secret)[..8]));
        }
    }
}

#[test]
fn inspect_says_what_proves_a_registration() {
    let enrolled = enrolled();
    let folder = &enrolled.folder;
    assert!(folder.run("inspect @acme.pb").unwrap().contains("the MAC that came with it"));
    folder.register();
    assert!(folder.run("inspect @acme.pb").unwrap().contains("there is no MAC"));
    let (new, old) = (testing::ed25519(), testing::ed25519());
    let (mut replacement, _) = registration(&enrolled.bundle);
    (replacement.bundle_sha256, replacement.token) = (None, None);
    replacement.cluster_key = new.public().clone();
    let envelope = replacement.make_replacement(&new, &old).unwrap();
    fs::write(folder.path("acme.pb"), envelope.encode_to_vec()).unwrap();
    assert!(folder.run("inspect @acme.pb").unwrap().contains("the cluster key before"));
}

#[test]
fn inspect_shows_acknowledgements() {
    let folder = Folder::new();
    let acknowledgement = crate::statement::ack::Acknowledgement {
        label: label(),
        replica: "r1".parse().unwrap(),
        phase: tunnel_protos::v1::RotationPhase::UpdateReplicas,
        sequence: 7,
    };
    let envelope = acknowledgement.make(&testing::ed25519()).unwrap();
    fs::write(folder.path("ack.pb"), envelope.encode_to_vec()).unwrap();
    let shown = folder.run("inspect @ack.pb").unwrap();
    assert!(shown.contains("ROTATION_PHASE_UPDATE_REPLICAS") && shown.contains("r1"), "{shown}");
}
