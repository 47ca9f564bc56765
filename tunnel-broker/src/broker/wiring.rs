//! Puts the broker's rooms together: each gets its own slice of the configuration and the rooms it talks to.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tracing::info_span;
use tunnel_runtime::drain;
use tunnel_transport::quic::{Admission, Listener};

use super::{BuildError, state};
use crate::{
    accept::{quic::Dock, tcp, waiting_room::WaitingRoom},
    clock,
    config::Config,
    enroll::{Enroll, Surroundings, server::EnrollServer},
    entries::Inventory,
    lanes::Lanes,
    mailbox::Mailbox,
    operators::{
        Visible,
        admin::Admin,
        api::{Api, Parts},
        server::ApiServer,
    },
    sessions::Sessions,
    store::{Store, requests::Quota},
    trust::{Bundles, Trust},
    tunnels::{Terms, Tunnels},
};

/// The database's file in the state folder.
pub(crate) const DATABASE: &str = "broker.sqlite";

/// Opens the database in the state folder.
pub(super) async fn open_store(config: &Config) -> Result<Store, BuildError> {
    state::prepare(&config.state_dir).map_err(BuildError::State)?;
    let path = config.state_dir.join(DATABASE);
    Store::open(&path, config.limits.operators.database_timeout).await.map_err(BuildError::Store)
}

/// Reads the inventory entries.
pub(super) async fn open_inventory(
    config: &Config,
    store: &Store,
    bundles: &Bundles,
) -> Result<Arc<Inventory>, BuildError> {
    let opened = Inventory::open(config.entries.clone(), store.clone(), bundles.follow()).await;
    opened.map_err(BuildError::Inventory)
}

/// Reads what is known of replicas and their certificates.
pub(super) async fn open_enrollment(
    config: &Config,
    store: &Store,
    bundles: &Bundles,
    inventory: &Arc<Inventory>,
) -> Result<Arc<Enroll>, BuildError> {
    let inventory = Arc::clone(inventory);
    let entry = move |label| inventory.entries().labeled(label).map(|entry| entry.envelope.clone());
    let around = Surroundings { trust: bundles.follow(), entry: Box::new(entry) };
    let opened = Enroll::open(&config.enroll, &config.state_dir, store.clone(), around, clock::now()).await;
    opened.map_err(BuildError::Enroll)
}

/// Reads what the broker shows.
pub(super) fn open_trust(
    config: &Config,
    bundles: Arc<Bundles>,
    enroll: &Arc<Enroll>,
) -> Result<Arc<Trust>, BuildError> {
    let trust = Trust::load(config, bundles, Arc::clone(enroll), clock::now());
    trust.map(Arc::new).map_err(BuildError::Trust)
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
    let tls = trust.mesh_tls().map_err(BuildError::Trust)?;
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
pub(super) fn terms(config: &Config) -> Terms {
    Terms {
        probe_interval: config.timeouts.probe_interval,
        doors: config.limits.connections.doors_per_tunnel,
        streams: streams(config),
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
pub(super) fn api(config: &Config, tunnels: &Arc<Tunnels>, drain: drain::Watch) -> ApiServer {
    let around = tunnels.around();
    let parts = Parts {
        trust: Arc::clone(&around.trust),
        suffix: around.trust.bundles().current().bundle.suffix.clone(),
        visible: Visible::new(config.operators.clone()),
        inventory: Arc::clone(&around.inventory),
        tunnels: Arc::clone(tunnels),
        mailbox: Arc::clone(&around.mailbox),
        drain: drain.clone(),
    };
    let services = (
        Api::new(parts, &config.limits.operators),
        Admin::new(config.administrators.clone(), Arc::clone(tunnels)),
    );
    ApiServer::new(around.trust.api_tls(), services, &config.limits, drain)
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
        suffix: trust.bundles().current().bundle.suffix.clone(),
        hello_timeout: limits.hello_timeout,
        waiting_room: WaitingRoom::new(limits.unrouted, limits.unrouted_per_source),
        sessions: Arc::clone(sessions),
        api,
        enroll: EnrollServer::new(Arc::clone(enroll), limits.hello_timeout),
    }
}

/// Beyond the probes that may be missed: they end a tunnel first, with a better reason.
const SILENCE: Duration = Duration::from_secs(10);
