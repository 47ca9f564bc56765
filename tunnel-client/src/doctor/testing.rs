//! A customer's files, made by real keys, and a broker on loopback with real TLS and QUIC.

use std::{
    collections::{BTreeMap, HashMap, hash_map},
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use prost::Message;
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tracing::Span;
use tunnel_certs::{
    credential::{Credential, certificate_to_pem},
    enrollment::{Bundle, Secret},
    identity::Role,
    issue::{Authority, CaKind},
    key::{Algorithm, Signer, SigningKey},
    statement::{inventory::Entry, trust_bundle::TrustBundle},
    tls,
    verify::MeshVerifier,
};
use tunnel_protos::{TokenId, UnixMillis, v1::TokenKind};
use tunnel_runtime::{config::Loaded, tasks::Tasks};
use tunnel_transport::{
    Closed, Header, Kind, Limits,
    quic::{Admission, Listener, ResetKey, ServerTls},
};

use crate::{
    clock,
    config::Config,
    keys::Keys,
    trust::{
        AccessCa,
        testing::{self, DAY, HOUR, label, vendor},
    },
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const CLUSTER: &str = "acme/prod";

pub(crate) fn now() -> UnixMillis {
    clock::wall()
}

/// A vendor's keys, and a customer who has its files.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) mesh: Authority,
    vendor_key: SigningKey,
}

impl Site {
    /// As after a first start: keys, papers, an access CA.
    pub(crate) fn new() -> Self {
        let site = Self::empty();
        let keys = Keys::load_or_create(&site.path("state")).unwrap();
        AccessCa::load_or_create(&site.path("state"), &label(), now()).unwrap();
        let entry = Entry {
            cluster: CLUSTER.parse().unwrap(),
            label: label(),
            cluster_key: keys.cluster.public().clone(),
            sealing_key: *keys.sealing.public(),
            sequence: 1,
            expires: now().plus(60 * DAY),
        };
        site.write("entry.pb", &entry.make(&site.vendor_key).unwrap().encode_to_vec());
        site.write_leaf(DAY, now());
        site
    }

    /// As before the first start.
    pub(crate) fn empty() -> Self {
        let mesh = testing::ca_of(CaKind::Mesh, now().minus(60 * DAY));
        let vendor_key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let site = Self { folder: tempfile::tempdir().unwrap(), mesh, vendor_key };
        site.write("vendor.pub", site.vendor_key.public().to_pem().as_bytes());
        site.write("bundle.pb", &site.trust().make(&site.vendor_key).unwrap().encode_to_vec());
        site.write("policy.yaml", b"version: 1\n");
        site.write("profile.yaml", b"name: test\nendpoints: { default: 'unix:/nowhere/engine.sock' }\n");
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// A mesh certificate that was issued then.
    pub(crate) fn write_leaf(&self, life: Duration, at: UnixMillis) {
        let key = Keys::load_or_create(&self.path("state")).unwrap().mesh;
        let id = "r1".parse().unwrap();
        let leaf = self.mesh.issue_replica(key.public(), &vendor(), &label(), &id, life, at).unwrap();
        self.write("mesh.pem", certificate_to_pem(&leaf).as_bytes());
    }

    /// What the configuration file says, by the vendor's files.
    pub(crate) fn configure(&self, broker: &str, more: &str) {
        let yaml = format!(
            "cluster: {{ name: {CLUSTER}, label: {} }}\nstateDir: state\nprofile: profile.yaml\n\
             policy: policy.yaml\ntrust: {{ bundle: bundle.pb, vendorKeys: [vendor.pub] }}\n\
             mesh: {{ certificate: mesh.pem }}\ninventoryEntry: entry.pb\nbrokers: [\"{broker}\"]\n{more}",
            label()
        );
        self.write("client.yaml", yaml.as_bytes());
    }

    pub(crate) fn read(&self) -> Result<Loaded<Config>, String> {
        Config::read(&self.path("client.yaml"), BTreeMap::new()).map_err(|error| error.to_string())
    }

    pub(crate) fn enrollment(&self) -> Bundle {
        Bundle {
            vendor: vendor(),
            suffix: "tunnel.example".parse().unwrap(),
            broker_addresses: vec!["127.0.0.1:9".to_owned()],
            vendor_keys: vec![self.vendor_key.public().clone()],
            trust_bundle: self.trust().make(&self.vendor_key).unwrap(),
            cluster: CLUSTER.parse().unwrap(),
            label: label(),
            kind: TokenKind::Cluster,
            token: TokenId::from_random(tunnel_certs::crypto::random()),
            secret: Secret::random(),
            expires: now().plus(DAY),
        }
    }

    /// A broker's mesh certificate.
    pub(crate) fn broker(&self) -> Credential {
        let key = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
        let id = "b1".parse().unwrap();
        let leaf = self.mesh.issue_broker(key.public(), &vendor(), &id, HOUR, now()).unwrap();
        Credential::new(vec![leaf], key).unwrap()
    }

    fn trust(&self) -> TrustBundle {
        TrustBundle {
            vendor: vendor(),
            suffix: "tunnel.example".parse().unwrap(),
            sequence: 1,
            expires: now().plus(60 * DAY),
            vendor_keys: vec![self.vendor_key.public().clone()],
            mesh_roots: testing::roots(&[&self.mesh]),
            operator_roots: testing::roots(&[&testing::ca(CaKind::Operator)]),
            release_keys: Vec::new(),
            release_threshold: 0,
            broker_addresses: vec!["127.0.0.1:9".to_owned()],
            allowed_private_addresses: Vec::new(),
        }
    }
}

/// TCP with the certificate given, and UDP as a broker has it, on one port number.
pub(crate) struct Broker {
    pub(crate) address: String,
    /// How each tunnel ended that was taken.
    pub(crate) ended: mpsc::Receiver<Closed>,
    _tasks: Tasks,
}

impl Broker {
    pub(crate) async fn start(site: &Site, shown: &Credential) -> Self {
        Self::serve(site, shown, true).await
    }

    pub(crate) async fn without_udp(site: &Site) -> Self {
        Self::serve(site, &site.broker(), false).await
    }

    async fn serve(site: &Site, shown: &Credential, udp: bool) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let tasks = Tasks::new();
        let acceptor = TlsAcceptor::from(tls::enroll_server(shown).unwrap());
        tasks.spawn(Span::none(), async move {
            while let Ok((tcp, _)) = tcp.accept().await {
                drop(acceptor.accept(tcp).await);
            }
        });
        let (sender, ended) = mpsc::channel(4);
        if udp {
            tasks.spawn(Span::none(), tunnels(listen(site, address), sender));
        }
        Self { address: address.to_string(), ended, _tasks: tasks }
    }
}

/// A way to a broker over UDP that loses what is larger than it carries.
pub(crate) struct Narrow {
    pub(crate) address: String,
    _tasks: Tasks,
}

impl Narrow {
    pub(crate) async fn before(broker: &Broker, most: usize) -> Self {
        let near = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let (address, tasks) = (near.local_addr().unwrap().to_string(), Tasks::new());
        tasks.spawn(Span::none(), carry(near, broker.address.parse().unwrap(), most));
        Self { address, _tasks: tasks }
    }
}

async fn carry(near: Arc<UdpSocket>, broker: SocketAddr, most: usize) {
    let (mut ways, backs) = (HashMap::new(), Tasks::new());
    let mut datagram = [0; 2_048];
    loop {
        let (length, from) = near.recv_from(&mut datagram).await.unwrap();
        if let hash_map::Entry::Vacant(way) = ways.entry(from) {
            let far = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
            far.connect(broker).await.unwrap();
            backs.spawn(Span::none(), carry_back(far.clone(), near.clone(), from, most));
            way.insert(far);
        }
        if length <= most {
            ways[&from].send(&datagram[..length]).await.unwrap();
        }
    }
}

async fn carry_back(far: Arc<UdpSocket>, near: Arc<UdpSocket>, to: SocketAddr, most: usize) {
    let mut datagram = [0; 2_048];
    while let Ok(length) = far.recv(&mut datagram).await {
        if length <= most {
            let _gone = near.send_to(&datagram[..length], to).await;
        }
    }
}

fn listen(site: &Site, address: SocketAddr) -> Listener {
    let verifier = MeshVerifier::new(vendor(), testing::roots(&[&site.mesh]));
    let config = tls::mesh_server(&site.broker(), verifier.clone(), Role::Replica, &[b"postern/1"]).unwrap();
    let tls = ServerTls { config, verifier, peer: Role::Replica };
    Listener::bind(address, tls, &ResetKey::new([1; 32]), Limits::default(), Admission::default()).unwrap()
}

/// Opens the control stream to whom it takes, as brokers do, and hears nothing but the end.
async fn tunnels(listener: Listener, ended: mpsc::Sender<Closed>) {
    while let Some(attempt) = listener.accept().await {
        let Ok(tunnel) = attempt.finish(PATIENCE).await else { continue };
        let opened = timeout(PATIENCE, tunnel.open(&Header::new(Kind::Control), PATIENCE)).await;
        assert!(!matches!(opened, Ok(Ok(_))), "the doctor takes no stream");
        let _ = ended.send(tunnel.closed().await).await;
    }
}
