//! Tunnels of replicas: attach, control, probe, and the registry that sessions look doors up in.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{debug, info, warn};
use tunnel_certs::identity::Identity;
use tunnel_protos::{BrokerId, DoorName, Label, UnixMillis};
use tunnel_runtime::{chain, drain};
use tunnel_transport::{Code, Tunnel};

pub(crate) use self::control::Attendant;
use self::{
    attach::{AttachError, Handshaken},
    mail::Mail,
    registry::{Overview, Registry, TunnelId, Way},
};
use crate::{clock, lanes::Lane, mailbox::Mailbox, metrics};

mod attach;
mod control;
mod mail;
mod probe;
pub(crate) mod registry;

/// What every tunnel is told or held to.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// Said in `Welcome`.
    pub(crate) broker_id: BrokerId,
    /// Time between two probes at rest.
    pub(crate) probe_interval: Duration,
    /// Doors per tunnel.
    pub(crate) doors: u32,
    /// Streams per tunnel, control included.
    pub(crate) streams: u32,
    /// Last moment of the broker's own certificate.
    pub(crate) not_after: UnixMillis,
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
}

/// All tunnels of this broker.
#[derive(Debug)]
pub(crate) struct Tunnels {
    terms: Terms,
    registry: Mutex<Registry<Live>>,
    mailbox: Arc<Mailbox>,
    drain: drain::Watch,
}

impl Tunnels {
    /// No tunnels yet.
    pub(crate) fn new(terms: Terms, mailbox: Arc<Mailbox>, drain: drain::Watch) -> Self {
        let registry = Mutex::new(Registry::new(terms.doors));
        Self { terms, registry, mailbox, drain }
    }

    /// Welcomes a replica whose identity is proven; what comes back runs the tunnel until its end.
    pub(crate) async fn welcome(self: &Arc<Self>, live: Live) -> Option<Attendant> {
        let Identity::Replica { label, id: replica, .. } = live.tunnel.peer().clone() else {
            live.tunnel.close(Code::Unauthorized);
            return None;
        };
        match attach::attach(self, &live, label, &replica).await {
            Ok(handshaken) => Some(self.attendant(live.tunnel, label, handshaken)),
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

    fn attendant(self: &Arc<Self>, tunnel: Tunnel, label: Label, handshaken: Handshaken) -> Attendant {
        let presence = Presence::new(Arc::clone(self), label, handshaken.id);
        info!(%label, tunnel.address = %tunnel.remote_address(), "Tunnel attached");
        let mail = handshaken.takes_requests.then(|| Mail::new(Arc::clone(&self.mailbox), label));
        let expires = self.expiry(&tunnel);
        Attendant::new(presence, tunnel, handshaken.control, mail, expires)
    }

    /// When a tunnel must end: at the earlier end of the two certificates.
    fn expiry(&self, tunnel: &Tunnel) -> Instant {
        let end = tunnel.peer_not_after().min(self.terms.not_after);
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
    id: TunnelId,
}

impl Presence {
    /// The tunnel changes its own entry only.
    fn entry(&self) -> (Label, TunnelId) {
        (self.label, self.id)
    }

    fn new(tunnels: Arc<Tunnels>, label: Label, id: TunnelId) -> Self {
        metrics::attach("attached");
        metrics::tunnels().increment(1);
        Self { tunnels, label, id }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        metrics::tunnels().decrement(1);
        self.tunnels.registry.lock().remove(self.label, self.id);
    }
}
