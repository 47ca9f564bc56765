//! A customer's client without tunnels, and a vendor's operators who ask it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use prost::Message;
use tempfile::TempDir;
use tokio::sync::watch;
use tracing::Span;
use tunnel_certs::{
    issue::{Authority, CaKind},
    key::{Algorithm, SealingKey, Signer, SigningKey},
    seal,
    statement::{
        outcome::{self, Outcome},
        request::{self, Access, Certificate, Kind, Occasion, Reason, Request, Withdraw},
    },
    verify::OperatorVerifier,
};
use tunnel_protos::{
    Digest, EnvelopeId, GrantId, Label, RequestId, TargetName, UnixMillis,
    v1::{self, ReceivedStatus, SealedRequest},
};
use tunnel_runtime::{drain, tasks::Task};

use crate::{
    audit::Audit,
    clock::Wall,
    gate::grants::{GrantRef, GrantsView, channel},
    operations::hands::Hands,
    policy::{Methods, Policy},
    requests::{Admission, KeyPair, Keyring, OpenError, Operators, Requests, Room, Settings},
    store::{Object, Start, Store, StoreError, sqlite::SqliteStore},
    trust::AccessCas,
    tunnels::Inbox,
};

pub(super) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// Then the trust bundle ends.
pub(super) const UNTIL: UnixMillis = UnixMillis(NOW.0 + 10 * 24 * 3_600_000);

pub(super) const POLICY: &str = r#"
version: 1
clocks: { requestTtl: 2h, claimWindow: 30m, workWindow: 1h, certificateTtl: 10m }
access:
  - { methods: ["e.Admin/Get", "e.Admin/List"], approval: auto }
  - { methods: ["e.Admin/Compact"], approval: manual }
"#;

/// The client's side; what it stores outlives it.
pub(super) struct House {
    pub(super) requests: Requests,
    pub(super) view: GrantsView,
    pub(super) wall: TestWall,
    pub(super) policy: watch::Sender<Arc<Policy>>,
    pub(super) disk: Disk,
    pub(super) keys: Arc<HouseKeys>,
    pub(super) folder: TempDir,
    pub(super) live: Live,
    pub(super) hands: Hands,
    clerk: Task<()>,
    _drain: drain::Drain,
}

pub(super) struct HouseKeys {
    pub(super) label: Label,
    pub(super) cluster: Arc<SigningKey>,
    pub(super) sealing: Arc<SealingKey>,
    pub(super) access_ca: Arc<Authority>,
    pub(super) operator_ca: Authority,
}

impl House {
    pub(super) async fn new() -> Self {
        Self::with(Admission::Open).await
    }

    pub(super) async fn with(admission: Admission) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::build(folder, Arc::new(HouseKeys::new("k3v7aaaaaa")), TestWall::default(), admission).await
    }

    /// As [`House::new`], with an audit log.
    pub(super) async fn audited(audit: Audit) -> Self {
        let (folder, keys) = (tempfile::tempdir().unwrap(), Arc::new(HouseKeys::new("k3v7aaaaaa")));
        Self::build_on(folder, keys, TestWall::default(), Admission::Open, audit).await
    }

    async fn build(folder: TempDir, keys: Arc<HouseKeys>, wall: TestWall, admission: Admission) -> Self {
        Self::build_on(folder, keys, wall, admission, Audit::default()).await
    }

    async fn build_on(
        folder: TempDir,
        keys: Arc<HouseKeys>,
        wall: TestWall,
        admission: Admission,
        audit: Audit,
    ) -> Self {
        let (policy, in_force) = watch::channel(Arc::new(load(POLICY)));
        let (writer, view) = channel();
        let disk = Disk::default();
        let (desk, words, hands) = Hands::new();
        let (live, room) = keys.room(admission);
        let (requests, clerk) = Requests::open(Settings {
            room,
            store: disk.store(&folder, &audit).await,
            wall: wall.clone(),
            policy: in_force,
            grants: writer,
            view: view.clone(),
            audit,
            desk,
            words,
        })
        .await
        .unwrap();
        let (drain, watch) = drain::channel();
        let clerk = Task::spawn(Span::none(), clerk.run(watch));
        Self { requests, view, wall, policy, disk, keys, folder, live, hands, clerk, _drain: drain }
    }

    /// A start that does not get far: on this disk the client only opens its store, and is gone.
    pub(super) async fn try_start(
        folder: &TempDir,
        keys: &HouseKeys,
        wall: &TestWall,
        disk: &Disk,
        audit: Audit,
    ) -> Result<(), OpenError> {
        let (grants, view) = channel();
        let store = disk.store(folder, &audit).await;
        let policy = watch::channel(Arc::new(load(POLICY))).1;
        let (room, wall) = (keys.room(Admission::Open).1, wall.clone());
        let (desk, words, _hands) = Hands::new();
        let settings = Settings { room, store, wall, policy, grants, view, audit, desk, words };
        let opened = Requests::open(settings).await;
        opened.map(drop)
    }

    /// As after kill -9: the clerk stops wherever it is, and another process starts on the same folder.
    pub(super) async fn restart(self) -> Self {
        self.restart_after(|_| ()).await
    }

    pub(super) async fn restart_after(self, meanwhile: impl FnOnce(&std::path::Path)) -> Self {
        let Self { requests, clerk, folder, keys, wall, .. } = self;
        drop(requests);
        clerk.abort();
        let _ = clerk.await;
        meanwhile(folder.path());
        Self::build(folder, keys, wall, Admission::Open).await
    }

    /// As [`House::restart`], with another audit log, or the same one opened again.
    pub(super) async fn restart_audited(self, audit: Audit) -> Self {
        let Self { requests, clerk, folder, keys, wall, .. } = self;
        drop(requests);
        clerk.abort();
        let _ = clerk.await;
        Self::build_on(folder, keys, wall, Admission::Open, audit).await
    }

    /// The clerk is stuck, or gone.
    pub(super) fn stop_clerk(&self) {
        self.clerk.abort();
    }

    /// As after an orderly end.
    pub(super) async fn stop(self) -> (TempDir, Arc<HouseKeys>, TestWall) {
        let Self { requests, clerk, folder, keys, wall, .. } = self;
        drop(requests);
        clerk.await.unwrap();
        (folder, keys, wall)
    }

    pub(super) async fn start(folder: TempDir, keys: Arc<HouseKeys>, wall: TestWall) -> Self {
        Self::build(folder, keys, wall, Admission::Open).await
    }

    pub(super) async fn start_audited(
        folder: TempDir,
        keys: Arc<HouseKeys>,
        wall: TestWall,
        audit: Audit,
    ) -> Self {
        Self::build_on(folder, keys, wall, Admission::Open, audit).await
    }

    pub(super) fn operator(&self, name: &str) -> Operator {
        Operator::new(name, &self.keys.operator_ca, self.keys.clone())
    }

    pub(super) async fn deliver(&self, sent: &Sent) -> ReceivedStatus {
        self.requests.deliver(sent.sealed.clone()).await
    }

    /// The latest outcome of `sent`, as its operator reads it.
    pub(super) fn outcome(&self, sent: &Sent) -> Option<Outcome> {
        let outcomes = self.requests.outcomes();
        let sealed = outcomes.into_iter().find(|sealed| sealed.envelope_id == sent.id.as_bytes())?;
        Some(self.keys.read(&sealed, sent))
    }

    pub(super) fn state(&self, sent: &Sent) -> v1::RequestState {
        self.outcome(sent).unwrap().state
    }

    /// Delivers and tells the state it was answered with.
    pub(super) async fn ask(&self, sent: &Sent) -> v1::RequestState {
        assert_eq!(self.deliver(sent).await, ReceivedStatus::Taken);
        self.state(sent)
    }

    pub(super) fn grant(&self, sent: &Sent) -> Option<GrantRef> {
        self.view.grant(&sent.request.id.into())
    }

    /// Moves the wall clock and waits until the clerk has seen it.
    pub(super) async fn pass(&self, time: Duration) {
        self.wall.set(self.wall.now().plus(time));
        self.settle().await;
    }

    /// The clerk lets time pass between two commands.
    pub(super) async fn settle(&self) {
        for _ in 0..2 {
            self.requests.deliver(SealedRequest::default()).await;
        }
    }

    pub(super) fn set_policy(&self, text: &str) {
        self.policy.send_replace(Arc::new(load(text)));
    }
}

pub(super) fn load(text: &str) -> Policy {
    let all = ["e.Admin/Get", "e.Admin/List", "e.Admin/Compact"].map(|method| method.parse().unwrap());
    Policy::load(text, Arc::new(Methods::new(all, [].into(), [0; 32]))).unwrap()
}

impl HouseKeys {
    pub(super) fn new(label: &str) -> Self {
        Self {
            label: label.parse().unwrap(),
            cluster: Arc::new(SigningKey::generate(Algorithm::Ed25519).unwrap()),
            sealing: Arc::new(SealingKey::generate().unwrap()),
            access_ca: Arc::new(ca(CaKind::Access)),
            operator_ca: ca(CaKind::Operator),
        }
    }

    /// An outcome of `sent`, as its operator reads it.
    pub(super) fn read(&self, outcome: &v1::SealedOutcome, sent: &Sent) -> Outcome {
        let bytes = seal::open_outcome(outcome, &sent.id, &sent.outcome_key).unwrap();
        outcome::open(&bytes, self.cluster.public(), &sent.digest, 0).unwrap()
    }

    pub(super) fn room(&self, admission: Admission) -> (Live, Room) {
        let pair = KeyPair { cluster: self.cluster.clone(), sealing: self.sealing.clone() };
        let (keys, keys_now) = watch::channel(Arc::new(Keyring::new(pair)));
        let (access, access_now) = watch::channel(Arc::new(AccessCas::new(self.access_ca.clone())));
        let (operators, operators_now) = watch::channel(Arc::new(trusting(&self.operator_ca, UNTIL)));
        let targets = [TargetName::default_target(), "pod-1".parse().unwrap()].into();
        let room = Room {
            cluster: "acme/prod".parse().unwrap(),
            label: self.label,
            keys: keys_now,
            access: access_now,
            operators: operators_now,
            targets: watch::channel(Arc::new(targets)).1,
            admission: watch::channel(admission).1,
        };
        (Live { keys, access, operators }, room)
    }
}

/// What may be replaced while the house stands.
pub(super) struct Live {
    pub(super) keys: watch::Sender<Arc<Keyring>>,
    pub(super) access: watch::Sender<Arc<AccessCas>>,
    pub(super) operators: watch::Sender<Arc<Operators>>,
}

/// Operators under one root.
pub(super) fn trusting(ca: &Authority, until: UnixMillis) -> Operators {
    let roots = tunnel_certs::roots::Roots::new(vec![ca.certificate().clone()]).unwrap();
    Operators { verifier: OperatorVerifier::new("vendor".parse().unwrap(), roots), until }
}

pub(super) fn ca(kind: CaKind) -> Authority {
    let key = SigningKey::generate(Algorithm::P256).unwrap();
    Authority::create(kind, "test", Arc::new(key), NOW.minus(HOUR)).unwrap()
}

/// Somebody who asks.
pub(super) struct Operator {
    name: String,
    key: Arc<SigningKey>,
    certificate: rustls_pki_types::CertificateDer<'static>,
    pub(super) house: Arc<HouseKeys>,
}

/// A sealed request, and what its operator keeps.
pub(super) struct Sent {
    pub(super) request: Request,
    pub(super) envelope: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) sealed: SealedRequest,
    pub(super) id: EnvelopeId,
    pub(super) outcome_key: Arc<SealingKey>,
}

impl Operator {
    pub(super) fn new(name: &str, ca: &Authority, house: Arc<HouseKeys>) -> Self {
        let key = Arc::new(SigningKey::generate(Algorithm::P256).unwrap());
        let (vendor, operator) = ("vendor".parse().unwrap(), name.parse().unwrap());
        let life = 12 * HOUR;
        let certificate = ca.issue_operator(key.public(), &vendor, &operator, life, NOW).unwrap();
        Self { name: name.to_owned(), key, certificate, house }
    }

    pub(super) fn request(&self, kind: Kind, now: UnixMillis) -> (Request, Arc<SealingKey>) {
        let outcome_key = Arc::new(SealingKey::generate().unwrap());
        let request = Request {
            id: RequestId::random(),
            cluster: "acme/prod".parse().unwrap(),
            label: self.house.label,
            operator: self.name.parse().unwrap(),
            issued: now,
            expires: now.plus(4 * HOUR),
            reason: Reason {
                occasion: Occasion::Incident,
                text: "disk fills".parse().unwrap(),
                ticket: "T-1".parse().unwrap(),
            },
            outcome_key: *outcome_key.public(),
            kind,
        };
        (request, outcome_key)
    }

    pub(super) fn send(&self, (request, outcome_key): (Request, Arc<SealingKey>)) -> Sent {
        let envelope = request::make(&request, &*self.key, &self.certificate).unwrap();
        let digest = tunnel_certs::statement::envelope::digest(&envelope);
        self.seal(request, outcome_key, digest, envelope.encode_to_vec())
    }

    /// Seals once more what was sent: another envelope id, the same signed bytes.
    pub(super) fn seal_again(&self, sent: &Sent) -> Sent {
        self.seal(sent.request.clone(), sent.outcome_key.clone(), sent.digest, sent.envelope.clone())
    }

    fn seal(
        &self,
        request: Request,
        outcome_key: Arc<SealingKey>,
        digest: Digest,
        envelope: Vec<u8>,
    ) -> Sent {
        let sealed = seal::seal_request(&envelope, &self.house.label, self.house.sealing.public()).unwrap();
        let id = seal::envelope_id(&sealed);
        Sent { request, envelope, digest, sealed, id, outcome_key }
    }

    pub(super) fn access(&self, methods: &[&str], now: UnixMillis) -> Sent {
        self.send(self.request(access(methods, &["default"]), now))
    }

    pub(super) fn certificate(&self, grant: GrantId, now: UnixMillis) -> Sent {
        let csr = SigningKey::generate(Algorithm::P256).unwrap().csr().unwrap();
        self.send(self.request(Kind::Certificate(Certificate { grant, csr }), now))
    }

    pub(super) fn withdraw(&self, request: RequestId, now: UnixMillis) -> Sent {
        self.send(self.request(Kind::Withdraw(Withdraw { request }), now))
    }
}

pub(super) fn access(methods: &[&str], targets: &[&str]) -> Kind {
    Kind::Access(Access {
        methods: methods.iter().map(|text| text.parse().unwrap()).collect(),
        targets: targets.iter().map(|text| text.parse().unwrap()).collect(),
        raw: false,
        wanted: HOUR / 2,
    })
}

/// A wall clock that stands still until it is set.
#[derive(Clone)]
pub(super) struct TestWall(Arc<AtomicI64>);

impl Default for TestWall {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(NOW.0)))
    }
}

impl TestWall {
    pub(super) fn set(&self, now: UnixMillis) {
        self.0.store(now.0, Ordering::SeqCst);
    }
}

impl Wall for TestWall {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::SeqCst))
    }
}

/// A disk that can be full, or take new objects only.
#[derive(Clone, Default)]
pub(super) struct Disk {
    full: Arc<AtomicBool>,
    frozen: Arc<AtomicBool>,
    unreadable: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
    mute: Arc<AtomicBool>,
    hangs: Arc<watch::Sender<bool>>,
}

impl Disk {
    /// It answers nobody, until it is told to go on.
    pub(super) fn hang(&self, hangs: bool) {
        self.hangs.send_replace(hangs);
    }

    async fn answers(&self) {
        let _ = self.hangs.subscribe().wait_for(|hangs| !hangs).await;
    }

    pub(super) fn fill(&self) {
        self.full.store(true, Ordering::SeqCst);
    }

    /// What is stored cannot be changed any more.
    pub(super) fn freeze(&self) {
        self.frozen.store(true, Ordering::SeqCst);
    }

    pub(super) fn free(&self) {
        self.full.store(false, Ordering::SeqCst);
    }

    /// Whether something new was stored is not said.
    pub(super) fn mute(&self, mute: bool) {
        self.mute.store(mute, Ordering::SeqCst);
    }

    /// How many changes it refused.
    pub(super) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// What is stored cannot be listed.
    pub(super) fn lose(&self) {
        self.unreadable.store(true, Ordering::SeqCst);
    }
}

impl Disk {
    async fn store(&self, folder: &TempDir, audit: &Audit) -> SickStore {
        let store = SqliteStore::open(folder.path()).await.unwrap().beside(audit.clone());
        SickStore { store, disk: self.clone() }
    }
}

struct SickStore {
    store: SqliteStore,
    disk: Disk,
}

fn check(fault: &AtomicBool) -> Result<(), StoreError> {
    let full = || StoreError::File { path: "disk".into(), source: std::io::ErrorKind::StorageFull.into() };
    if fault.load(Ordering::SeqCst) { Err(full()) } else { Ok(()) }
}

impl Store for SickStore {
    async fn start(&self, now: UnixMillis) -> Result<Start, StoreError> {
        self.store.start(now).await
    }

    async fn create(&self, id: &str, body: &[u8], now: UnixMillis) -> Result<u64, StoreError> {
        self.disk.answers().await;
        check(&self.disk.full)?;
        let created = self.store.create(id, body, now).await;
        check(&self.disk.mute).and(created)
    }

    async fn update(&self, id: &str, body: &[u8], expected: u64, now: UnixMillis) -> Result<u64, StoreError> {
        self.disk.answers().await;
        let refused = |error| {
            self.disk.refused.fetch_add(1, Ordering::SeqCst);
            error
        };
        check(&self.disk.full).and_then(|()| check(&self.disk.frozen)).map_err(refused)?;
        self.store.update(id, body, expected, now).await
    }

    async fn remove(&self, id: &str, expected: u64, now: UnixMillis) -> Result<(), StoreError> {
        self.store.remove(id, expected, now).await
    }

    async fn reset_time(&self, to: UnixMillis, refuse_before: UnixMillis) -> Result<(), StoreError> {
        check(&self.disk.full)?;
        self.store.reset_time(to, refuse_before).await
    }

    async fn get(&self, id: &str) -> Result<Option<Object>, StoreError> {
        self.store.get(id).await
    }

    async fn list(&self) -> Result<Vec<Object>, StoreError> {
        check(&self.disk.unreadable)?;
        self.store.list().await
    }

    async fn distrust(&self, now: UnixMillis) -> Result<UnixMillis, StoreError> {
        check(&self.disk.full)?;
        self.store.distrust(now).await
    }

    async fn settle(&self, now: UnixMillis) -> Result<(), StoreError> {
        check(&self.disk.full)?;
        self.store.settle(now).await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
