//! The client as a whole, without a broker: what it accepts of the vendor, and how it starts and stops.

use std::{fs, sync::Arc, time::Duration};

use prost::Message;
use tempfile::TempDir;
use tunnel_certs::{
    credential::certificate_to_pem,
    issue::{Authority, CaKind},
    key::{Algorithm, Signer, SigningKey},
    roots::Roots,
    statement::{inventory::Entry, trust_bundle::TrustBundle},
};
use tunnel_protos::{Label, UnixMillis};
use tunnel_runtime::{drain, logs::LogConfig};

use super::*;
use crate::{
    approvers::Desk,
    config::{AuditConfig, Cluster, Config, Limits, ListenConfig, Timeouts, TrustConfig},
    keys::Keys,
    trust::LoadError,
};

const DAY: Duration = Duration::from_secs(24 * 3600);
const LABEL: &str = "k3v7aaaaaa";

#[tokio::test]
async fn takes_requests_with_an_entry_of_its_own_keys() {
    let stage = Stage::new();
    stage.write_entry(&stage.entry(), &stage.vendor_key);
    assert_eq!(stage.refusing().await, "");
}

#[tokio::test]
async fn a_missing_entry_keeps_it_up_and_refusing() {
    let stage = Stage::new();
    assert!(stage.refusing().await.contains("entry.pb"));
}

#[tokio::test]
async fn an_entry_with_foreign_keys_keeps_it_up_and_refusing() {
    let stage = Stage::new();
    let foreign = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let entry = Entry { cluster_key: foreign.public().clone(), ..stage.entry() };
    stage.write_entry(&entry, &stage.vendor_key);
    assert!(stage.refusing().await.contains("other keys"));
}

#[tokio::test]
async fn an_entry_of_another_cluster_keeps_it_up_and_refusing() {
    let stage = Stage::new();
    stage.write_entry(&Entry { label: "otheraaaaa".parse().unwrap(), ..stage.entry() }, &stage.vendor_key);
    assert!(stage.refusing().await.contains("another cluster"));
}

#[tokio::test]
async fn an_entry_that_no_vendor_key_signed_keeps_it_up_and_refusing() {
    let stage = Stage::new();
    stage.write_entry(&stage.entry(), &SigningKey::generate(Algorithm::Ed25519).unwrap());
    assert!(!stage.refusing().await.is_empty());
}

#[tokio::test]
async fn an_expired_entry_keeps_it_up_and_refusing() {
    let stage = Stage::new();
    stage.write_entry(&Entry { expires: now().minus(DAY), ..stage.entry() }, &stage.vendor_key);
    assert!(stage.refusing().await.contains("expired"));
}

#[tokio::test]
async fn a_trust_bundle_of_another_vendor_key_is_refused() {
    let stage = Stage::new();
    let stranger = SigningKey::generate(Algorithm::Ed25519).unwrap();
    fs::write(stage.path("vendor.pem"), stranger.public().to_pem()).unwrap();
    let refused = Client::build(stage.config()).await;
    assert!(matches!(refused.err(), Some(BuildError::Vendor(LoadError::TrustBundle(..)))));
}

#[tokio::test]
async fn a_mesh_certificate_of_another_cluster_is_refused() {
    let stage = Stage::new();
    stage.write_mesh(&"otheraaaaa".parse().unwrap());
    let refused = Client::build(stage.config()).await;
    assert!(matches!(refused.err(), Some(BuildError::Vendor(LoadError::ForeignIdentity(_)))));
}

#[tokio::test]
async fn serves_its_socket_and_ends_in_order_when_drained() {
    let stage = Stage::new();
    stage.write_entry(&stage.entry(), &stage.vendor_key);
    let client = Client::build(stage.config()).await.unwrap();
    let (readiness, socket) = (client.readiness(), client.socket().to_owned());
    assert_eq!(readiness.waiting_for(), ["tunnel"]);
    assert!(socket.exists());
    let (drain, watch) = drain::channel();
    drain.begin();
    tokio::time::timeout(Duration::from_secs(20), client.serve(watch)).await.unwrap();
    assert!(readiness.waiting_for().contains(&"drain"));
    // The folder is free again, and the epoch has risen.
    let client = Client::build(stage.config()).await.unwrap();
    assert_eq!(client.requests.epoch(), 2);
}

#[tokio::test]
async fn the_status_shows_cluster_words_and_policy() {
    let stage = Stage::new();
    let client = Client::build(stage.config()).await.unwrap();
    let status = client.desk().status();
    let ticket = crate::keys::Ticket::of(LABEL.parse().unwrap());
    let words = stage.keys().registration(&stage.path("state"), &ticket).unwrap().words;
    assert_eq!((status.cluster.as_str(), status.replica.as_str()), ("acme/prod", "replica-1"));
    assert_eq!(status.registration_words, words.to_string());
    assert!(status.policy.unwrap().error.contains("everything is denied"));
}

/// The files of a customer, as vendor and customer leave them.
struct Stage {
    folder: TempDir,
    vendor_key: SigningKey,
    mesh_ca: Authority,
}

impl Stage {
    fn new() -> Self {
        let ca = |kind| {
            let key = SigningKey::generate(Algorithm::P256).unwrap();
            Authority::create(kind, "vendor", Arc::new(key), now()).unwrap()
        };
        let vendor_key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let stage = Self { folder: tempfile::tempdir().unwrap(), vendor_key, mesh_ca: ca(CaKind::Mesh) };
        fs::write(stage.path("vendor.pem"), stage.vendor_key.public().to_pem()).unwrap();
        fs::write(stage.path("profile.yaml"), PROFILE).unwrap();
        stage.write_bundle(&ca(CaKind::Operator));
        stage.write_mesh(&LABEL.parse().unwrap());
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn keys(&self) -> Keys {
        Keys::load_or_create(&self.path("state")).unwrap()
    }

    fn write_bundle(&self, operator_ca: &Authority) {
        let roots = |ca: &Authority| Roots::new(vec![ca.certificate().clone()]).unwrap();
        let bundle = TrustBundle {
            vendor: "vendor".parse().unwrap(),
            suffix: "tunnel.example".parse().unwrap(),
            sequence: 1,
            expires: now().plus(60 * DAY),
            vendor_keys: vec![self.vendor_key.public().clone()],
            mesh_roots: roots(&self.mesh_ca),
            operator_roots: roots(operator_ca),
            release_keys: Vec::new(),
            release_threshold: 0,
            broker_addresses: vec!["127.0.0.1:9".to_owned()],
            allowed_private_addresses: Vec::new(),
        };
        let envelope = bundle.make(&self.vendor_key).unwrap();
        fs::write(self.path("trust-bundle.pb"), envelope.encode_to_vec()).unwrap();
    }

    fn write_mesh(&self, label: &Label) {
        let (vendor, id) = ("vendor".parse().unwrap(), "replica-1".parse().unwrap());
        let key = self.keys().mesh;
        let leaf = self.mesh_ca.issue_replica(key.public(), &vendor, label, &id, DAY, now()).unwrap();
        fs::write(self.path("mesh.pem"), certificate_to_pem(&leaf)).unwrap();
    }

    fn entry(&self) -> Entry {
        let keys = self.keys();
        Entry {
            cluster: "acme/prod".parse().unwrap(),
            label: LABEL.parse().unwrap(),
            cluster_key: keys.cluster.public().clone(),
            sealing_key: *keys.sealing.public(),
            sequence: 1,
            expires: now().plus(DAY),
        }
    }

    fn write_entry(&self, entry: &Entry, key: &SigningKey) {
        fs::write(self.path("entry.pb"), entry.make(key).unwrap().encode_to_vec()).unwrap();
    }

    fn config(&self) -> Config {
        Config {
            audit: AuditConfig::default(),
            cluster: Some(Cluster { name: "acme/prod".parse().unwrap(), label: LABEL.parse().unwrap() }),
            state_dir: self.path("state"),
            enrollment: None,
            trust: Some(TrustConfig {
                bundle: self.path("trust-bundle.pb"),
                vendor_keys: vec![self.path("vendor.pem")],
            }),
            inventory_entry: Some(self.path("entry.pb")),
            mesh_certificate: Some(self.path("mesh.pem")),
            brokers: Vec::new(),
            profile: self.path("profile.yaml"),
            policy: None,
            webhook: None,
            listen: ListenConfig {
                socket: self.path("run/approvers.sock"),
                admin: ([127, 0, 0, 1], 0).into(),
            },
            log: LogConfig::default(),
            timeouts: Timeouts { drain: Duration::from_secs(1), ..Timeouts::default() },
            limits: Limits { shards: 1, ..Limits::default() },
        }
    }

    /// Builds the client, which must succeed, and asks why it refuses requests.
    async fn refusing(&self) -> String {
        let client = Client::build(self.config()).await.unwrap();
        client.desk().status().refusing
    }
}

fn now() -> UnixMillis {
    crate::clock::wall()
}

const PROFILE: &str = "name: test\nendpoints: { default: \"http://127.0.0.1:9\" }\n";
