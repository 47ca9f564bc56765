//! The gate: ends an operator's TLS, decides on every call, and forwards what may pass to the engine.
//!
//! It sees grants only through the read-only [`grants::GrantsView`]; nothing here can widen a grant.

mod admission;
mod answer;
mod call;
mod cut;
mod deadline;
pub mod grants;
mod handshake;
mod keepalive;
mod ledger;
mod limits;
mod metadata;
mod methods;
pub mod metrics;
mod newcomers;
mod operations;
mod pipe;
mod reflection;
pub mod rehearsal;
mod relay;
mod session;
mod sessions;
mod signals;
pub mod status;
#[cfg(test)]
mod testing;
mod upstream;
mod usage;
mod wire;

use std::{
    collections::BTreeSet,
    fmt,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::HeaderValue;
use tokio::{
    io::{AsyncRead, AsyncWrite, BufWriter},
    sync::watch,
};
use tokio_rustls::server::TlsStream;
use tracing::debug;
use tunnel_certs::tls::GateTls;
use tunnel_protos::{ClusterName, Door, MethodName, TargetName, UnixMillis, dynamic::Descriptors};
use tunnel_runtime::{chain, drain, grpc::GrpcServer};
use tunnel_transport::Stream;

pub use self::{session::End, sessions::Sessions};

use self::{
    admission::{Admitted, Room},
    grants::GrantsView,
    handshake::{Handshake, HandshakeError},
    metadata::RequestMetadata,
    methods::Methods,
    metrics::Metrics,
    newcomers::Newcomers,
    operations::Hatch,
    session::Session,
    sessions::About,
    status::{Caller, Refusal},
    upstream::Upstream,
};
use crate::{
    audit::{self, Audit},
    engine::Engine,
    metrics::Queue,
    policy::Policy,
    requests::PauseState,
    tunnels,
};

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
    /// The pause as it is now.
    pub paused: PauseState,
    /// Where open sessions are listed.
    pub sessions: Sessions,
    /// What lies behind the gate; a session keeps to the profile that it began with.
    pub engine: watch::Receiver<Engine>,
    /// What lies behind the target `operations`.
    pub operations: GrpcServer,
    /// Where intents and outcomes go.
    pub audit: Audit,
    /// The time.
    pub clock: Clock,
    /// Sessions that may be before the end of their TLS handshake at the same time.
    pub newcomers: usize,
    /// The longest that a call may take; none leaves it to the grant's end.
    pub longest_call: Option<Duration>,
}

/// The gate; cheap to clone.
#[derive(Debug, Clone)]
pub struct Gate {
    parts: Arc<Parts>,
    metrics: Arc<Metrics>,
    newcomers: Newcomers,
}

impl Gate {
    /// A gate over these parts; call it after the metrics recorder is installed.
    pub fn new(parts: Parts) -> Self {
        let newcomers = Newcomers::new(parts.newcomers);
        Self { parts: Arc::new(parts), metrics: Arc::new(Metrics::new()), newcomers }
    }

    /// Serves one session stream until it ends, or is to because of `drain`; dropping the future cuts the session.
    /// `peer` is for the log only.
    pub async fn serve_stream<S>(
        &self,
        door: Door,
        peer: Option<SocketAddr>,
        stream: S,
        drain: drain::Watch,
    ) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let handshake = Handshake {
            tls: self.parts.tls.borrow().clone(),
            grants: self.parts.grants.clone(),
            door,
            now: self.parts.clock.now(),
        };
        match self.first_phase(handshake, stream).await {
            Ok((stream, admitted)) => self.session(admitted, peer, stream, drain).await,
            Err(error) => {
                count(&error);
                debug!(peer.addr = peer.map(tracing::field::display), error = %chain(&error), "Handshake failed");
                End::Broken
            }
        }
    }

    async fn first_phase<S>(
        &self,
        handshake: Handshake,
        stream: S,
    ) -> Result<(TlsStream<S>, Admitted), HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let newcomer = self.newcomers.enter();
        tokio::select! {
            done = handshake.run(stream, limits::HANDSHAKE) => done,
            () = newcomer.pushed_out() => Err(HandshakeError::PushedOut),
        }
    }

    async fn session<S>(
        &self,
        admitted: Admitted,
        peer: Option<SocketAddr>,
        stream: S,
        drain: drain::Watch,
    ) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let room = admission::room(admitted.grant.sessions());
        if room == Room::Refuse {
            metrics::Handshake::Failed.count();
            crate::metrics::refused(Queue::Sessions);
            return End::Abuse;
        }
        metrics::Handshake::Ok.count();
        let guard = admitted.grant.open_session();
        let told = self.tell(&admitted, room);
        self.metrics.sessions.increment(1);
        let grant = admitted.grant.grant();
        debug!(
            grant.id = grant.id.short(),
            operator.name = %grant.operator,
            peer.addr = peer.map(tracing::field::display),
            "Session opened"
        );
        let id = grant.id;
        // One write to the tunnel per turn, in full TLS records, instead of one per frame.
        let end = self.build(admitted, room, drain).run(BufWriter::with_capacity(WRITE_BUFFER, stream)).await;
        debug!(grant.id = id.short(), end = ?end, "Session ended");
        self.metrics.sessions.decrement(1);
        metrics::session_ended(end);
        if let Some(told) = told {
            told.ended(end.name());
        }
        drop(guard);
        end
    }

    fn tell(&self, admitted: &Admitted, room: Room) -> Option<audit::Session> {
        let recorded = admitted.is_recorded(room, self.parts.clock.now());
        let grant = admitted.grant.grant();
        recorded.then(|| self.parts.audit.session(grant.id, grant.operator.clone(), admitted.target.clone()))
    }

    fn build(&self, admitted: Admitted, room: Room, drain: drain::Watch) -> Session {
        let Parts { cluster, policy, engine, audit, clock, longest_call, paused, .. } = &*self.parts;
        let own = admitted.grant.grant().operation.is_some().then(|| self.parts.operations.clone());
        let behind = behind(own, engine.borrow().clone(), admitted.target.clone(), &drain);
        let Behind { upstream, mutates, descriptors, metadata } = behind;
        let today = policy.borrow().clone();
        let methods = Methods::new(&admitted.grant, &today, mutates);
        let (credential, refusal) = credential(room, &upstream);
        let grant = admitted.grant.grant();
        let metadata = RequestMetadata::new(metadata, &grant.operator, grant.id, credential);
        Session {
            caller: Arc::new(Caller { cluster: cluster.clone(), grant: grant.id }),
            descriptors,
            reflection: OnceLock::new(),
            metadata: Arc::new(metadata),
            upstream,
            audit: audit.clone(),
            metrics: self.metrics.clone(),
            listed: self.parts.sessions.list(about(&admitted, &methods, clock.now())),
            methods,
            paused: paused.clone(),
            policy: policy.clone(),
            drain,
            clock: clock.clone(),
            longest: *longest_call,
            refusal,
            admitted,
        }
    }
}

/// What a session calls, and what is known of it.
struct Behind {
    upstream: Arc<Upstream>,
    mutates: Box<dyn Fn(&MethodName) -> bool + Send>,
    descriptors: Option<Descriptors>,
    metadata: BTreeSet<String>,
}

/// The engine, or for the grant of an operation `own`, the service of operations.
fn behind(own: Option<GrpcServer>, engine: Engine, target: TargetName, drain: &drain::Watch) -> Behind {
    if let Some(own) = own {
        return Behind {
            upstream: Upstream::own(Hatch::new(own, drain.clone()), target),
            mutates: Box::new(operations::mutates),
            descriptors: operations::descriptors(),
            metadata: BTreeSet::new(),
        };
    }
    let profile = engine.profile();
    Behind {
        descriptors: profile.descriptors().cloned(),
        metadata: profile.metadata().clone(),
        upstream: Upstream::new(engine.clone(), target),
        mutates: Box::new(move |method| !engine.profile().is_read_only(method)),
    }
}

/// The engine's own credential, or why the session is let in only to be told so.
fn credential(room: Room, upstream: &Upstream) -> (Option<HeaderValue>, Option<Refusal>) {
    if room != Room::Serve {
        return (None, Some(Refusal::Sessions));
    }
    match upstream.credential() {
        Ok(credential) => (credential, None),
        Err(refusal) => (None, Some(refusal)),
    }
}

fn about(admitted: &Admitted, methods: &Methods, now: UnixMillis) -> About {
    let grant = admitted.grant.grant();
    About {
        grant: grant.id,
        operator: grant.operator.clone(),
        target: admitted.target.clone(),
        since: now,
        methods: methods.names(),
    }
}

impl tunnels::Sessions for Gate {
    fn knows(&self, door: &Door) -> bool {
        self.parts.grants.door(door).is_some()
    }

    async fn serve(&self, door: Door, peer: Option<SocketAddr>, stream: Stream, drain: drain::Watch) {
        self.serve_stream(door, peer, stream, drain).await;
    }
}

fn count(error: &HandshakeError) {
    let result = match error {
        HandshakeError::Deadline => metrics::Handshake::Deadline,
        HandshakeError::UnknownDoor => metrics::Handshake::UnknownDoor,
        HandshakeError::PushedOut => metrics::Handshake::PushedOut,
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
