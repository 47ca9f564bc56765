//! A vendor, a broker's enrollment that answers as a test tells it, and a client without its other rooms.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use bytes::BytesMut;
use parking_lot::Mutex;
use prost::Message;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;
use tracing::Span;
use tunnel_certs::{
    credential::Credential,
    csr,
    enrollment::{Bundle, Secret},
    issue::{Authority, CaKind},
    key::{Algorithm, PublicKey, Signer, SigningKey},
    roots::Roots,
    statement::{inventory::Entry, trust_bundle::TrustBundle},
    tls,
};
use tunnel_protos::{
    ClusterName, Label, PersonText, TokenId, UnixMillis, VendorName,
    approvers::{EnrollmentState, EnrollmentView},
    v1::{
        self, EnrollReply, EnrollRequest, TokenKind, enroll_reply::Body as Reply, enroll_request::Body as Ask,
    },
};
use tunnel_runtime::{
    drain,
    eventually::eventually,
    tasks::{Task, Tasks},
};
use tunnel_transport::frame;

use super::{Enrollment, Entries, Facts, Home, Pace, Parts, Progress, Settings};
use crate::{
    approvers::EnrollmentDesk,
    audit::Audit,
    clock::{self, Clock, SystemWall},
    config::Config,
    keys::PublicPair,
    requests::Admission,
    trust::{self, Sources, Trust},
};

pub(super) const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
pub(super) const LABEL: &str = "k3v7aaaaaa";

pub(super) fn now() -> UnixMillis {
    clock::wall()
}

/// The vendor's keys, as its administrator has them.
pub(super) struct Vendor {
    pub(super) key: SigningKey,
    pub(super) mesh_ca: Authority,
    operator_ca: Authority,
}

impl Vendor {
    pub(super) fn new() -> Self {
        Self { key: ed25519(), mesh_ca: ca(CaKind::Mesh), operator_ca: ca(CaKind::Operator) }
    }

    pub(super) fn trust(&self, sequence: u64, signer: &SigningKey) -> v1::Envelope {
        self.trust_of(sequence, signer, &self.mesh_ca)
    }

    pub(super) fn trust_of(&self, sequence: u64, signer: &SigningKey, mesh_ca: &Authority) -> v1::Envelope {
        let roots = |ca: &Authority| Roots::new(vec![ca.certificate().clone()]).unwrap();
        let bundle = TrustBundle {
            vendor: vendor(),
            suffix: "tunnel.example".parse().unwrap(),
            sequence,
            expires: now().plus(60 * DAY),
            vendor_keys: vec![self.key.public().clone()],
            mesh_roots: roots(mesh_ca),
            operator_roots: roots(&self.operator_ca),
            release_keys: Vec::new(),
            release_threshold: 0,
            broker_addresses: vec!["127.0.0.1:9".to_owned()],
            allowed_private_addresses: Vec::new(),
        };
        bundle.make(signer).unwrap()
    }

    pub(super) fn bundle(&self, kind: TokenKind) -> Bundle {
        Bundle {
            vendor: vendor(),
            suffix: "tunnel.example".parse().unwrap(),
            broker_addresses: vec!["127.0.0.1:9".to_owned()],
            vendor_keys: vec![self.key.public().clone()],
            trust_bundle: self.trust(5, &self.key),
            cluster: cluster(),
            label: label(),
            kind,
            token: TokenId::from_random(tunnel_certs::crypto::random()),
            secret: Secret::random(),
            expires: now().plus(DAY),
        }
    }

    /// A replica's certificate for the key of a request.
    pub(super) fn certify(&self, csr: &[u8]) -> Vec<u8> {
        self.certify_at(&csr::public_key(csr).unwrap(), &label(), now())
    }

    pub(super) fn certify_at(&self, key: &PublicKey, label: &Label, at: UnixMillis) -> Vec<u8> {
        let id = "replica-1".parse().unwrap();
        self.mesh_ca.issue_replica(key, &vendor(), label, &id, DAY, at).unwrap().to_vec()
    }

    pub(super) fn broker(&self) -> Credential {
        broker_of(&self.mesh_ca)
    }

    pub(super) fn entry(&self, keys: &PublicPair, sequence: u64) -> Entry {
        Entry {
            cluster: cluster(),
            label: label(),
            cluster_key: keys.cluster.clone(),
            sealing_key: keys.sealing,
            sequence,
            expires: now().plus(DAY),
        }
    }

    pub(super) fn signed(&self, keys: &PublicPair, sequence: u64) -> v1::Envelope {
        self.entry(keys, sequence).make(&self.key).unwrap()
    }
}

pub(super) fn vendor() -> VendorName {
    "initech".parse().unwrap()
}

pub(super) fn label() -> Label {
    LABEL.parse().unwrap()
}

pub(super) fn cluster() -> ClusterName {
    "acme/prod".parse().unwrap()
}

pub(super) fn ed25519() -> SigningKey {
    SigningKey::generate(Algorithm::Ed25519).unwrap()
}

/// Old enough for certificates that ran out long ago.
pub(super) fn ca(kind: CaKind) -> Authority {
    let key = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
    Authority::create(kind, "initech", key, now().minus(60 * DAY)).unwrap()
}

pub(super) fn broker_of(ca: &Authority) -> Credential {
    let key = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
    let leaf = ca.issue_broker(key.public(), &vendor(), &"b1".parse().unwrap(), DAY, now()).unwrap();
    Credential::new(vec![leaf], key).unwrap()
}

/// What a broker does with one ask.
pub(super) enum Answer {
    Say(Reply),
    Refuse(v1::EnrollRefusal),
    /// These bytes instead of an answer.
    Bytes(Vec<u8>),
    /// The connection breaks: the reply is lost.
    Drop,
}

type Answering = dyn FnMut(Ask) -> Answer + Send;

/// A broker's door, with real TLS.
pub(super) struct Broker {
    pub(super) address: String,
    pub(super) asks: Arc<Mutex<Vec<Ask>>>,
    pub(super) dialed: Arc<AtomicUsize>,
    _task: Task<()>,
}

impl Broker {
    pub(super) async fn start(
        credential: &Credential,
        answer: impl FnMut(Ask) -> Answer + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::at(listener, credential, answer)
    }

    pub(super) fn at(
        listener: TcpListener,
        credential: &Credential,
        answer: impl FnMut(Ask) -> Answer + Send + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap().to_string();
        let acceptor = TlsAcceptor::from(tls::enroll_server(credential).unwrap());
        let (asks, dialed): (Arc<Mutex<Vec<Ask>>>, Arc<AtomicUsize>) = Default::default();
        let answer: Arc<Mutex<Box<Answering>>> = Arc::new(Mutex::new(Box::new(answer)));
        let (heard, count) = (asks.clone(), dialed.clone());
        let task = Task::spawn(Span::none(), async move {
            while let Ok((tcp, _)) = listener.accept().await {
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                serve(tcp, &acceptor, &heard, &answer).await;
            }
        });
        Self { address, asks, dialed, _task: task }
    }

    pub(super) fn redeems(&self) -> Vec<v1::Redeem> {
        let redeem = |ask: &Ask| if let Ask::Redeem(redeem) = ask { Some(redeem.clone()) } else { None };
        self.asks.lock().iter().filter_map(redeem).collect()
    }

    pub(super) fn dialed(&self) -> usize {
        self.dialed.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// One connection; whatever the client does, the next one is served.
async fn serve(
    tcp: TcpStream,
    acceptor: &TlsAcceptor,
    heard: &Mutex<Vec<Ask>>,
    answer: &Mutex<Box<Answering>>,
) {
    let Ok(mut stream) = acceptor.accept(tcp).await else { return };
    let mut buffer = BytesMut::new();
    loop {
        let frame = match frame::decode(&mut buffer, 64 << 10) {
            Ok(Some(frame)) => frame,
            Ok(None) => match stream.read_buf(&mut buffer).await {
                Ok(1..) => continue,
                _ => return,
            },
            Err(_) => return,
        };
        let ask = EnrollRequest::decode(frame).unwrap().body.unwrap();
        heard.lock().push(ask.clone());
        let said = (*answer.lock())(ask);
        let reply = match said {
            Answer::Say(reply) => reply,
            Answer::Refuse(reason) => {
                Reply::Refused(v1::EnrollRefused { reason: reason.into(), text: "\u{1b}[31mno".into() })
            }
            Answer::Bytes(bytes) => {
                drop(stream.write_all(&bytes).await);
                return;
            }
            Answer::Drop => return,
        };
        let bytes = frame::encode(&EnrollReply { body: Some(reply) }, 64 << 10).unwrap();
        drop(stream.write_all(&bytes).await);
    }
}

/// What an honest broker says to a redeemed token.
pub(super) fn issued(vendor: &Vendor, csr: &[u8]) -> v1::Issued {
    v1::Issued {
        certificate: vendor.certify(csr),
        trust_bundle: Some(vendor.trust(5, &vendor.key)),
        inventory_entry: None,
    }
}

/// The certificate request of an ask.
pub(super) fn csr_of(ask: &Ask) -> Option<&[u8]> {
    match ask {
        Ask::Redeem(redeem) => Some(&redeem.csr),
        Ask::Join(join) => Some(&join.csr),
        Ask::Reissue(reissue) => Some(&reissue.csr),
        Ask::Challenge(_) | Ask::TrustBundle(_) => None,
    }
}

/// Says yes to everybody.
pub(super) fn honest(vendor: &Arc<Vendor>) -> impl FnMut(Ask) -> Answer + Send + use<> {
    let vendor = vendor.clone();
    move |ask| match csr_of(&ask) {
        Some(csr) => Answer::Say(Reply::Issued(issued(&vendor, csr))),
        None => match ask {
            Ask::Challenge(_) => Answer::Say(Reply::Challenge(v1::Challenge { nonce: vec![7; 32] })),
            _ => Answer::Say(Reply::TrustBundle(vendor.trust(6, &vendor.key))),
        },
    }
}

/// A customer's folder.
pub(super) struct Site {
    pub(super) folder: TempDir,
    pub(super) yaml: String,
}

impl Site {
    /// Enrolls by the bundle that lies there; brokers are the ones given.
    pub(super) fn new(brokers: &[&str], more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let brokers: Vec<_> = brokers.iter().map(|address| format!("\"{address}\"")).collect();
        let yaml = format!("stateDir: state\nprofile: p.yaml\nbrokers: [{}]\n{more}\n", brokers.join(","));
        Self { folder, yaml }
    }

    pub(super) fn with_bundle(broker: &Broker, bundle: &Bundle) -> Self {
        let site = Self::new(&[&broker.address], "enrollment: {bundle: b}");
        site.put_bundle(bundle);
        site
    }

    pub(super) fn put_bundle(&self, bundle: &Bundle) {
        tunnel_certs::file::write_private(&self.path("b"), bundle.to_text().as_bytes()).unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(super) fn config(&self) -> Config {
        fs::write(self.path("c.yaml"), &self.yaml).unwrap();
        Config::read(&self.path("c.yaml"), BTreeMap::new()).unwrap().config
    }

    /// Starts a client, as after kill -9 if one ran before.
    pub(super) fn start(&self) -> Running {
        self.try_start().unwrap()
    }

    pub(super) fn try_start(&self) -> anyhow::Result<Running> {
        self.try_start_audited(Audit::default())
    }

    /// As [`Site::start`], beside this log.
    pub(super) fn start_audited(&self, audit: Audit) -> Running {
        self.try_start_audited(audit).unwrap()
    }

    fn try_start_audited(&self, audit: Audit) -> anyhow::Result<Running> {
        let config = self.config();
        let home = Home::read(&config)?;
        let keys = home.settle(&config.state_dir)?;
        let sources = Sources {
            folder: config.state_dir.clone(),
            label: home.cluster.label,
            files: config.trust.clone(),
            mesh_certificate: config.mesh_certificate.clone(),
            mesh_key: keys.mesh.clone(),
            pace: trust::Pace::default(),
        };
        let (trust, keeper) = Trust::open(sources, now())?;
        let progress = Progress::channel(&home, &trust);
        let (entries, office) = Entries::open(
            Settings {
                folder: config.state_dir.clone(),
                cluster: home.cluster.clone(),
                configured: config.inventory_entry.clone(),
                keys,
                belief: trust.belief(),
                progress: progress.subscribe(),
                facts: Facts::of(config.enrollment.as_ref()),
                audit,
            },
            now(),
        )?;
        let enrollment = Enrollment::new(Parts {
            folder: config.state_dir.clone(),
            home,
            config: config.enrollment.clone(),
            brokers: config.brokers.iter().map(ToString::to_string).collect(),
            trust: trust.clone(),
            entries: entries.clone(),
            progress,
            pace: PACE,
        });
        let (drain, watch) = drain::channel();
        let tasks = Tasks::new();
        tasks.spawn(Span::none(), keeper.run(Audit::default()));
        tasks.spawn(Span::none(), office.run(Clock::new(SystemWall, now())));
        tasks.spawn(Span::none(), enrollment.run(watch));
        Ok(Running { entries, trust, _tasks: tasks, _drain: drain })
    }

    pub(super) fn keys(&self) -> PublicPair {
        super::home::keys(&self.state()).unwrap().pair().public()
    }
}

/// A client that enrolls; dropping it is kill -9.
pub(super) struct Running {
    pub(super) entries: Entries,
    pub(super) trust: Trust,
    _tasks: Tasks,
    _drain: drain::Drain,
}

impl Running {
    pub(super) fn view(&self) -> EnrollmentView {
        self.entries.view()
    }

    pub(super) fn waiting(&self) -> Option<tunnel_protos::Digest> {
        self.entries.waiting()
    }

    pub(super) fn takes_requests(&self) -> bool {
        *self.entries.admission().borrow() == Admission::Open
    }

    pub(super) fn has_certificate(&self) -> bool {
        self.trust.belief().borrow().leaf.is_some()
    }

    pub(super) async fn eventually(&self, what: &str, reached: impl Fn(&EnrollmentView) -> bool) {
        eventually(what, PATIENCE, || {
            let reached = reached(&self.view());
            async move { reached }
        })
        .await;
    }

    pub(super) async fn eventually_is(&self, state: EnrollmentState) {
        self.eventually(state.as_str_name(), |view| view.state() == state).await;
    }

    pub(super) async fn eventually_fails_with(&self, part: &str) {
        self.eventually(part, |view| view.last_error.contains(part)).await;
    }

    pub(super) async fn admitted(&self) {
        let mut admission: watch::Receiver<Admission> = self.entries.admission();
        let open = admission.wait_for(|admission| *admission == Admission::Open);
        tokio::time::timeout(PATIENCE, open).await.unwrap().unwrap();
    }

    pub(super) async fn confirm(&self, words: &str) -> Result<(), crate::approvers::ConfirmError> {
        let entry = self.entries.waiting().ok_or(crate::approvers::ConfirmError::NothingWaits)?;
        let by = crate::approvers::Approver::by_uid("alice", 1001);
        self.entries.confirm(entry, words.parse().unwrap(), PersonText::default(), by).await
    }
}

pub(super) fn words_of(entry: &v1::Envelope) -> String {
    tunnel_certs::words::Words::of(&tunnel_certs::statement::envelope::digest(entry)).to_string()
}

/// Short, so that tests see several attempts.
const PACE: Pace = Pace {
    first: Duration::from_millis(20),
    longest: Duration::from_millis(50),
    slow: Duration::from_millis(100),
    deadline: Duration::from_secs(5),
};
