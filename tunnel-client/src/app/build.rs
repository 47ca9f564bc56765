//! Building the client: every file is read and checked here, in the order in which one needs the other.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::watch;
use tunnel_protos::UnixMillis;
use tunnel_runtime::{exit::Exit, ready::Readiness, shards::Shards};
use tunnel_transport::{Deadlines, Limits, quic};

use super::{
    Client,
    identity::{self, GateIdentity, IdentityError},
    status::Glance,
};
use crate::{
    approvers::{self, SocketError},
    audit::{self, Audit},
    clock::{self, Clock},
    config::{Cluster, Config},
    engine::{Engine, Profile, ProfileErrors},
    enrollment::{Home, HomeError},
    gate::{
        self,
        grants::{self, GrantsView},
    },
    keys::{Keys, KeysError},
    metrics::Expiries,
    notify::{Webhook, WebhookError},
    policy::{Methods, PolicyFile, PolicyState},
    requests::{self, Clerk, Requests, Room},
    store::{StoreError, sqlite::SqliteStore},
    tunnels::{Settings, Tunnels},
    vendor::{Vendor, VendorError},
};

/// Why a client cannot be built; all of it is for whoever runs it.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Where this client belongs.
    #[error("this client's cluster")]
    Home(#[source] HomeError),
    /// Our own keys.
    #[error("this cluster's keys")]
    Keys(#[source] KeysError),
    /// The vendor's files.
    #[error("the vendor's files")]
    Vendor(#[source] VendorError),
    /// The engine profile.
    #[error("the engine profile")]
    Profile(#[source] ProfileErrors),
    /// The store.
    #[error("the store in {0}")]
    Store(PathBuf, #[source] StoreError),
    /// The requests in it.
    #[error("the requests in {0}")]
    Requests(PathBuf, #[source] requests::OpenError),
    /// The audit log.
    #[error("the audit log")]
    Audit(#[source] audit::OpenError),
    /// The socket.
    #[error("the approvers' socket")]
    Socket(#[source] SocketError),
    /// TLS of the gate or toward brokers.
    #[error("TLS")]
    Tls(#[source] IdentityError),
    /// No threads.
    #[error("cannot start threads")]
    Threads(#[source] std::io::Error),
    /// The webhook.
    #[error("the webhook")]
    Webhook(#[source] WebhookError),
    /// Nobody to dial.
    #[error("neither `brokers` nor the trust bundle names a broker")]
    NoBroker,
}

impl BuildError {
    /// How the process ends by it: files that the configuration names are part of it, the machine is not.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Home(_) | Self::Vendor(_) | Self::Profile(_) | Self::Webhook(_) | Self::NoBroker => {
                Exit::Config
            }
            Self::Keys(_)
            | Self::Store(..)
            | Self::Requests(..)
            | Self::Audit(_)
            | Self::Socket(_)
            | Self::Tls(_)
            | Self::Threads(_) => Exit::Failed,
        }
    }
}

impl Client {
    /// Reads and checks every file and binds the socket; call it inside a tokio runtime.
    pub async fn build(config: Config) -> Result<Self, BuildError> {
        let files = Files::read(&config, clock::wall())?;
        let (policy_file, policy) =
            PolicyFile::open(config.policy.clone(), Arc::new(Methods::of(files.engine.profile())));
        let settings = config.audit.settings(&config.state_dir, &files.home.cluster);
        let (audit, log) = Audit::open(settings).map_err(BuildError::Audit)?;
        // Before the clerk has its first thought: what follows in the log is of this run.
        audit.note(audit::Event::Started { build: env!("CARGO_PKG_VERSION").to_owned() });
        let (requests, clerk, view) = files.open_requests(&config, &policy, &audit).await?;
        let gate = files.gate(requests.clock())?;
        let tunnels = Tunnels::new(files.tunnel_settings(&config, &requests)?);
        let readiness = Readiness::new();
        let webhook = webhook(&config, &files.home.cluster)?;
        Ok(Self {
            listener: approvers::bind(&config.listen.socket).map_err(BuildError::Socket)?,
            shards: Shards::start("shard", shard_count(&config)).map_err(BuildError::Threads)?,
            glance: Glance::new(&config.state_dir, &files.home, &files.keys, &files.vendor, tunnels.status())
                .with_webhook(webhook.as_ref().map(Webhook::status)),
            expiries: files.expiries(),
            attached: readiness.latch("tunnel"),
            engine: files.engine,
            socket: config.listen.socket,
            label: files.home.cluster.label,
            cluster: files.home.cluster.name,
            sessions: gate::Sessions::default(),
            newcomers: config.limits.sessions as usize / NEWCOMERS,
            webhook,
            requests,
            clerk,
            policy_file,
            policy,
            gate,
            tunnels,
            view,
            readiness,
            audit,
            log,
        })
    }
}

fn webhook(config: &Config, cluster: &Cluster) -> Result<Option<Webhook>, BuildError> {
    let webhook = |told| Webhook::new(told, &cluster.name, cluster.label);
    config.webhook.as_ref().map(webhook).transpose().map_err(BuildError::Webhook)
}

/// What was read and checked.
struct Files {
    home: Home,
    keys: Keys,
    vendor: Vendor,
    engine: Engine,
}

impl Files {
    fn read(config: &Config, now: UnixMillis) -> Result<Self, BuildError> {
        let home = Home::read(config).map_err(BuildError::Home)?;
        let keys =
            Keys::load_or_create(&config.state_dir, &home.cluster.label, now).map_err(BuildError::Keys)?;
        let vendor = Vendor::load(config, &home.cluster, &keys, now).map_err(BuildError::Vendor)?;
        let profile = Profile::load(&config.profile).map_err(BuildError::Profile)?;
        Ok(Self { home, keys, vendor, engine: Engine::new(profile) })
    }

    async fn open_requests(
        &self,
        config: &Config,
        policy: &PolicyState,
        audit: &Audit,
    ) -> Result<(Requests, Clerk<SqliteStore>, GrantsView), BuildError> {
        let folder = || config.state_dir.clone();
        let store = SqliteStore::open(&config.state_dir).await;
        let (writer, view) = grants::channel();
        let settings = requests::Settings {
            room: self.room(),
            store: store.map_err(|error| BuildError::Store(folder(), error))?.beside(audit.clone()),
            wall: clock::SystemWall,
            policy: policy.policy.clone(),
            grants: writer,
            view: view.clone(),
            audit: audit.clone(),
        };
        let opened = Requests::open(settings).await;
        let (requests, clerk) = opened.map_err(|error| BuildError::Requests(folder(), error))?;
        Ok((requests, clerk, view))
    }

    fn room(&self) -> Room {
        let Cluster { name, label } = &self.home.cluster;
        Room {
            cluster: name.clone(),
            label: *label,
            cluster_key: self.keys.cluster.clone(),
            sealing_key: self.keys.sealing.clone(),
            access_ca: self.keys.access_ca.clone(),
            operators: self.vendor.operators(),
            targets: self.engine.targets().cloned().collect(),
            admission: self.vendor.admission(),
        }
    }

    fn gate(&self, clock: Clock) -> Result<GateIdentity, BuildError> {
        let (label, suffix) = (self.home.cluster.label, self.vendor.bundle.suffix.clone());
        GateIdentity::new(self.keys.access_ca.clone(), label, suffix, clock).map_err(BuildError::Tls)
    }

    fn tunnel_settings(&self, config: &Config, requests: &Requests) -> Result<Settings, BuildError> {
        let named: Vec<_> = config.brokers.iter().map(ToString::to_string).collect();
        let brokers = if named.is_empty() { self.vendor.bundle.broker_addresses.clone() } else { named };
        if brokers.is_empty() {
            return Err(BuildError::NoBroker);
        }
        let tls =
            identity::mesh(&self.vendor.mesh, self.vendor.brokers(), quic::ALPN).map_err(BuildError::Tls)?;
        let (_, tls) = watch::channel(tls);
        Ok(Settings {
            brokers,
            wanted: WANTED_TUNNELS,
            tls,
            epoch: requests.epoch(),
            takes_requests: requests.refusing().is_none(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            limits: Limits { streams: config.limits.sessions, ..Limits::default() },
            deadlines: Deadlines { handshake: config.timeouts.dial, ..Deadlines::default() },
            grace: config.timeouts.drain,
            longest_pause: config.timeouts.longest_pause,
        })
    }

    fn expiries(&self) -> Expiries {
        Expiries {
            trust_bundle: self.vendor.bundle.expires,
            entry: self.vendor.entry.as_ref().ok().copied(),
            mesh_certificate: self.vendor.mesh.validity().1,
            access_ca: self.keys.access_ca.validity().1,
        }
    }
}

/// One seat in so many may be held by who has proven nothing: a stranger gets no more, and a burst of operators fits.
const NEWCOMERS: usize = 4;

fn shard_count(config: &Config) -> usize {
    match config.limits.shards {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        count => count,
    }
}

/// To two different brokers, so that a restart of one is not noticed.
const WANTED_TUNNELS: usize = 2;
