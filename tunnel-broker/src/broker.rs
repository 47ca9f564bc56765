//! The whole broker: sockets are bound at build, served at start; it ends in two phases, both bounded.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tracing::{info, info_span, warn};
use tunnel_runtime::{
    drain::{self, Drain},
    ready::{Latch, Readiness},
    shards::Shards,
    tasks::{Task, TaskError, Tasks},
};
use tunnel_transport::{
    Code,
    quic::{Admission, BindError, Listener, ServerTls},
};

pub use self::{state::StateError, trust::TrustError};
use self::{state::reset_key, trust::Trust};
use crate::{
    accept::{quic::Dock, tcp, waiting_room::WaitingRoom},
    clock,
    config::Config,
    entries::Folder,
    lanes::Lanes,
    mailbox::Mailbox,
    operators::{
        Visible,
        api::{Api, Parts},
        server::{ApiServer, ApiTls},
    },
    sessions::Sessions,
    store::{OpenError, Store, StoreError, requests::Quota},
    tunnels::{Terms, Tunnels},
};

mod state;
mod trust;

/// Why a broker cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Identities, roots or keys cannot be used.
    #[error("the broker's trust")]
    Trust(#[source] TrustError),
    /// The state folder cannot be used.
    #[error("the state folder")]
    State(#[source] StateError),
    /// The database cannot be opened.
    #[error("the database")]
    Store(#[source] OpenError),
    /// The mailbox cannot be read.
    #[error("the mailbox")]
    Mailbox(#[source] StoreError),
    /// The threads cannot be started.
    #[error("cannot start the threads of tunnels")]
    Threads(#[source] io::Error),
    /// UDP cannot be bound.
    #[error("the QUIC listener")]
    Quic(#[source] BindError),
    /// The thread that was to bind UDP is gone.
    #[error("the QUIC listener's thread")]
    Thread(#[source] TaskError),
    /// TCP cannot be bound.
    #[error("cannot bind TCP {0}")]
    Tcp(SocketAddr, #[source] io::Error),
    /// A bound address cannot be read.
    #[error("cannot read a bound address")]
    Address(#[source] io::Error),
}

/// A broker that is bound and does not serve yet.
pub struct Broker {
    addresses: Addresses,
    readiness: Readiness,
    latch: Latch,
    drain: Drain,
    shards: Shards,
    lanes: Arc<Lanes>,
    listener: Arc<Listener>,
    tcp: TcpListener,
    dock: Dock,
    concierge: Arc<tcp::Concierge>,
    folder: Arc<Folder>,
    mailbox: Arc<Mailbox>,
    sessions: Arc<Sessions>,
}

/// A broker at work; dropping it ends it at once.
pub struct Running {
    addresses: Addresses,
    readiness: Readiness,
    drain: Drain,
    /// Connections to the TCP listener, and the listener itself.
    tasks: Arc<Tasks>,
    supervisor: Task<()>,
    lanes: Arc<Lanes>,
    listener: Arc<Listener>,
    mailbox: Arc<Mailbox>,
    sessions: Arc<Sessions>,
    // Last: everything that runs on its threads is gone by then.
    shards: Shards,
}

/// Where a broker is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// UDP.
    pub quic: SocketAddr,
    /// TCP.
    pub tcp: SocketAddr,
}

impl Broker {
    /// Reads identities and trust, opens the database and binds the sockets; call it inside a tokio runtime.
    pub async fn build(config: Config) -> Result<Self, BuildError> {
        let trust = Trust::load(&config, clock::now()).map_err(BuildError::Trust)?;
        let mailbox = open_mailbox(&config).await?;
        let shards = Shards::start("tunnels", config.shards).map_err(BuildError::Threads)?;
        let lanes = Arc::new(Lanes::new(&shards));
        let listener = Arc::new(bind_quic(&config, &trust, &lanes).await?);
        let unbound = |error| BuildError::Tcp(config.listen.tcp, error);
        let tcp = TcpListener::bind(config.listen.tcp).await.map_err(unbound)?;
        let addresses = Addresses {
            quic: listener.local_addr().map_err(BuildError::Address)?,
            tcp: tcp.local_addr().map_err(BuildError::Address)?,
        };
        let (drain, watch) = drain::channel();
        let tunnels = Arc::new(Tunnels::new(terms(&config, &trust), Arc::clone(&mailbox), watch.clone()));
        let sessions = Arc::new(Sessions::new(Arc::clone(&tunnels), config.limits.sessions.clone()));
        let folder = Arc::new(Folder::new(config.entries.clone(), trust.bundle.vendor_keys.clone()));
        let dock = dock(&config, &listener, &lanes, &tunnels);
        let api = api(&config, &trust, &folder, &tunnels, &mailbox, watch);
        let concierge = Arc::new(concierge(&config, &trust, &sessions, api));
        let readiness = Readiness::new();
        let latch = readiness.latch("start");
        Ok(Self {
            addresses,
            readiness,
            latch,
            drain,
            shards,
            lanes,
            listener,
            tcp,
            dock,
            concierge,
            folder,
            mailbox,
            sessions,
        })
    }

    /// Where it is bound.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Whether it is ready: for the admin port.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Starts to serve.
    pub fn start(self) -> Running {
        let tasks = Arc::new(Tasks::new());
        let watch = || self.drain.watch();
        let accept = tcp::accept(self.tcp, self.concierge, Arc::clone(&tasks), watch());
        tasks.spawn(info_span!("accept"), accept);
        tasks.spawn(info_span!("entries"), self.folder.follow(watch()));
        tasks.spawn(info_span!("tidy"), tidy(Arc::clone(&self.mailbox), watch()));
        self.lanes.first().spawn(info_span!("dock"), self.dock.accept(watch()));
        let supervisor =
            Task::spawn(info_span!("broker"), supervise(Arc::clone(&tasks), Arc::clone(&self.lanes)));
        self.latch.release();
        Running {
            addresses: self.addresses,
            readiness: self.readiness,
            drain: self.drain,
            tasks,
            supervisor,
            lanes: self.lanes,
            listener: self.listener,
            mailbox: self.mailbox,
            sessions: self.sessions,
            shards: self.shards,
        }
    }
}

impl Running {
    /// Where it is bound.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Whether it is ready: for the admin port.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Ends when the broker failed by itself; until then it waits.
    pub async fn failed(&mut self) {
        // It has nothing to give but its end.
        let _ = (&mut self.supervisor).await;
    }

    /// Accepts nothing new, tells replicas, waits for sessions up to `grace`, then cuts; true if all ended in time.
    pub async fn drain(self, grace: Duration) -> bool {
        info!(?grace, "Draining");
        self.readiness.drain();
        let (tasks, sessions) = (Arc::clone(&self.tasks), Arc::clone(&self.sessions));
        let idle = async move {
            tokio::join!(tasks.idle(), sessions.idle());
        };
        let finished = self.drain.run(grace, idle).await;
        self.tasks.abort_all();
        if timeout(GOODBYE, self.listener.close(Code::Draining)).await.is_err() {
            warn!("Some replicas did not hear of the end");
        }
        self.lanes.abort_all();
        self.mailbox.close().await;
        drop(self.supervisor);
        let shards = self.shards;
        // Joining blocks; the threads have nothing left to do.
        let joined = tokio::task::spawn_blocking(move || shards.join(GOODBYE)).await;
        info!(finished, "Drained");
        finished && joined.unwrap_or(false)
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

async fn open_mailbox(config: &Config) -> Result<Arc<Mailbox>, BuildError> {
    state::prepare(&config.state_dir).map_err(BuildError::State)?;
    let limits = &config.limits.operators;
    let path = config.state_dir.join("broker.sqlite");
    let store = Store::open(&path, limits.database_timeout).await.map_err(BuildError::Store)?;
    let quota = Quota { per_operator: limits.held_per_operator, total: limits.held };
    Mailbox::open(store, quota, clock::now()).await.map(Arc::new).map_err(BuildError::Mailbox)
}

/// Packets are received by the runtime that binds.
async fn bind_quic(config: &Config, trust: &Trust, lanes: &Lanes) -> Result<Listener, BuildError> {
    let key = reset_key(&config.state_dir).map_err(BuildError::State)?;
    let tls = ServerTls {
        config: Arc::clone(&trust.mesh_tls),
        verifier: trust.mesh_verifier.clone(),
        peer: tunnel_certs::identity::Role::Replica,
    };
    let limits = tunnel_transport::Limits {
        streams: streams(config),
        idle: 3 * config.probe_interval + SILENCE,
        ..Default::default()
    };
    let admission = Admission { refuse_above: config.limits.connections.handshakes, ..Default::default() };
    let address = config.listen.quic;
    let bind = async move { Listener::bind(address, tls, &key, limits, admission) };
    let bound = lanes.first().shard().spawn(info_span!("bind"), bind).await;
    bound.map_err(BuildError::Thread)?.map_err(BuildError::Quic)
}

fn streams(config: &Config) -> u32 {
    config.limits.sessions.per_tunnel.saturating_add(1)
}

fn terms(config: &Config, trust: &Trust) -> Terms {
    Terms {
        broker_id: trust.broker_id.clone(),
        probe_interval: config.probe_interval,
        doors: config.limits.connections.doors_per_tunnel,
        streams: streams(config),
        not_after: trust.mesh_not_after,
        drain_grace: config.drain_grace,
    }
}

fn dock(config: &Config, listener: &Arc<Listener>, lanes: &Arc<Lanes>, tunnels: &Arc<Tunnels>) -> Dock {
    let limits = &config.limits.connections;
    Dock {
        listener: Arc::clone(listener),
        lanes: Arc::clone(lanes),
        tunnels: Arc::clone(tunnels),
        berths: Arc::new(Semaphore::new(limits.tunnels)),
        handshake_timeout: limits.hello_timeout,
    }
}

fn api(
    config: &Config,
    trust: &Trust,
    folder: &Arc<Folder>,
    tunnels: &Arc<Tunnels>,
    mailbox: &Arc<Mailbox>,
    drain: drain::Watch,
) -> ApiServer {
    let parts = Parts {
        broker_id: trust.broker_id.clone(),
        suffix: trust.bundle.suffix.clone(),
        visible: Visible::new(config.operators.clone()),
        folder: Arc::clone(folder),
        tunnels: Arc::clone(tunnels),
        mailbox: Arc::clone(mailbox),
        drain: drain.clone(),
    };
    let tls = ApiTls { config: Arc::clone(&trust.api_tls), verifier: trust.operator_verifier.clone() };
    ApiServer::new(tls, Api::new(parts, &config.limits.operators), &config.limits, drain)
}

fn concierge(config: &Config, trust: &Trust, sessions: &Arc<Sessions>, api: ApiServer) -> tcp::Concierge {
    let limits = &config.limits.connections;
    tcp::Concierge {
        suffix: trust.bundle.suffix.clone(),
        hello_timeout: limits.hello_timeout,
        waiting_room: WaitingRoom::new(limits.unrouted, limits.unrouted_per_source),
        sessions: Arc::clone(sessions),
        api,
    }
}

async fn supervise(tasks: Arc<Tasks>, lanes: Arc<Lanes>) {
    tasks.supervise(lanes.supervise()).await;
}

async fn tidy(mailbox: Arc<Mailbox>, drain: drain::Watch) {
    while !drain.is_draining() {
        if let Err(error) = mailbox.tidy(clock::now()).await {
            warn!(error = %tunnel_runtime::chain(&error), "Mailbox not tidied");
        }
        tokio::select! {
            () = tokio::time::sleep(TIDY) => {}
            () = drain.draining() => {}
        }
    }
}

/// A request lapses at most this late.
const TIDY: Duration = Duration::from_secs(60);
/// For the last packets, and for threads to end.
const GOODBYE: Duration = Duration::from_secs(2);
/// Beyond the probes that may be missed: they end a tunnel first, with a better reason.
const SILENCE: Duration = Duration::from_secs(10);
