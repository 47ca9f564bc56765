//! Tunnels of replicas: attach, control, probe, and the registry that sessions look doors up in.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use tracing::{debug, info, warn};
use tunnel_certs::identity::Identity;
use tunnel_protos::{DoorName, Label, ReplicaId, UnixMillis};
use tunnel_runtime::{chain, drain};
use tunnel_transport::{Code, Tunnel};

pub(crate) use self::control::Attendant;
use self::{
    attach::{AttachError, Handshaken},
    errands::Errands,
    mail::Mail,
    pushes::Pushes,
    registry::{Overview, Registry, TunnelId, Way},
};
use crate::{
    clock, enroll::Enroll, entries::Inventory, lanes::Lane, mailbox::Mailbox, metrics, trust::Trust,
};

mod attach;
mod control;
mod errands;
mod herald;
mod mail;
mod probe;
mod pushes;
pub(crate) mod registry;

/// What every tunnel is told or held to.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// Time between two probes at rest.
    pub(crate) probe_interval: Duration,
    /// Doors per tunnel.
    pub(crate) doors: u32,
    /// Streams per tunnel, control included.
    pub(crate) streams: u32,
    /// How long sessions may finish after a drain began.
    pub(crate) drain_grace: Duration,
}

/// A live tunnel and where its tasks run; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    /// Opens streams to the replica.
    pub(crate) tunnel: Tunnel,
    /// Everything of this tunnel runs here.
    pub(crate) lane: Lane,
    /// Rung when there may be something to tell the replica.
    pub(crate) nudge: Arc<Notify>,
}

/// The rooms that tunnels talk to.
#[derive(Debug)]
pub(crate) struct Around {
    /// Requests and outcomes.
    pub(crate) mailbox: Arc<Mailbox>,
    /// Certificates, bans, the rotation.
    pub(crate) enroll: Arc<Enroll>,
    /// Inventory entries.
    pub(crate) inventory: Arc<Inventory>,
    /// Trust bundle, and the broker's own certificate.
    pub(crate) trust: Arc<Trust>,
}

/// All tunnels of this broker.
#[derive(Debug)]
pub(crate) struct Tunnels {
    terms: Terms,
    registry: Mutex<Registry<Live>>,
    around: Arc<Around>,
    drain: drain::Watch,
}

impl Tunnels {
    /// No tunnels yet.
    pub(crate) fn new(terms: Terms, around: Around, drain: drain::Watch) -> Self {
        let registry = Mutex::new(Registry::new(terms.doors));
        Self { terms, registry, around: Arc::new(around), drain }
    }

    /// The rooms that tunnels talk to.
    pub(crate) fn around(&self) -> &Arc<Around> {
        &self.around
    }

    /// Welcomes a replica whose identity is proven; what comes back runs the tunnel until its end.
    pub(crate) async fn welcome(self: &Arc<Self>, live: Live) -> Option<Attendant> {
        let Identity::Replica { label, id: replica, .. } = live.tunnel.peer().clone() else {
            live.tunnel.close(Code::Unauthorized);
            return None;
        };
        match attach::attach(self, &live, label, &replica).await {
            Ok(handshaken) => Some(self.attendant(live, label, replica, handshaken)),
            Err(error) => {
                refuse(&live.tunnel, &error);
                None
            }
        }
    }

    /// Where a door leads now.
    pub(crate) fn way(&self, name: &DoorName) -> Way<Live> {
        self.registry.lock().way(name)
    }

    /// A cluster as seen from here.
    pub(crate) fn overview(&self, label: Label) -> Overview {
        self.registry.lock().overview(label)
    }

    /// Live tunnels of a cluster.
    pub(crate) fn count(&self, label: Label) -> u32 {
        u32::try_from(self.registry.lock().of(label, None).count()).unwrap_or(u32::MAX)
    }

    /// Whether a replica has a tunnel.
    pub(crate) fn is_connected(&self, label: Label, replica: &ReplicaId) -> bool {
        self.registry.lock().of(label, Some(replica)).next().is_some()
    }

    /// Closes all tunnels of a cluster, or of one replica of it, with everything in them; returns how many.
    pub(crate) fn close(&self, label: Label, replica: Option<&ReplicaId>, code: Code) -> u32 {
        let tunnels: Vec<_> =
            self.registry.lock().of(label, replica).map(|live| live.tunnel.clone()).collect();
        tunnels.iter().for_each(|tunnel| tunnel.close(code));
        u32::try_from(tunnels.len()).unwrap_or(u32::MAX)
    }

    fn attendant(
        self: &Arc<Self>,
        live: Live,
        label: Label,
        replica: ReplicaId,
        handshaken: Handshaken,
    ) -> Attendant {
        let Live { tunnel, nudge, .. } = live;
        let presence = Presence::new(Arc::clone(self), label, replica, &tunnel, handshaken.id);
        info!(%label, tunnel.address = %tunnel.remote_address(), "Tunnel attached");
        let mail = handshaken.takes_requests.then(|| Mail::new(Arc::clone(&self.around.mailbox), label));
        let expires = self.expiry(&tunnel);
        Attendant::new(presence, tunnel, handshaken.control, mail, Pushes::new(label, nudge), expires)
    }

    /// When a tunnel must end: at the earlier end of the two certificates.
    fn expiry(&self, tunnel: &Tunnel) -> Instant {
        let end = tunnel.peer_not_after().min(self.around.trust.own_now().not_after);
        Instant::now() + end.since(clock::now())
    }
}

fn refuse(tunnel: &Tunnel, error: &AttachError) {
    metrics::attach(error.as_str());
    if matches!(error, AttachError::Duplicate(_)) {
        warn!(peer = %tunnel.peer(), "Two processes share one replica's identity, the older start is refused");
    } else {
        debug!(peer = %tunnel.peer(), error = %chain(error), "Tunnel not attached");
    }
    tunnel.close(error.code());
}

/// The registry's entry of one tunnel; taken out on drop, however the tunnel ends.
struct Presence {
    tunnels: Arc<Tunnels>,
    label: Label,
    replica: ReplicaId,
    not_after: UnixMillis,
    carrier: &'static str,
    id: TunnelId,
}

impl Presence {
    /// The tunnel changes its own entry only.
    fn entry(&self) -> (Label, TunnelId) {
        (self.label, self.id)
    }

    fn new(tunnels: Arc<Tunnels>, label: Label, replica: ReplicaId, tunnel: &Tunnel, id: TunnelId) -> Self {
        metrics::attach("attached");
        metrics::tunnels().increment(1);
        let (not_after, carrier) = (tunnel.peer_not_after(), tunnel.carrier());
        metrics::carried(carrier).increment(1);
        let presence = Self { tunnels, label, replica, not_after, carrier, id };
        presence.seen();
        presence
    }

    /// Noted when it comes and when it goes: in between it is connected.
    fn seen(&self) {
        self.tunnels.around.enroll.note_seen(self.label, &self.replica, self.not_after, clock::now());
    }

    fn errands(&self) -> Errands {
        Errands::new(Arc::clone(&self.tunnels.around), self.label, self.replica.clone())
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        metrics::tunnels().decrement(1);
        metrics::carried(self.carrier).decrement(1);
        self.seen();
        self.tunnels.registry.lock().remove(self.label, self.id);
    }
}
