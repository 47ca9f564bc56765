//! A broker with its administrators' API, in memory, served over real mutual TLS: it keeps what it is told, and can be
//! told to lie. Its rules for phases are those of a broker; its replicas acknowledge unless they are away.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rustls_pki_types::CertificateDer;
use tokio::task::JoinSet;
use tonic::{Status, transport::Server};
use tunnel_certs::{
    credential::ServerCredential,
    issue::{Authority, CaKind},
    key::{Algorithm, Signer, SigningKey},
    statement::{
        ack::Acknowledgement,
        envelope::{self, PayloadType},
        trust_bundle::TrustBundle,
    },
    tls,
    verify::Summary,
};
use tunnel_protos::{
    BrokerId, Label, ReplicaId, UnixMillis,
    operators::{
        ReplicaRotation, RotationStatus, Token, administration_server::AdministrationServer,
        operators_server::OperatorsServer,
    },
    v1::{self, Envelope, RotationPhase},
};

mod api;

use super::{Vendor, broker::listen, operators};
use crate::surroundings::Clock;

/// The broker; what it keeps can be looked at and changed.
#[derive(Clone)]
pub(crate) struct Hall(Arc<Mutex<Books>>);

/// All that it keeps.
pub(crate) struct Books {
    pub(crate) tokens: Vec<(Token, Vec<u8>)>,
    /// Registration and MAC by token id.
    pub(crate) redeemed: BTreeMap<String, (Envelope, Vec<u8>)>,
    /// Registrations for new keys by label.
    pub(crate) replacements: BTreeMap<String, Envelope>,
    /// Entries by cluster.
    pub(crate) entries: BTreeMap<String, Envelope>,
    pub(crate) trust: Envelope,
    pub(crate) published: Vec<u64>,
    pub(crate) cas: Vec<Arc<Authority>>,
    pub(crate) phase: RotationPhase,
    pub(crate) replicas: Vec<Member>,
    pub(crate) bans: Vec<(String, String)>,
    /// The calls that are still answered; after them, all fail.
    pub(crate) calls_left: usize,
}

/// A replica as the test plays it.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) label: Label,
    pub(crate) id: ReplicaId,
    /// What signs its acknowledgements.
    pub(crate) key: Arc<SigningKey>,
    /// A CA that certifies the key as a mesh key: a further replica has no cluster key.
    pub(crate) mesh: Option<Arc<Authority>>,
    pub(crate) away: bool,
    pub(crate) last_seen: UnixMillis,
    pub(crate) said: Option<Envelope>,
}

impl Hall {
    /// A broker of `vendor`, with one mesh CA and its first trust bundle.
    pub(crate) fn new(vendor: &Vendor) -> Self {
        let ca = Arc::new(mesh_ca(now().minus(Duration::from_secs(7200))));
        let bundle = TrustBundle {
            vendor: "acme-db".parse().unwrap(),
            suffix: "tunnel.example".parse().unwrap(),
            sequence: 1,
            expires: now().plus(Duration::from_secs(80 * 24 * 3600)),
            vendor_keys: vec![vendor.key.public().clone()],
            mesh_roots: tunnel_certs::roots::Roots::new(vec![ca.certificate().clone()]).unwrap(),
            operator_roots: tunnel_certs::roots::Roots::new(vec![vendor.operators.certificate().clone()])
                .unwrap(),
            release_keys: vec![],
            release_threshold: 0,
            broker_addresses: vec!["broker.example:443".into()],
            allowed_private_addresses: vec![],
        };
        Self(Arc::new(Mutex::new(Books {
            tokens: vec![],
            redeemed: BTreeMap::new(),
            replacements: BTreeMap::new(),
            entries: BTreeMap::new(),
            trust: bundle.make(&vendor.key).unwrap(),
            published: vec![],
            cas: vec![ca],
            phase: RotationPhase::Standby,
            replicas: vec![],
            bans: vec![],
            calls_left: usize::MAX,
        })))
    }

    /// What it keeps.
    pub(crate) fn books(&self) -> parking_lot::MutexGuard<'_, Books> {
        self.0.lock()
    }

    /// Serves both APIs over mutual TLS.
    pub(crate) async fn listen(
        &self,
        server: &ServerCredential,
        vendor: &Vendor,
        tasks: &mut JoinSet<()>,
    ) -> SocketAddr {
        let config = tls::operator_api_server(server, operators(vendor), &[b"h2"]).unwrap();
        let router = Server::builder()
            .add_service(OperatorsServer::new(self.clone()))
            .add_service(AdministrationServer::new(self.clone()));
        listen(config, router, tasks).await
    }

    fn called(&self) -> Result<(), Status> {
        let mut books = self.0.lock();
        books.calls_left =
            books.calls_left.checked_sub(1).ok_or_else(|| Status::internal("the broker is gone"))?;
        Ok(())
    }
}

impl Books {
    /// The trust bundle as it reads.
    pub(crate) fn bundle(&self) -> v1::TrustBundle {
        envelope::payload(&self.trust, PayloadType::TrustBundle).unwrap()
    }

    fn roots(&self) -> Vec<Vec<u8>> {
        let mut roots = self.bundle().mesh_roots;
        roots.sort_by_key(|der| Summary::read(der).unwrap().not_before);
        roots
    }

    fn signs(&self, broker: bool) -> Vec<u8> {
        let roots = self.roots();
        let newest = match self.phase {
            RotationPhase::UpdateReplicas => !broker,
            RotationPhase::UpdateBrokers => true,
            _ => false,
        };
        if newest { roots.last() } else { roots.first() }.unwrap().clone()
    }

    fn leaf(&self) -> Vec<u8> {
        let der = CertificateDer::from(self.signs(true));
        let ca = self.cas.iter().find(|ca| *ca.certificate() == der).unwrap();
        let key = SigningKey::generate(Algorithm::P256).unwrap();
        let (vendor, id): (_, BrokerId) = ("acme-db".parse().unwrap(), "b1".parse().unwrap());
        let life = Duration::from_secs(24 * 3600);
        ca.issue_broker(key.public(), &vendor, &id, life, now()).unwrap().to_vec()
    }

    fn may_enter(&self, to: RotationPhase) -> bool {
        use RotationPhase::{Init, Rollback, Standby, UpdateBrokers, UpdateReplicas};
        let two = self.roots().len() == 2;
        match (self.phase, to) {
            (from, to) if from == to => true,
            (Init, UpdateReplicas) | (UpdateReplicas, UpdateBrokers) => two,
            (UpdateBrokers, Standby) => !two,
            (Standby, Init)
            | (Init | Rollback, Standby)
            | (Init | UpdateReplicas | UpdateBrokers, Rollback) => true,
            _ => false,
        }
    }

    fn status(&mut self) -> RotationStatus {
        let (phase, sequence) = (self.phase, self.bundle().sequence);
        for member in self.replicas.iter_mut().filter(|member| !member.away) {
            member.said = Some(member.says(phase, sequence));
        }
        RotationStatus {
            phase: phase.into(),
            mesh_cas: self.cas.iter().map(|ca| ca.certificate().to_vec()).collect(),
            issuing: self.signs(false),
            broker_certificate: self.leaf(),
            trust_sequence: sequence,
            replicas: self.replicas.iter().map(Member::message).collect(),
            ..RotationStatus::default()
        }
    }
}

impl Member {
    fn says(&self, phase: RotationPhase, sequence: u64) -> Envelope {
        let (label, replica, key) = (self.label, self.id.clone(), &*self.key);
        let said = Acknowledgement { label, replica, phase, sequence };
        let Some(ca) = &self.mesh else { return said.make(key).unwrap() };
        let (vendor, life) = ("acme-db".parse().unwrap(), Duration::from_secs(24 * 3600));
        let leaf = ca.issue_replica(key.public(), &vendor, &label, &self.id, life, now()).unwrap();
        said.make_by_mesh(key, &leaf).unwrap()
    }

    fn message(&self) -> ReplicaRotation {
        ReplicaRotation {
            label: self.label.to_string(),
            replica: self.id.to_string(),
            connected: !self.away,
            last_seen_ms: self.last_seen.0,
            acknowledgement: self.said.clone(),
        }
    }
}

/// A mesh CA that began at a moment.
pub(crate) fn mesh_ca(at: UnixMillis) -> Authority {
    let key = SigningKey::generate(Algorithm::P256).unwrap();
    Authority::create(CaKind::Mesh, "acme-db", Arc::new(key), at).unwrap()
}

pub(crate) fn now() -> UnixMillis {
    Clock::system().now()
}

/// A member of `cluster` that is there.
pub(crate) fn member(label: Label, id: &str, key: &Arc<SigningKey>) -> Member {
    let (id, key) = (id.parse().unwrap(), Arc::clone(key));
    Member { label, id, key, mesh: None, away: false, last_seen: now(), said: None }
}
