//! The whole broker: sockets are bound at build, served at start; it ends in two phases, both bounded.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, time::timeout};
use tracing::{info, info_span, warn};
use tunnel_runtime::{
    drain::{self, Drain},
    exit::Exit,
    ready::{Latch, Readiness},
    shards::Shards,
    tasks::{Task, TaskError, Tasks},
};
use tunnel_transport::{
    Code,
    quic::{BindError, Listener},
};

pub use self::state::StateError;
pub(crate) use self::wiring::DATABASE;
use self::wiring::{
    api, bind_quic, concierge, dock, open_enrollment, open_inventory, open_mailbox, open_store, open_trust,
    shards, terms,
};
use crate::{
    accept::{quic::Dock, tcp},
    clock,
    config::Config,
    enroll::{Enroll, EnrollError},
    entries::Inventory,
    lanes::Lanes,
    mailbox::Mailbox,
    sessions::Sessions,
    store::{OpenError, StoreError},
    trust::{Bundles, Trust, TrustError},
    tunnels::{Around, Tunnels},
};

mod state;
mod wiring;

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
    /// Enrollment cannot begin.
    #[error("enrollment")]
    Enroll(#[source] EnrollError),
    /// Inventory entries cannot be read.
    #[error("the inventory entries")]
    Inventory(#[source] StoreError),
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

impl BuildError {
    /// How the process ends by it: files that the configuration names are part of it, the machine is not.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Trust(TrustError::Store(_)) => Exit::Failed,
            Self::Trust(_)
            | Self::Enroll(EnrollError::Authority(..) | EnrollError::Folder(..) | EnrollError::Leaf(_)) => {
                Exit::Config
            }
            Self::State(_)
            | Self::Store(_)
            | Self::Enroll(EnrollError::Store(_))
            | Self::Inventory(_)
            | Self::Mailbox(_)
            | Self::Threads(_)
            | Self::Quic(_)
            | Self::Thread(_)
            | Self::Tcp(..)
            | Self::Address(_) => Exit::Failed,
        }
    }
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
    inventory: Arc<Inventory>,
    enroll: Arc<Enroll>,
    trust: Arc<Trust>,
    tunnels: Arc<Tunnels>,
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
        let store = open_store(&config).await?;
        let bundles = Bundles::open(&config.trust, store.clone(), clock::now()).await;
        let bundles = Arc::new(bundles.map_err(BuildError::Trust)?);
        let inventory = open_inventory(&config, &store, &bundles).await?;
        let enroll = open_enrollment(&config, &store, &bundles, &inventory).await?;
        let trust = open_trust(&config, bundles, &enroll)?;
        let mailbox = open_mailbox(&config, store).await?;
        let shards = Shards::start("tunnels", shards(&config)).map_err(BuildError::Threads)?;
        let lanes = Arc::new(Lanes::new(&shards));
        let listener = Arc::new(bind_quic(&config, &trust, &lanes).await?);
        let unbound = |error| BuildError::Tcp(config.listen.tcp, error);
        let tcp = TcpListener::bind(config.listen.tcp).await.map_err(unbound)?;
        let addresses = Addresses {
            quic: listener.local_addr().map_err(BuildError::Address)?,
            tcp: tcp.local_addr().map_err(BuildError::Address)?,
        };
        let (drain, watch) = drain::channel();
        let around = Around {
            mailbox: Arc::clone(&mailbox),
            enroll: Arc::clone(&enroll),
            inventory: Arc::clone(&inventory),
            trust: Arc::clone(&trust),
        };
        let tunnels = Arc::new(Tunnels::new(terms(&config), around, watch.clone()));
        let sessions = Arc::new(Sessions::new(Arc::clone(&tunnels), config.limits.sessions.clone()));
        let dock = dock(&config, &listener, &lanes, &tunnels);
        let api = api(&config, &tunnels, watch);
        let concierge = Arc::new(concierge(&config, &trust, &sessions, api, &enroll));
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
            inventory,
            enroll,
            trust,
            tunnels,
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
        tasks.spawn(info_span!("entries"), self.inventory.follow(watch()));
        tasks.spawn(info_span!("trust"), self.trust.keep(Arc::clone(&self.listener), watch()));
        tasks.spawn(info_span!("herald"), Arc::clone(&self.tunnels).herald(watch()));
        tasks.spawn(info_span!("rotation"), self.tunnels.watch_rotation(watch()));
        tasks.spawn(info_span!("enroll"), self.enroll.keep(watch()));
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
