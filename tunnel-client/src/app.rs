//! The whole client: files read and sockets bound at build, served until drained; runs in any process.
//!
//! Invariant: every task is owned by [`Client::serve`], and a panic in one ends it.

mod desk;
mod identity;
mod status;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::net::UnixListener;
use tracing::{info_span, warn};
use tunnel_protos::{ClusterName, TargetName, UnixMillis, v1::TargetHealth};
use tunnel_runtime::{
    drain::Watch,
    ready::{Latch, Readiness},
    shards::Shards,
    tasks::{Task, Tasks},
};
use tunnel_transport::{Deadlines, Limits, quic};

use self::{desk::AppDesk, identity::GateIdentity, status::Glance};
use crate::{
    approvers::{self, SocketError},
    audit::Audit,
    config::Config,
    engine::{Engine, Profile, ProfileError},
    gate::{
        self, Gate,
        grants::{self, GrantsView},
    },
    keys::{Keys, KeysError},
    metrics::Expiries,
    policy::{Methods, PolicyFile, PolicyState},
    requests::{self, Clerk, Requests, Room, SystemWall},
    store::{StoreError, sqlite::SqliteStore},
    tunnels::{Rooms, Settings, Tunnels},
    vendor::{Vendor, VendorError},
};

/// Why a client cannot be built; all of it is for whoever configured it.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Our own keys.
    #[error("this cluster's keys")]
    Keys(#[source] KeysError),
    /// The vendor's files.
    #[error("the vendor's files")]
    Vendor(#[source] VendorError),
    /// The engine profile.
    #[error("the engine profile")]
    Profile(#[source] ProfileError),
    /// The store.
    #[error("the store in {0}")]
    Store(PathBuf, #[source] StoreError),
    /// The requests in it.
    #[error("the requests in {0}")]
    Requests(PathBuf, #[source] requests::OpenError),
    /// The socket.
    #[error("the approvers' socket")]
    Socket(#[source] SocketError),
    /// TLS of the gate or towards brokers.
    #[error("TLS")]
    Tls(#[source] identity::IdentityError),
    /// No threads.
    #[error("cannot start threads")]
    Threads(#[source] std::io::Error),
    /// Nobody to dial.
    #[error("neither `brokers` nor the trust bundle names a broker")]
    NoBroker,
}

/// A client that is bound and does not serve yet.
pub struct Client {
    requests: Requests,
    clerk: Clerk<SqliteStore>,
    policy_file: PolicyFile,
    engine: Engine,
    gate: GateIdentity,
    tunnels: Tunnels,
    shards: Shards,
    listener: UnixListener,
    socket: PathBuf,
    view: GrantsView,
    policy: PolicyState,
    glance: Glance,
    expiries: Expiries,
    readiness: Readiness,
    attached: Latch,
    cluster: ClusterName,
    audit: Audit,
}

impl Client {
    /// Reads and checks every file and binds the socket; call it inside a tokio runtime.
    pub async fn build(config: Config) -> Result<Self, BuildError> {
        let now = UnixMillis::from_system(SystemTime::now());
        let keys =
            Keys::load_or_create(&config.state_dir, &config.cluster.label, now).map_err(BuildError::Keys)?;
        let vendor = Vendor::load(&config, &keys, now).map_err(BuildError::Vendor)?;
        let engine = Engine::new(Profile::load(&config.profile).map_err(BuildError::Profile)?);
        let (policy_file, policy) = PolicyFile::open(config.policy.clone(), methods(engine.profile()));
        let (writer, view) = grants::channel();
        let audit = Audit::default();
        let store = SqliteStore::open(&config.state_dir).await;
        let store = store.map_err(|error| BuildError::Store(config.state_dir.clone(), error))?;
        let (requests, clerk) = Requests::open(requests::Settings {
            room: room(&config, &keys, &vendor, &engine),
            store,
            wall: SystemWall,
            policy: policy.policy.clone(),
            grants: writer,
            view: view.clone(),
            audit: audit.clone(),
        })
        .await
        .map_err(|error| BuildError::Requests(config.state_dir.clone(), error))?;
        let gate = GateIdentity::new(
            keys.access_ca.clone(),
            config.cluster.label,
            vendor.bundle.suffix.clone(),
            now,
        )
        .map_err(BuildError::Tls)?;
        let tunnels = Tunnels::new(tunnel_settings(&config, &vendor, requests.epoch())?);
        let listener = approvers::bind(&config.socket).map_err(BuildError::Socket)?;
        let readiness = Readiness::new();
        Ok(Self {
            glance: Glance::new(&config, &keys, &vendor, tunnels.status()),
            expiries: expiries(&keys, &vendor),
            attached: readiness.latch("tunnel"),
            shards: Shards::start("shard", shard_count(&config)).map_err(BuildError::Threads)?,
            socket: config.socket.clone(),
            requests,
            clerk,
            policy_file,
            engine,
            gate,
            tunnels,
            listener,
            view,
            policy,
            readiness,
            cluster: config.cluster.name,
            audit,
        })
    }

    /// Where the approvers' socket is bound.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether it is ready, for the admin port.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Serves until drained: tunnels first, then what they need.
    pub async fn serve(self, drain: Watch) {
        self.expiries.record();
        warn_of_expiry(&self.expiries);
        let tasks = Tasks::new();
        let rooms = self.rooms(&drain);
        let clerk = Task::spawn(info_span!("requests"), self.clerk.run(drain.clone()));
        let desk =
            AppDesk::new(self.requests, self.glance, self.engine.clone(), self.policy.clone(), self.view);
        tasks.spawn(info_span!("policy"), self.policy_file.watch());
        tasks.spawn(info_span!("gate"), self.gate.renew());
        tasks.spawn(info_span!("ready"), ready(self.tunnels.attached(), self.attached));
        let engine = self.engine;
        tasks.spawn(info_span!("engine"), async move { engine.watch_health().await });
        tasks.spawn(info_span!("approvers"), approvers::serve(self.listener, desk, drain.clone()));
        tasks.supervise(self.tunnels.run(&rooms, &self.shards, &drain)).await;
        self.readiness.drain();
        // Their handles go with them, which ends the clerk; it closes the store.
        drop((rooms, tasks));
        if !matches!(tokio::time::timeout(CLOSE, clerk).await, Ok(Ok(()))) {
            warn!("Store not closed in order");
        }
        // Blocks for moments only: nothing runs there any more.
        self.shards.join(CLOSE);
    }

    fn rooms(&self, drain: &Watch) -> Rooms<Requests, Gate> {
        let engine = self.engine.clone();
        Rooms {
            inbox: self.requests.clone(),
            sessions: self.gate(drain),
            grants: self.view.clone(),
            health: Arc::new(move || engine.targets().map(|name| target_health(&engine, name)).collect()),
        }
    }

    fn gate(&self, drain: &Watch) -> Gate {
        let clock = self.requests.clock();
        Gate::new(gate::Parts {
            cluster: self.cluster.clone(),
            tls: self.gate.subscribe(),
            grants: self.view.clone(),
            policy: self.policy.policy.clone(),
            engine: self.engine.clone(),
            audit: self.audit.clone(),
            clock: gate::Clock::new(move || clock.now()),
            drain: drain.clone(),
            longest_call: None,
        })
    }
}

fn target_health(engine: &Engine, name: &TargetName) -> TargetHealth {
    TargetHealth { target: name.to_string(), health: engine.health(name).into() }
}

fn room(config: &Config, keys: &Keys, vendor: &Vendor, engine: &Engine) -> Room {
    Room {
        cluster: config.cluster.name.clone(),
        label: config.cluster.label,
        cluster_key: keys.cluster.clone(),
        sealing_key: keys.sealing.clone(),
        access_ca: keys.access_ca.clone(),
        operators: vendor.operators(),
        targets: engine.targets().cloned().collect(),
        admission: vendor.admission(),
    }
}

fn methods(profile: &Profile) -> Arc<Methods> {
    // The profile maps no operations yet.
    let operations = std::collections::BTreeSet::new();
    Arc::new(match profile.descriptors() {
        Some(descriptors) => {
            let all = descriptors.methods().map(|method| method.name().clone());
            Methods::new(all, operations, *profile.digest())
        }
        None => Methods::without_descriptors(operations, *profile.digest()),
    })
}

fn tunnel_settings(config: &Config, vendor: &Vendor, epoch: u64) -> Result<Settings, BuildError> {
    let named = config.brokers.iter().map(ToString::to_string).collect::<Vec<_>>();
    let brokers = if named.is_empty() { vendor.bundle.broker_addresses.clone() } else { named };
    if brokers.is_empty() {
        return Err(BuildError::NoBroker);
    }
    let tls = identity::mesh(&vendor.mesh, vendor.brokers(), quic::ALPN).map_err(BuildError::Tls)?;
    let (_, tls) = tokio::sync::watch::channel(tls);
    Ok(Settings {
        brokers,
        wanted: WANTED_TUNNELS,
        tls,
        epoch,
        build: env!("CARGO_PKG_VERSION").to_owned(),
        limits: Limits { streams: config.limits.sessions, ..Limits::default() },
        deadlines: Deadlines { handshake: config.timeouts.dial, ..Deadlines::default() },
        grace: config.timeouts.drain,
        longest_pause: config.timeouts.longest_pause,
    })
}

fn expiries(keys: &Keys, vendor: &Vendor) -> Expiries {
    Expiries {
        trust_bundle: vendor.bundle.expires,
        entry: vendor.entry.as_ref().ok().copied(),
        mesh_certificate: vendor.mesh.validity().1,
        access_ca: keys.access_ca.validity().1,
    }
}

fn warn_of_expiry(expiries: &Expiries) {
    let now = UnixMillis::from_system(SystemTime::now());
    let soon = |end: UnixMillis, warning: Duration| end.since(now) < warning;
    if soon(expiries.trust_bundle, TRUST_BUNDLE_WARNING) {
        warn!("Trust bundle expires soon; ask the vendor for a newer one");
    }
    if soon(expiries.access_ca, ACCESS_CA_WARNING) {
        warn!("Access CA expires soon");
    }
}

/// Ready from the first tunnel on.
async fn ready(mut attached: tokio::sync::watch::Receiver<usize>, latch: Latch) {
    // An error says that the tunnels are gone, and the process with them.
    if attached.wait_for(|count| *count > 0).await.is_ok() {
        latch.release();
    }
}

fn shard_count(config: &Config) -> usize {
    match config.limits.shards {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        count => count,
    }
}

/// To two different brokers, so that a restart of one is not noticed.
const WANTED_TUNNELS: usize = 2;
/// A bundle lives 90 days and is renewed at 60.
const TRUST_BUNDLE_WARNING: Duration = Duration::from_secs(30 * 24 * 3600);
/// A twelfth of its life.
const ACCESS_CA_WARNING: Duration = Duration::from_secs(30 * 24 * 3600);
/// Sessions are over by then; this is for the store alone.
const CLOSE: Duration = Duration::from_secs(6);
