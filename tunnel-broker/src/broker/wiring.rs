//! Puts the broker's rooms together: each gets its own slice of the configuration and the rooms it talks to.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Semaphore, watch};
use tracing::info_span;
use tunnel_certs::identity::Role;
use tunnel_runtime::drain;
use tunnel_transport::quic::{Admission, Listener, ServerTls};

use super::{BuildError, state, trust::Trust};
use crate::{
    accept::{quic::Dock, tcp, waiting_room::WaitingRoom},
    clock,
    config::Config,
    enroll::{Enroll, Surroundings, Trusted, server::EnrollServer},
    entries::Folder,
    lanes::Lanes,
    mailbox::Mailbox,
    operators::{
        Visible,
        api::{Api, Parts},
        server::{ApiServer, ApiTls},
    },
    sessions::Sessions,
    store::{Store, requests::Quota},
    tunnels::{Terms, Tunnels},
};

/// Opens the database in the state folder.
pub(super) async fn open_store(config: &Config) -> Result<Store, BuildError> {
    state::prepare(&config.state_dir).map_err(BuildError::State)?;
    let path = config.state_dir.join("broker.sqlite");
    Store::open(&path, config.limits.operators.database_timeout).await.map_err(BuildError::Store)
}

/// Reads what is known of replicas and their certificates.
pub(super) async fn open_enrollment(
    config: &Config,
    store: &Store,
    trusted: Trusted,
    folder: &Arc<Folder>,
) -> Result<Arc<Enroll>, BuildError> {
    let folder = Arc::clone(folder);
    let entry = move |label| folder.entries().labeled(label).map(|entry| entry.envelope.clone());
    let (_, trust) = watch::channel(Arc::new(trusted));
    let around = Surroundings { trust, entry: Box::new(entry) };
    let opened = Enroll::open(&config.enroll, &config.state_dir, store.clone(), around, clock::now()).await;
    opened.map_err(BuildError::Enroll)
}

/// Opens the mailbox.
pub(super) async fn open_mailbox(config: &Config, store: Store) -> Result<Arc<Mailbox>, BuildError> {
    let limits = &config.limits.operators;
    let quota = Quota { per_operator: limits.held_per_operator, total: limits.held };
    let per_second = config.limits.connections.mail_per_second;
    Mailbox::open(store, quota, per_second, clock::now()).await.map(Arc::new).map_err(BuildError::Mailbox)
}

/// One per core unless told otherwise: tunnels share nothing but the socket.
pub(super) fn shards(config: &Config) -> usize {
    match config.limits.shards {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        told => told,
    }
}

/// Binds UDP on the first lane: packets are received by the runtime that binds.
pub(super) async fn bind_quic(config: &Config, trust: &Trust, lanes: &Lanes) -> Result<Listener, BuildError> {
    let key = state::reset_key(&config.state_dir).map_err(BuildError::State)?;
    let tls = ServerTls {
        config: Arc::clone(&trust.mesh_tls),
        verifier: trust.mesh_verifier.clone(),
        peer: Role::Replica,
    };
    let limits = tunnel_transport::Limits {
        streams: streams(config),
        idle: 3 * config.timeouts.probe_interval + SILENCE,
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

/// What every tunnel is told or held to.
pub(super) fn terms(config: &Config, trust: &Trust) -> Terms {
    Terms {
        broker_id: trust.broker_id.clone(),
        probe_interval: config.timeouts.probe_interval,
        doors: config.limits.connections.doors_per_tunnel,
        streams: streams(config),
        not_after: trust.mesh_not_after,
        drain_grace: config.timeouts.drain,
    }
}

/// The way in of replicas.
pub(super) fn dock(
    config: &Config,
    listener: &Arc<Listener>,
    lanes: &Arc<Lanes>,
    tunnels: &Arc<Tunnels>,
) -> Dock {
    let limits = &config.limits.connections;
    Dock {
        listener: Arc::clone(listener),
        lanes: Arc::clone(lanes),
        tunnels: Arc::clone(tunnels),
        berths: Arc::new(Semaphore::new(limits.tunnels)),
        handshake_timeout: limits.hello_timeout,
    }
}

/// The operators' API.
pub(super) fn api(
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

/// The way in of operators.
pub(super) fn concierge(
    config: &Config,
    trust: &Trust,
    sessions: &Arc<Sessions>,
    api: ApiServer,
    enroll: &Arc<Enroll>,
) -> tcp::Concierge {
    let limits = &config.limits.connections;
    tcp::Concierge {
        suffix: trust.bundle.suffix.clone(),
        hello_timeout: limits.hello_timeout,
        waiting_room: WaitingRoom::new(limits.unrouted, limits.unrouted_per_source),
        sessions: Arc::clone(sessions),
        api,
        enroll: EnrollServer::new(Arc::clone(enroll), limits.hello_timeout),
    }
}

/// Beyond the probes that may be missed: they end a tunnel first, with a better reason.
const SILENCE: Duration = Duration::from_secs(10);
