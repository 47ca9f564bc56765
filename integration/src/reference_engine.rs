//! Reference engine: a small sharded key-value store on disk with an admin gRPC, the engine that tests, demo and
//! benches reach through a tunnel. It knows nothing of tunnels: whatever works with it works with any such engine.

mod admin;
mod bulk;
mod cluster;
mod debug;
mod faults;
mod kv;
mod listen;
mod serve;
mod session;
mod store;
mod tasks;
mod wire_fault;

use std::{fs, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

pub use debug::MADE_UP_SECRETS;
pub use listen::{Addresses, Error as ListenError, TlsFiles, TlsListener};
pub use serve::Running;
use thiserror::Error;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;
pub use wire_fault::{BadEngine, WireFault};

use self::{cluster::Cluster, listen::Listener, store::Store};

/// The encoded `FileDescriptorSet` of the engine's services, the standard health service among them.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("../profiles/reference-engine.protoset");

/// What an engine is made of; without a listener it serves nobody.
#[derive(Debug)]
pub struct Options {
    /// Folder of the store, created if absent.
    pub data: PathBuf,
    /// Number of shards of a new store; an old one keeps its own.
    pub shards: u32,
    /// How long a node is `STARTING` after a restart, upgrade or scale-out.
    pub startup: Duration,
    /// How long a change, or what is collected of it, takes to be answered.
    pub pace: Duration,
    /// Plain HTTP/2.
    pub h2c: Option<SocketAddr>,
    /// HTTP/2 over TLS.
    pub tls: Option<TlsListener>,
    /// Plain HTTP/2 on a Unix socket; a stale socket file is replaced.
    pub unix: Option<PathBuf>,
}

impl Options {
    /// An engine on a free loopback port, in plain HTTP/2.
    pub fn loopback(data: impl Into<PathBuf>) -> Self {
        let h2c = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let (startup, pace) = (Duration::ZERO, Duration::ZERO);
        Self { data: data.into(), shards: 4, startup, pace, h2c, tls: None, unix: None }
    }
}

/// Why an engine could not be built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The data folder cannot be made.
    #[error("cannot create {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store's files cannot be read or are damaged.
    #[error("cannot open the store")]
    Store(#[from] store::OpenError),
    /// The file of nodes and settings cannot be read.
    #[error("cannot open the cluster's state")]
    Cluster(#[from] cluster::OpenError),
    /// A listener cannot be bound.
    #[error("cannot listen")]
    Listen(#[from] listen::Error),
    /// The descriptors cannot be served.
    #[error("cannot serve reflection")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// An engine whose store is open and whose sockets are bound, not yet serving.
#[derive(Debug)]
pub struct ReferenceEngine {
    parts: Arc<Parts>,
    routes: Routes,
    listeners: Vec<Listener>,
    addresses: Addresses,
}

/// What all services share.
#[derive(Debug)]
struct Parts {
    store: Arc<Store>,
    cluster: Cluster,
    pace: Duration,
    counters: debug::Counters,
    health: HealthReporter,
}

impl ReferenceEngine {
    /// Opens the store and binds the sockets; port 0 works, see [`ReferenceEngine::addresses`].
    pub fn build(options: Options) -> Result<Self, BuildError> {
        let Options { data, shards, startup, pace, h2c, tls, unix } = options;
        fs::create_dir_all(&data).map_err(|source| BuildError::Folder { path: data.clone(), source })?;
        let store = Arc::new(Store::open(&data, shards)?);
        let cluster = Cluster::open(data.join("cluster.json"), startup)?;
        let (listeners, addresses) = listen::bind(h2c, tls, unix)?;
        let (counters, health) = (debug::Counters::default(), HealthReporter::new());
        let parts = Arc::new(Parts { store, cluster, pace, counters, health });
        let routes = serve::routes(&parts)?;
        Ok(Self { parts, routes, listeners, addresses })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Serves on the current runtime until the handle is stopped or dropped.
    pub fn spawn(self) -> io::Result<Running> {
        serve::spawn(&self.parts, &self.routes, self.listeners, self.addresses)
    }
}
