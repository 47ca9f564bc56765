//! The gate: ends an operator's TLS, decides on every call, and forwards what may pass to the engine.
//!
//! It sees grants only through the read-only [`grants::GrantsView`]; nothing here can widen a grant.

mod admission;
mod answer;
mod call;
mod deadline;
pub mod grants;
mod handshake;
mod keepalive;
mod ledger;
mod limits;
mod metadata;
mod methods;
pub mod metrics;
mod pipe;
mod relay;
mod session;
mod signals;
pub mod status;
#[cfg(test)]
mod testing;
mod upstream;
mod usage;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, BufWriter},
    sync::watch,
};
use tracing::{debug, info};
use tunnel_certs::tls::GateTls;
use tunnel_protos::{ClusterName, Door, UnixMillis};
use tunnel_runtime::{chain, drain};
use tunnel_transport::Stream;

pub use self::session::End;

use self::{
    admission::Admitted,
    grants::GrantsView,
    handshake::{Handshake, HandshakeError},
    metadata::RequestMetadata,
    methods::Methods,
    metrics::Metrics,
    session::Session,
    status::Refusal,
    upstream::Upstream,
};
use crate::{audit::Audit, engine::Engine, policy::Policy, tunnels::Sessions};

/// Where a gate's time comes from: the later of the wall clock and what was persisted.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixMillis + Send + Sync>);

impl Clock {
    /// Asks `now` whenever the time is needed.
    pub fn new(now: impl Fn() -> UnixMillis + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> UnixMillis {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// What a gate is built from.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Goes into the commands that refusals name.
    pub cluster: ClusterName,
    /// TLS as it is now.
    pub tls: watch::Receiver<Arc<GateTls>>,
    /// The grants.
    pub grants: GrantsView,
    /// The policy as it is now.
    pub policy: watch::Receiver<Arc<Policy>>,
    /// What lies behind the gate.
    pub engine: Engine,
    /// Where intents and outcomes go.
    pub audit: Audit,
    /// The time.
    pub clock: Clock,
    /// Tells of the shutdown.
    pub drain: drain::Watch,
    /// The longest that a call may take; none leaves it to the grant's end.
    pub longest_call: Option<Duration>,
}

/// The gate; cheap to clone.
#[derive(Debug, Clone)]
pub struct Gate {
    parts: Arc<Parts>,
    metrics: Arc<Metrics>,
}

impl Gate {
    /// A gate over these parts; call it after the metrics recorder is installed.
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), metrics: Arc::new(Metrics::new()) }
    }

    /// Serves one session stream until it ends; dropping the future cuts the session. `peer` is for the log only.
    pub async fn serve_stream<S>(&self, door: Door, peer: Option<SocketAddr>, stream: S) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let handshake = Handshake {
            tls: self.parts.tls.borrow().clone(),
            grants: self.parts.grants.clone(),
            door,
            now: self.parts.clock.now(),
        };
        match handshake.run(stream, limits::HANDSHAKE).await {
            Ok((stream, admitted)) => self.session(admitted, peer, stream).await,
            Err(error) => {
                count(&error);
                debug!(peer.addr = peer.map(tracing::field::display), error = %chain(&error), "Handshake failed");
                End::Broken
            }
        }
    }

    async fn session<S>(&self, admitted: Admitted, peer: Option<SocketAddr>, stream: S) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        if admitted.grant.sessions() >= 2 * limits::SESSIONS {
            metrics::Handshake::Failed.count();
            return End::Abuse;
        }
        metrics::Handshake::Ok.count();
        let guard = admitted.grant.open_session();
        self.metrics.sessions.increment(1);
        let grant = admitted.grant.grant();
        info!(
            grant.id = grant.id.short(),
            operator.name = %grant.operator,
            peer.addr = peer.map(tracing::field::display),
            "Session opened"
        );
        let id = grant.id;
        // One write to the tunnel per turn, in full TLS records, instead of one per frame.
        let end = self.build(admitted).run(BufWriter::with_capacity(WRITE_BUFFER, stream)).await;
        info!(grant.id = id.short(), end = ?end, "Session ended");
        self.metrics.sessions.decrement(1);
        drop(guard);
        end
    }

    fn build(&self, admitted: Admitted) -> Session {
        let Parts { cluster, policy, engine, audit, clock, drain, longest_call, .. } = &*self.parts;
        let upstream = Upstream::new(engine.clone(), admitted.target.clone());
        let profile = engine.profile();
        let today = policy.borrow().clone();
        let methods = Methods::new(&admitted.grant, &today, |method| !profile.is_read_only(method));
        let too_many = admitted.grant.sessions() > limits::SESSIONS;
        let (credential, refusal) = match upstream.credential() {
            _ if too_many => (None, Some(Refusal::Sessions)),
            Ok(credential) => (credential, None),
            Err(refusal) => (None, Some(refusal)),
        };
        let grant = admitted.grant.grant();
        let metadata =
            RequestMetadata::new(profile.metadata().clone(), &grant.operator, grant.id, credential);
        Session {
            cluster: Arc::new(cluster.clone()),
            methods,
            metadata: Arc::new(metadata),
            upstream,
            audit: audit.clone(),
            metrics: self.metrics.clone(),
            policy: policy.clone(),
            drain: drain.clone(),
            clock: clock.clone(),
            longest: *longest_call,
            refusal,
            admitted,
        }
    }
}

impl Sessions for Gate {
    fn knows(&self, door: &Door) -> bool {
        self.parts.grants.door(door).is_some()
    }

    async fn serve(&self, door: Door, peer: Option<SocketAddr>, stream: Stream) {
        self.serve_stream(door, peer, stream).await;
    }
}

fn count(error: &HandshakeError) {
    let result = match error {
        HandshakeError::Deadline => metrics::Handshake::Deadline,
        HandshakeError::UnknownDoor => metrics::Handshake::UnknownDoor,
        HandshakeError::Tls(_)
        | HandshakeError::Config(_)
        | HandshakeError::NotHttp2
        | HandshakeError::Certificate(_)
        | HandshakeError::Mismatch(_) => metrics::Handshake::Failed,
    };
    result.count();
}

/// Four TLS records.
const WRITE_BUFFER: usize = 64 * 1024;
