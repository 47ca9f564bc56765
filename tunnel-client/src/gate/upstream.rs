//! A session's own connection to its target, opened when the first call needs it and again after it broke.
//!
//! One per session: an operator who stops reading exhausts no window but their own.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use h2::client::{self, SendRequest};
use http::{
    HeaderValue, Uri,
    uri::{Authority, Parts, PathAndQuery, Scheme},
};
use tokio::{sync::watch, time::timeout};
use tracing::{debug, warn};
use tunnel_protos::{MethodName, TargetName};

use super::{keepalive, limits, metrics::EngineFault, operations::Hatch, status::Refusal};
use crate::engine::{Connection, Engine};

/// The way to one target.
#[derive(Debug)]
pub(super) struct Upstream {
    way: Way,
    target: TargetName,
    origin: Option<(Scheme, Authority)>,
    phase: watch::Sender<Phase>,
}

/// Where it leads.
#[derive(Debug)]
enum Way {
    Engine(Engine),
    Own(Hatch),
}

#[derive(Debug, Clone)]
enum Phase {
    Idle,
    Connecting,
    Ready(SendRequest<Bytes>),
    Down,
}

impl Upstream {
    pub(super) fn new(engine: Engine, target: TargetName) -> Arc<Self> {
        let endpoint = engine.profile().endpoints().get(&target);
        let origin = endpoint.and_then(|endpoint| {
            let authority = endpoint.authority().parse().ok()?;
            Some((if endpoint.is_tls() { Scheme::HTTPS } else { Scheme::HTTP }, authority))
        });
        Arc::new(Self { way: Way::Engine(engine), target, origin, phase: watch::Sender::new(Phase::Idle) })
    }

    /// To the operation's own API.
    pub(super) fn own(hatch: Hatch, target: TargetName) -> Arc<Self> {
        let origin = Some((Scheme::HTTP, Authority::from_static("operations")));
        Arc::new(Self { way: Way::Own(hatch), target, origin, phase: watch::Sender::new(Phase::Idle) })
    }

    pub(super) fn target(&self) -> &TargetName {
        &self.target
    }

    /// True if there is no connection: the caller then runs [`Upstream::run`], once.
    pub(super) fn claim(&self) -> bool {
        self.phase.send_if_modified(|phase| {
            let claimed = matches!(phase, Phase::Idle | Phase::Down);
            if claimed {
                *phase = Phase::Connecting;
            }
            claimed
        })
    }

    /// Connects and keeps the connection going until it ends; dropping it cuts the connection.
    pub(super) async fn run(self: Arc<Self>) {
        match &self.way {
            Way::Engine(engine) => self.speak(self.connect(engine).await).await,
            Way::Own(hatch) => {
                let (near, serving) = hatch.open();
                tokio::select! {
                    () = self.speak(Some(Connection::Memory(near))) => {}
                    () = serving => drop(self.phase.send_replace(Phase::Idle)),
                }
            }
        }
    }

    async fn speak(&self, stream: Option<Connection>) {
        let Some((send, connection)) = open(stream).await else {
            EngineFault::Unreachable.count();
            self.phase.send_replace(Phase::Down);
            return;
        };
        self.phase.send_replace(Phase::Ready(send));
        drive(connection).await;
        self.phase.send_replace(Phase::Idle);
    }

    async fn connect(&self, engine: &Engine) -> Option<Connection> {
        match engine.connect(&self.target).await {
            Ok(stream) => Some(stream),
            Err(error) => {
                // Counted by the caller; an operator can cause one per call, so it is no line of the log.
                debug!(target.name = %self.target, error = %tunnel_runtime::chain(&error), "Engine is unreachable");
                None
            }
        }
    }

    /// A handle that can open a stream now; waits while the connection comes up.
    pub(super) async fn sender(&self) -> Result<SendRequest<Bytes>, Refusal> {
        let mut phase = self.phase.subscribe();
        loop {
            let now = phase.borrow_and_update().clone();
            match now {
                Phase::Ready(send) => return send.ready().await.map_err(|_| Refusal::EngineLost),
                Phase::Down => return Err(Refusal::EngineDown),
                Phase::Idle => return Err(Refusal::EngineLost),
                Phase::Connecting => phase.changed().await.map_err(|_| Refusal::EngineLost)?,
            }
        }
    }

    /// `:scheme` and `:authority` as this target wants them, with the path of a call; none for an unknown target.
    pub(super) fn uri(&self, path: Option<&PathAndQuery>) -> Option<Uri> {
        let (scheme, authority) = self.origin.clone()?;
        let mut parts = Parts::default();
        parts.scheme = Some(scheme);
        parts.authority = Some(authority);
        parts.path_and_query = path.cloned();
        Uri::from_parts(parts).ok()
    }

    /// The operation that the profile maps `method` to, and of what; none if it maps it to none.
    pub(super) fn operation_of(&self, method: &MethodName) -> Option<(&'static str, String)> {
        let Way::Engine(engine) = &self.way else { return None };
        let suggested = engine.profile().operation_of(method)?;
        Some((suggested.operation(), suggested.name().to_owned()))
    }

    /// The engine's own `authorization`; without it nothing may be forwarded.
    pub(super) fn credential(&self) -> Result<Option<HeaderValue>, Refusal> {
        let Way::Engine(engine) = &self.way else { return Ok(None) };
        engine.authorization().map_err(|error| {
            warn!(error = %tunnel_runtime::chain(&error), "Engine's credential cannot be read");
            Refusal::EngineDown
        })
    }
}

async fn open(stream: Option<Connection>) -> Option<(SendRequest<Bytes>, client::Connection<Connection>)> {
    let opened = timeout(limits::HANDSHAKE, limits::client().handshake(stream?)).await;
    opened.ok().and_then(Result::ok)
}

async fn drive(mut connection: client::Connection<Connection>) {
    let ping = connection.ping_pong();
    // The first answer must come at once: it tells an engine that hangs from one that is silent.
    let alive = keepalive::watch(ping, Duration::ZERO);
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            debug!(%error, "Engine connection broke");
        },
        () = alive => {
            warn!("Engine hangs: no answer to a ping");
            EngineFault::Hung.count();
        }
    }
}
