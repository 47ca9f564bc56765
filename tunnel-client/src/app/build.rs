//! Building the client: every file is read and checked here, in the order in which one needs the other.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::watch;
use tunnel_protos::{Label, UnixMillis};
use tunnel_runtime::{exit::Exit, ready::Readiness, shards::Shards};
use tunnel_transport::{Deadlines, Limits};

use super::{
    Client,
    identity::{GateIdentity, IdentityError},
    operating::Pipeline,
    status::Glance,
};
use crate::{
    approvers::{self, SocketError},
    audit::{self, Audit},
    clock::{self, Clock},
    config::{Cluster, Config},
    engine::{EngineState, ProfileErrors, ProfileFile},
    enrollment::{self, Enrollment, Entries, Facts, Home, HomeError, Office, Progress},
    gate,
    keys::Keys,
    notify::{Webhook, WebhookError},
    operations,
    policy::{Methods, PolicyFile, PolicyState},
    requests::{self, Requests, Room},
    store::StoreError,
    trust::{AccessCa, AccessCaError, Keeper, LoadError, Pace, Sources, Trust},
    tunnels::{Settings, Tunnels},
};

/// Why a client cannot be built; all of it is for whoever runs it.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Where this client belongs.
    #[error("this client's cluster")]
    Home(#[source] HomeError),
    /// What was confirmed of the inventory entry.
    #[error("the inventory entry that was confirmed")]
    Entries(#[source] enrollment::OpenError),
    /// The access CA.
    #[error("the access CA")]
    AccessCa(#[source] AccessCaError),
    /// The vendor's files.
    #[error("the vendor's files")]
    Vendor(#[source] LoadError),
    /// The engine profile.
    #[error("the engine profile")]
    Profile(#[source] ProfileErrors),
    /// The store.
    #[error("the store in {0}")]
    Store(PathBuf, #[source] StoreError),
    /// The requests in it.
    #[error("the requests in {0}")]
    Requests(PathBuf, #[source] requests::OpenError),
    /// The operations in it.
    #[error("the operations")]
    Operations(#[source] operations::OpenError),
    /// The debug bundles.
    #[error("the debug bundles")]
    Bundles(#[source] operations::debug::OpenError),
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
            Self::Home(error) if !error.is_configuration() => Exit::Failed,
            Self::Home(_) | Self::Vendor(_) | Self::Profile(_) | Self::Webhook(_) | Self::NoBroker => {
                Exit::Config
            }
            Self::Entries(_)
            | Self::AccessCa(_)
            | Self::Store(..)
            | Self::Requests(..)
            | Self::Operations(_)
            | Self::Bundles(_)
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
        let (policy_file, policy) = files.policy(&config);
        let settings = config.audit.settings(&config.state_dir, &files.home.cluster);
        let (audit, log) = Audit::open_held(settings).map_err(BuildError::Audit)?;
        // Before the clerk has its first thought: what follows in the log is of this run.
        audit.note(audit::Event::Started { build: env!("CARGO_PKG_VERSION").to_owned() });
        let Belonging { entries, mut office, enrollment } = files.belonging(&config, &audit)?;
        let Pipeline { requests, clerk, view, runner, bundles, operations } =
            files.pipeline(&config, &entries, &policy, &audit).await?;
        // Before the first tunnel says whether requests are taken.
        office.begin(requests.clock().now()).await;
        let gate = files.gate(requests.clock())?;
        let tunnels = Tunnels::new(files.tunnel_settings(&config, &entries, &requests)?);
        let readiness = Readiness::new();
        let webhook = webhook(&config, &files.home.cluster)?;
        Ok(Self {
            listener: approvers::bind(&config.listen.socket).map_err(BuildError::Socket)?,
            shards: Shards::start("shard", shard_count(&config)).map_err(BuildError::Threads)?,
            glance: Glance::new(&files.home.cluster, tunnels.status())
                .with_webhook(webhook.as_ref().map(Webhook::status)),
            trust: files.trust,
            keeper: files.keeper,
            access: files.access,
            entries,
            office,
            enrollment,
            mesh_key: files.keys.mesh.clone(),
            attached: readiness.latch("tunnel"),
            operations,
            runner,
            bundles,
            engine: files.engine,
            profile: files.profile,
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
pub(super) struct Files {
    home: Home,
    keys: Keys,
    pub(super) trust: Trust,
    keeper: Keeper,
    access: AccessCa,
    pub(super) engine: EngineState,
    profile: ProfileFile,
}

/// What is about belonging to a vendor.
struct Belonging {
    entries: Entries,
    office: Office,
    enrollment: Enrollment,
}

impl Files {
    fn read(config: &Config, now: UnixMillis) -> Result<Self, BuildError> {
        let home = Home::read(config).map_err(BuildError::Home)?;
        let keys = home.settle(&config.state_dir).map_err(BuildError::Home)?;
        let label = &home.cluster.label;
        let access = AccessCa::load_or_create(&config.state_dir, label, now).map_err(BuildError::AccessCa)?;
        let (trust, keeper) = Trust::open(sources(config, *label, &keys), now).map_err(BuildError::Vendor)?;
        let (profile, engine) = ProfileFile::open(config.profile.clone()).map_err(BuildError::Profile)?;
        Ok(Self { home, keys, trust, keeper, access, engine, profile })
    }

    fn policy(&self, config: &Config) -> (PolicyFile, PolicyState) {
        let methods = Methods::of(self.engine.engine.borrow().profile());
        let (file, state) = PolicyFile::open(config.policy.clone(), Arc::new(methods));
        (file.following(self.engine.engine.clone()), state)
    }

    fn belonging(&self, config: &Config, audit: &Audit) -> Result<Belonging, BuildError> {
        let progress = Progress::channel(&self.home, &self.trust);
        let settings = enrollment::Settings {
            folder: config.state_dir.clone(),
            cluster: self.home.cluster.clone(),
            configured: config.inventory_entry.clone(),
            keys: self.keys.clone(),
            belief: self.trust.belief(),
            progress: progress.subscribe(),
            facts: Facts::of(config.enrollment.as_ref()),
            audit: audit.clone(),
        };
        let (entries, office) = Entries::open(settings, clock::wall()).map_err(BuildError::Entries)?;
        let enrollment = Enrollment::new(enrollment::Parts {
            folder: config.state_dir.clone(),
            home: self.home.clone(),
            config: config.enrollment.clone(),
            brokers: config.brokers.iter().map(ToString::to_string).collect(),
            trust: self.trust.clone(),
            entries: entries.clone(),
            progress,
            pace: enrollment::Pace::of(config.timeouts.dial, config.timeouts.longest_pause),
        });
        Ok(Belonging { entries, office, enrollment })
    }

    pub(super) fn room(&self, entries: &Entries) -> Room {
        let Cluster { name, label } = &self.home.cluster;
        Room {
            cluster: name.clone(),
            label: *label,
            keys: entries.keys(),
            access: self.access.subscribe(),
            operators: self.trust.operators(),
            targets: self.engine.targets.clone(),
            admission: entries.admission(),
        }
    }

    fn gate(&self, clock: Clock) -> Result<GateIdentity, BuildError> {
        let (access, belief) = (self.access.subscribe(), self.trust.belief());
        GateIdentity::new(access, belief, self.home.cluster.label, clock).map_err(BuildError::Tls)
    }

    fn tunnel_settings(
        &self,
        config: &Config,
        entries: &Entries,
        requests: &Requests,
    ) -> Result<Settings, BuildError> {
        let named: Vec<_> = config.brokers.iter().map(ToString::to_string).collect();
        // The customer's own word about addresses stands above the vendor's.
        let brokers = if named.is_empty() { self.trust.brokers() } else { watch::channel(Arc::new(named)).1 };
        if brokers.borrow().is_empty() {
            return Err(BuildError::NoBroker);
        }
        Ok(Settings {
            brokers,
            wanted: WANTED_TUNNELS,
            dialing: self.trust.dialing(),
            epoch: requests.epoch(),
            admission: entries.admission(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            limits: Limits { streams: config.limits.sessions, ..Limits::default() },
            deadlines: Deadlines { handshake: config.timeouts.dial, ..Deadlines::default() },
            grace: config.timeouts.drain,
            longest_pause: config.timeouts.longest_pause,
            jitter: Pace::default().jitter,
        })
    }
}

fn sources(config: &Config, label: Label, keys: &Keys) -> Sources {
    Sources {
        folder: config.state_dir.clone(),
        label,
        files: config.trust.clone(),
        mesh_certificate: config.mesh_certificate.clone(),
        mesh_key: keys.mesh.clone(),
        pace: Pace::default(),
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
