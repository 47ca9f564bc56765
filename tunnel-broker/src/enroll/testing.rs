//! A vendor with a mesh CA in files, and enrollment on a real database of its own.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::sync::watch;
use tunnel_certs::{
    credential::certificate_to_pem,
    crypto,
    enrollment::Secret,
    file,
    issue::{Authority, CaKind},
    key::{Algorithm, SealingKey, Signer, SigningKey},
    roots::Roots,
    statement::{inventory, registration::Registration, trust_bundle::TrustBundle},
};
use tunnel_protos::{
    ClusterName, Label, OperatorName, TokenId, UnixMillis, VendorName, operators,
    v1::{self, EnrollReply, Envelope, TokenKind, enroll_reply, enroll_request},
};

use super::{Enroll, Surroundings, Trusted, conversation::Conversation};
use crate::{
    config::{CredentialFiles, EnrollConfig},
    store::Store,
};

/// The mesh CA is so much older that it holds by the wall clock, too.
pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Enrollment, and everything around it.
pub(crate) struct Bench {
    pub(super) enroll: Arc<Enroll>,
    pub(super) config: EnrollConfig,
    pub(super) vendor_key: SigningKey,
    pub(super) mesh: Authority,
    pub(crate) trust: watch::Sender<Arc<Trusted>>,
    entries: Arc<Mutex<HashMap<Label, Envelope>>>,
    pub(crate) folder: TempDir,
}

/// A token with the secret that only the administrator and the customer know.
#[derive(Clone)]
pub(super) struct Ticket {
    pub(super) id: TokenId,
    pub(super) kind: TokenKind,
    pub(super) label: Label,
    pub(super) secret: Arc<Secret>,
    pub(super) expires: UnixMillis,
}

/// A client with keys of its own.
pub(crate) struct Client {
    pub(super) mesh: SigningKey,
    pub(super) cluster: SigningKey,
    pub(super) sealing: SealingKey,
    pub(super) jwks: Vec<u8>,
    pub(super) facts: Vec<(String, String)>,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut EnrollConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mesh = authority(folder.path(), NOW.minus(DAY * 400));
        let mut config = EnrollConfig { mesh_ca: Some(files(folder.path())), ..Default::default() };
        change(&mut config);
        let vendor_key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let trust = watch::Sender::new(trusted(&vendor_key, 1, &[mesh.certificate()]));
        let entries = Arc::default();
        let enroll = open(&config, folder.path(), &trust, &entries, NOW).await;
        Self { enroll, config, vendor_key, mesh, trust, entries, folder }
    }

    /// Opens enrollment again on the same files.
    pub(super) async fn restart(&mut self) {
        self.restart_at(NOW).await;
    }

    pub(super) async fn restart_at(&mut self, now: UnixMillis) {
        self.enroll.store.close().await;
        self.enroll = open(&self.config, self.folder.path(), &self.trust, &self.entries, now).await;
    }

    /// Publishes a trust bundle that names these mesh CAs.
    pub(super) fn trust(&self, sequence: u64, roots: &[&rustls::pki_types::CertificateDer<'static>]) {
        self.trust.send_replace(trusted(&self.vendor_key, sequence, roots));
    }

    /// Publishes an inventory entry with these keys of a cluster.
    pub(super) fn publish(&self, label: Label, client: &Client) {
        self.entries.lock().insert(label, self.entry(label, client));
    }

    /// An inventory entry with these keys of a cluster.
    pub(crate) fn entry(&self, label: Label, client: &Client) -> Envelope {
        let entry = inventory::Entry {
            cluster: "acme/prod".parse().unwrap(),
            label,
            cluster_key: client.cluster.public().clone(),
            sealing_key: *client.sealing.public(),
            sequence: 1,
            expires: NOW.plus(DAY * 90),
        };
        entry.make(&self.vendor_key).unwrap()
    }

    /// A token that the administrator has made known.
    pub(super) async fn ticket(&self, kind: TokenKind, label: Label) -> Ticket {
        let ticket = Ticket {
            id: TokenId::from_random(crypto::random()),
            kind,
            label,
            secret: Arc::new(Secret::random()),
            expires: NOW.plus(3 * DAY),
        };
        self.enroll.create_token(ticket.ask("acme/prod"), &alice(), NOW).await.unwrap();
        ticket
    }

    /// The answer to one ask on a connection of its own.
    pub(super) async fn ask(
        &self,
        ask: enroll_request::Body,
        now: UnixMillis,
    ) -> Result<v1::Issued, v1::EnrollRefusal> {
        answer(Conversation::new(&self.enroll).answer(&ask, now).await)
    }

    pub(super) async fn redeem(
        &self,
        ask: v1::Redeem,
        now: UnixMillis,
    ) -> Result<v1::Issued, v1::EnrollRefusal> {
        self.ask(enroll_request::Body::Redeem(ask), now).await
    }
}

impl Ticket {
    pub(super) fn ask(&self, cluster: &str) -> operators::CreateTokenRequest {
        let token = operators::Token {
            id: self.id.to_string(),
            kind: self.kind.into(),
            cluster: cluster.parse::<ClusterName>().unwrap().to_string(),
            label: self.label.to_string(),
            expires_ms: self.expires.0,
            ..Default::default()
        };
        let secret = self.secret.broker_secret().sha256().to_vec();
        operators::CreateTokenRequest { token: Some(token), broker_secret_sha256: secret }
    }

    /// What an honest client sends for this token.
    pub(super) fn redeem(&self, client: &Client) -> v1::Redeem {
        let csr = client.mesh.csr().unwrap();
        let mut ask = v1::Redeem {
            token_id: self.id.to_string(),
            broker_secret: self.secret.broker_secret().as_bytes().to_vec(),
            csr: csr.clone(),
            ..Default::default()
        };
        if self.kind == TokenKind::Cluster {
            let registration = self.registration(client, csr).make(&client.cluster).unwrap();
            ask.mac = self.secret.ends_secret().mac(&registration).to_vec();
            ask.registration = Some(registration);
        }
        ask
    }

    pub(super) fn registration(&self, client: &Client, mesh_csr: Vec<u8>) -> Registration {
        let fact = |(name, value): &(String, String)| (name.parse().unwrap(), value.parse().unwrap());
        Registration {
            bundle_sha256: Some([7; 32]),
            token: Some(self.id),
            label: self.label,
            mesh_csr,
            cluster_key: client.cluster.public().clone(),
            sealing_key: *client.sealing.public(),
            jwks: client.jwks.clone(),
            facts: client.facts.iter().map(fact).collect(),
        }
    }
}

impl Client {
    pub(crate) fn new() -> Self {
        Self {
            mesh: p256(),
            cluster: SigningKey::generate(Algorithm::Ed25519).unwrap(),
            sealing: SealingKey::generate().unwrap(),
            jwks: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// The same cluster with a mesh key of its own.
    pub(super) fn with_other_mesh_key(self) -> Self {
        Self { mesh: p256(), ..self }
    }
}

pub(super) fn answer(reply: EnrollReply) -> Result<v1::Issued, v1::EnrollRefusal> {
    match reply.body.unwrap() {
        enroll_reply::Body::Issued(issued) => Ok(issued),
        enroll_reply::Body::Refused(refused) => Err(refused.reason()),
        other => panic!("{other:?}"),
    }
}

/// The identity of a certificate that was issued.
pub(super) fn identity(issued: &v1::Issued) -> String {
    tunnel_certs::verify::Summary::read(&issued.certificate).unwrap().names.join(",")
}

pub(super) fn p256() -> SigningKey {
    SigningKey::generate(Algorithm::P256).unwrap()
}

pub(crate) fn label(c: char) -> Label {
    format!("k3v7{}", c.to_string().repeat(6)).parse().unwrap()
}

pub(super) fn alice() -> OperatorName {
    "alice".parse().unwrap()
}

pub(super) fn vendor() -> VendorName {
    "vendor".parse().unwrap()
}

async fn open(
    config: &EnrollConfig,
    folder: &Path,
    trust: &watch::Sender<Arc<Trusted>>,
    entries: &Arc<Mutex<HashMap<Label, Envelope>>>,
    now: UnixMillis,
) -> Arc<Enroll> {
    let store = Store::open(&folder.join("broker.sqlite"), Duration::from_secs(20)).await.unwrap();
    let entries = Arc::clone(entries);
    let entry = move |label| entries.lock().get(&label).cloned();
    let around = Surroundings { trust: trust.subscribe(), entry: Box::new(entry) };
    Enroll::open(config, folder, store, around, now).await.unwrap()
}

fn files(folder: &Path) -> CredentialFiles {
    CredentialFiles { certificate: folder.join("mesh.pem"), key: folder.join("mesh.key") }
}

fn authority(folder: &Path, at: UnixMillis) -> Authority {
    let key = Arc::new(p256());
    let files = files(folder);
    key.save(&files.key).unwrap();
    let mesh = Authority::create(CaKind::Mesh, "vendor", key, at).unwrap();
    file::write(&files.certificate, certificate_to_pem(mesh.certificate()).as_bytes()).unwrap();
    mesh
}

fn trusted(
    key: &SigningKey,
    sequence: u64,
    roots: &[&rustls::pki_types::CertificateDer<'static>],
) -> Arc<Trusted> {
    let operators = Authority::create(CaKind::Operator, "vendor", Arc::new(p256()), NOW).unwrap();
    let bundle = TrustBundle {
        vendor: vendor(),
        suffix: "tunnel.example".parse().unwrap(),
        sequence,
        expires: NOW.plus(DAY * 60),
        vendor_keys: vec![key.public().clone()],
        mesh_roots: Roots::new(roots.iter().map(|der| (*der).clone()).collect()).unwrap(),
        operator_roots: Roots::new(vec![operators.certificate().clone()]).unwrap(),
        release_keys: Vec::new(),
        release_threshold: 0,
        broker_addresses: vec!["broker.tunnel.example:443".to_owned()],
        allowed_private_addresses: Vec::new(),
    };
    let envelope = bundle.make(key).unwrap();
    Arc::new(Trusted { bundle, envelope })
}
