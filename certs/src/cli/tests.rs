//! The administrator's way from nothing to a signed entry, in a folder of its own.

mod enrolled;
mod keys;
mod next;
mod releases;

use std::path::Path;

use clap::Parser;
use prost::Message;

use super::*;
use crate::{
    key::{Algorithm, PublicKey, SealingKey, Signer, SigningKey},
    statement::{
        inventory,
        registration::{self, Registration},
        trust_bundle::TrustBundle,
    },
    words::Words,
};

/// What a program makes of the commands.
#[derive(Debug, Parser)]
#[command(name = "tunnel-certs")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Format,
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// Runs a command line; words that name a file of this folder begin with `@`.
    fn run(&self, line: &str) -> Result<String> {
        self.run_with(line, &[])
    }

    fn run_with(&self, line: &str, more: &[&str]) -> Result<String> {
        let words = line.split_whitespace().map(|word| match word.strip_prefix('@') {
            Some(name) => self.path(name),
            None => word.to_owned(),
        });
        let all = std::iter::once("tunnel-certs".to_owned())
            .chain(words)
            .chain(more.iter().map(|word| (*word).to_owned()));
        let cli = Cli::try_parse_from(all)?;
        cli.command.run(cli.output)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn vendor(&self) {
        for line in [
            "key vendor --plain --out @vendor.key",
            "ca mesh --name initech --out @mesh.pem --key-out @mesh.key",
            "ca operator --name initech --out @operators.pem --key-out @operators.key",
        ] {
            self.run(line).unwrap();
        }
    }

    /// What `tunnel-client keys export` writes; gives its words.
    fn register(&self) -> Words {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let registration = Registration {
            bundle_sha256: None,
            token: None,
            jwks: Vec::new(),
            label: Label::from_random([1; 17]),
            mesh_csr: SigningKey::generate(Algorithm::P256).unwrap().csr().unwrap(),
            cluster_key: key.public().clone(),
            sealing_key: *SealingKey::generate().unwrap().public(),
            facts: vec![],
        };
        let bytes = registration.make(&key).unwrap().encode_to_vec();
        std::fs::write(self.path("acme.pb"), &bytes).unwrap();
        registration::open(&bytes).unwrap().words
    }
}

const INVENTORY: &str = "statement inventory --registration @acme.pb --cluster acme/prod --sequence 1 \
                         --key @vendor.key --out @entry.pb";
const BUNDLE: &str = "statement trust-bundle --vendor initech --suffix tunnel.example --sequence 1 \
                      --vendor-key @vendor.pub --mesh-root @mesh.pem --operator-root @operators.pem \
                      --broker broker.example:443 --key @vendor.key --out @bundle.pb";

fn now() -> UnixMillis {
    UnixMillis::from_system(std::time::SystemTime::now())
}

fn vendor_key(folder: &Folder) -> PublicKey {
    PublicKey::from_pem(&String::from_utf8(folder.read("vendor.pub")).unwrap()).unwrap()
}

#[test]
fn an_entry_is_signed_when_the_words_are_those_of_the_registration() {
    let folder = Folder::new();
    folder.vendor();
    let words = folder.register().to_string().to_uppercase();
    let told = folder.run_with(INVENTORY, &["--words", &words]).unwrap();
    let opened = inventory::open(&folder.read("entry.pb"), &[vendor_key(&folder)], now()).unwrap();
    assert!(told.contains(&opened.words.to_string()), "prints the words of the entry: {told}");
    assert_eq!(opened.entry.cluster.as_str(), "acme/prod");
}

#[test]
fn an_entry_is_refused_when_the_words_differ() {
    let folder = Folder::new();
    folder.vendor();
    folder.register();
    let other = "abandon abandon abandon abandon abandon abandon abandon abandon";
    let error = folder.run_with(INVENTORY, &["--words", other]).unwrap_err();
    assert!(error.to_string().contains("words differ"), "{error}");
    assert!(!Path::new(&folder.path("entry.pb")).exists());
}

#[test]
fn a_replica_is_certified_from_its_registration() {
    let folder = Folder::new();
    folder.vendor();
    let words = folder.register();
    let line = "issue replica --registration @acme.pb --ca @mesh.pem --ca-key @mesh.key --vendor initech \
                --id r1 --out @r1.pem";
    let told = folder.run(line).unwrap();
    assert!(told.contains("/v1/replica/") && told.contains(&words.to_string()), "{told}");
    let other = "abandon abandon abandon abandon abandon abandon abandon abandon";
    assert!(folder.run_with(line, &["--words", other]).is_err());
    let shown = folder.run("inspect @r1.pem").unwrap();
    assert!(shown.contains("replica certificate"), "{shown}");
}

#[test]
fn a_trust_bundle_opens_with_the_vendors_key() {
    let folder = Folder::new();
    folder.vendor();
    folder.run(BUNDLE).unwrap();
    let bundle = TrustBundle::open(&folder.read("bundle.pb"), &[vendor_key(&folder)], now()).unwrap();
    assert_eq!(bundle.suffix.as_str(), "tunnel.example");
    let shown = folder.run("inspect @bundle.pb @mesh.pem --output json").unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown[0]["payload"]["vendor"], "initech");
    assert_eq!(shown[1]["kind"], "CA certificate");
}

#[test]
fn a_trust_bundle_that_would_be_refused_is_not_written() {
    let folder = Folder::new();
    folder.vendor();
    let error = folder.run_with(BUNDLE, &["--broker", "nowhere"]).unwrap_err();
    assert!(format!("{error:#}").contains("broker addresses"), "{error:#}");
    assert!(!Path::new(&folder.path("bundle.pb")).exists());
    assert!(folder.run_with(BUNDLE, &["--life", "91d"]).is_err());
}

#[test]
fn key_files_are_never_overwritten() {
    let folder = Folder::new();
    folder.vendor();
    let before = (folder.read("vendor.key"), folder.read("mesh.key"), folder.read("mesh.pem"));
    assert!(folder.run("key vendor --plain --out @vendor.key").is_err());
    assert!(folder.run("ca mesh --name initech --out @mesh.pem --key-out @mesh.key").is_err());
    assert_eq!(before, (folder.read("vendor.key"), folder.read("mesh.key"), folder.read("mesh.pem")));
}

#[test]
fn brokers_and_operators_are_certified_with_new_keys_or_requests() {
    let folder = Folder::new();
    folder.vendor();
    let broker = "issue broker --ca @mesh.pem --ca-key @mesh.key --vendor initech --id b1 --out @b1.pem";
    folder.run_with(broker, &["--key-out", &folder.path("b1.key")]).unwrap();
    let csr = SigningKey::load(Path::new(&folder.path("b1.key"))).unwrap().csr().unwrap();
    std::fs::write(folder.path("b1.csr"), csr).unwrap();
    folder.run_with(broker, &["--csr", &folder.path("b1.csr")]).unwrap();
    assert!(folder.run(broker).is_err(), "one of both is needed");
    let operator = "issue operator --ca @operators.pem --ca-key @operators.key --vendor initech --name alice \
                    --out @alice.pem --key-out @alice.key";
    assert!(folder.run_with(operator, &["--life", "13h"]).is_err());
    assert!(!Path::new(&folder.path("alice.key")).exists(), "no key stays behind");
    folder.run(operator).unwrap();
}

#[test]
fn a_ca_does_not_certify_roles_of_another() {
    let folder = Folder::new();
    folder.vendor();
    let line = "issue operator --ca @mesh.pem --ca-key @mesh.key --vendor initech --name alice \
                --out @alice.pem --key-out @alice.key";
    assert!(folder.run(line).unwrap_err().to_string().contains("does not sign operator"));
}

#[test]
fn inspect_tells_nothing_of_private_keys_but_their_public_half() {
    let folder = Folder::new();
    folder.vendor();
    let shown = folder.run("inspect @vendor.key @mesh.key").unwrap();
    assert!(shown.contains("Ed25519") && shown.contains("P256"), "{shown}");
    let secret = String::from_utf8(folder.read("vendor.key")).unwrap();
    assert!(!shown.contains(&secret.lines().nth(1).unwrap()[24..40]));
}

#[test]
fn inspect_refuses_what_is_none_of_our_files() {
    let folder = Folder::new();
    std::fs::write(folder.path("x"), b"hello").unwrap();
    let error = folder.run("inspect @x").unwrap_err();
    assert!(format!("{error:#}").contains("neither PEM nor a statement"), "{error:#}");
}

#[test]
fn labels_are_drawn() {
    let folder = Folder::new();
    let label = folder.run("label --output json").unwrap();
    let label: serde_json::Value = serde_json::from_str(&label).unwrap();
    assert!(label["label"].as_str().unwrap().parse::<Label>().is_ok());
}

#[test]
fn an_api_certificate_is_self_signed_for_trials() {
    let folder = Folder::new();
    folder
        .run("issue api-server --suffix tunnel.example --address 127.0.0.1 --out @api.pem --key-out @api.key")
        .unwrap();
    let shown = folder.run("inspect @api.pem").unwrap();
    assert!(shown.contains("api.tunnel.example") && shown.contains("serverAuth"), "{shown}");
}

#[test]
fn inspect_proves_who_signed_if_asked() {
    let folder = Folder::new();
    folder.vendor();
    folder.register();
    let own = folder.run("inspect @acme.pb --signed-by @acme.pb").unwrap();
    assert!(own.contains("registration"), "{own}");
    let error = folder.run("inspect @acme.pb --signed-by @vendor.pub").unwrap_err();
    assert!(format!("{error:#}").contains("not signed by the key"), "{error:#}");
}
