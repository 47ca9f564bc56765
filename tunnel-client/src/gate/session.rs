//! One operator's session after its handshake: HTTP/2, its calls, its way to the engine, its end.
//!
//! Everything of a session is one future on one thread; dropping it resets every stream on both sides.

mod admit;
mod farewell;
mod jobs;

use std::{
    future::poll_fn,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use h2::{
    RecvStream,
    server::{Connection, SendResponse},
};
use http::{Request, uri::PathAndQuery};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, timeout},
};
use tunnel_protos::{MethodName, dynamic::Descriptors};
use tunnel_runtime::drain;

use self::{
    admit::Call,
    jobs::{Done, Job},
};
use super::{
    Clock,
    admission::Admitted,
    answer::Answer,
    limits::{self, Rate},
    metadata::RequestMetadata,
    methods::Methods,
    metrics::{Class, Metrics},
    reflection::Reflection,
    sessions::Listed,
    signals::{Event, Signals},
    status::{Caller, Refusal},
    upstream::Upstream,
    wire::{self, Wire},
};
use crate::{audit::Audit, policy::Policy, requests::PauseState};

/// What a session is made of, its transport aside.
pub(super) struct Session {
    pub(super) caller: Arc<Caller>,
    pub(super) admitted: Admitted,
    pub(super) methods: Methods,
    pub(super) descriptors: Option<Descriptors>,
    /// Made from the descriptors when first asked for.
    pub(super) reflection: OnceLock<Arc<Reflection>>,
    pub(super) metadata: Arc<RequestMetadata>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) audit: Audit,
    pub(super) metrics: Arc<Metrics>,
    pub(super) listed: Listed,
    pub(super) paused: PauseState,
    pub(super) policy: watch::Receiver<Arc<Policy>>,
    pub(super) drain: drain::Watch,
    pub(super) clock: Clock,
    pub(super) longest: Option<Duration>,
    /// Answers every call, if the session was let in only to be told so.
    pub(super) refusal: Option<Refusal>,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The operator went, or it was idle, or drained.
    Closed,
    /// The connection broke.
    Broken,
    /// It was cut: grant over, pause, or a shutdown's last phase.
    Cut,
    /// The operator broke a limit of HTTP/2.
    Abuse,
}

/// Why a session stops.
enum Stop {
    /// Its connection is over.
    Gone(End),
    /// Everything is to end now, and this is why.
    Cut(Refusal),
    /// The operator broke a limit of HTTP/2.
    Abuse,
}

impl End {
    /// For the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Broken => "broken",
            Self::Cut => "cut",
            Self::Abuse => "abuse",
        }
    }
}

/// A session with its connection and everything that runs within it.
struct Running<S: AsyncRead + AsyncWrite + Unpin> {
    session: Session,
    connection: Connection<S, Bytes>,
    jobs: FuturesUnordered<Job>,
    calls: usize,
    resets: Rate,
    active: Instant,
    leaving: bool,
    cut: bool,
}

impl Session {
    /// Serves `stream` until the session ends.
    pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin + Send>(self, stream: S) -> End {
        let handshake = limits::server().handshake(Wire::new(stream));
        let Ok(Ok(mut connection)) = timeout(limits::HANDSHAKE, handshake).await else {
            return End::Broken;
        };
        let (policy, drain, clock) = (self.policy.clone(), self.drain.clone(), self.clock.clone());
        let until = (&self.admitted.grant, self.admitted.certificate.not_after);
        let signals = Signals::new(until, self.paused.clone(), policy, drain, clock);
        let jobs = FuturesUnordered::new();
        jobs.push(jobs::follow(Box::new(signals)));
        jobs.push(jobs::alive(connection.ping_pong()));
        jobs.push(jobs::tick());
        let running = Running {
            session: self,
            connection,
            jobs,
            calls: 0,
            resets: Rate::new(limits::RESETS_PER_SECOND),
            active: Instant::now(),
            leaving: false,
            cut: false,
        };
        running.run().await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Running<S> {
    async fn run(mut self) -> End {
        match poll_fn(|cx| self.poll_step(cx)).await {
            Stop::Gone(end) => end,
            Stop::Cut(refusal) => self.cut(refusal).await,
            Stop::Abuse => self.shut_out().await,
        }
    }

    /// Takes in all new calls, lets all jobs move, and ends with one flush of what they wrote.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        if let Poll::Ready(stop) = self.poll_accept(cx) {
            return Poll::Ready(stop);
        }
        loop {
            if let Poll::Ready(stop) = self.poll_jobs(cx) {
                return Poll::Ready(stop);
            }
            let before = self.jobs.len();
            if let Poll::Ready(stop) = self.poll_accept(cx) {
                return Poll::Ready(stop);
            }
            if self.jobs.len() == before {
                return Poll::Pending;
            }
        }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        loop {
            match self.connection.poll_accept(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok((request, respond)))) => self.take(request, respond),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Stop::Gone(wire::end(&error))),
                Poll::Ready(None) => return Poll::Ready(Stop::Gone(End::Closed)),
            }
        }
    }

    fn poll_jobs(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        while let Poll::Ready(Some(done)) = self.jobs.poll_next_unpin(cx) {
            if let Some(stop) = self.react(done) {
                return Poll::Ready(stop);
            }
        }
        Poll::Pending
    }

    fn react(&mut self, done: Done) -> Option<Stop> {
        match done {
            Done::Call { gone } => self.call_ended(gone),
            Done::Upstream => None,
            Done::Dead => Some(Stop::Gone(End::Broken)),
            Done::Tick => self.ticked(),
            // A shutdown's cut stays true: followed on, it would be heard again and again.
            Done::Event(..) if self.cut => None,
            Done::Event(event, signals) => {
                self.jobs.push(jobs::follow(signals));
                self.happened(event)
            }
        }
    }

    fn happened(&mut self, event: Event) -> Option<Stop> {
        match event {
            Event::GrantOver(over) => return Some(Stop::Cut(Refusal::GrantOver(over))),
            Event::CertificateOver => return Some(Stop::Cut(Refusal::CertificateExpired)),
            Event::Paused { since, note } => return Some(Stop::Cut(Refusal::Paused { since, note })),
            Event::Cut => return Some(Stop::Cut(Refusal::Draining)),
            Event::Drain => self.leave(),
            Event::NewPolicy => self.refresh(),
        }
        None
    }

    /// Takes today's policy in and cuts the open calls that would not pass any more.
    fn refresh(&mut self) {
        let policy = self.session.policy.borrow_and_update().clone();
        self.session.reflection = OnceLock::new();
        if self.session.methods.refresh(&self.session.admitted.grant, &policy) {
            self.wake_calls();
        }
    }

    /// Two GOAWAYs: the first lets calls that are on their way still in.
    fn leave(&mut self) {
        if !std::mem::replace(&mut self.leaving, true) {
            self.connection.graceful_shutdown();
        }
    }

    fn ticked(&mut self) -> Option<Stop> {
        self.jobs.push(jobs::tick());
        if self.calls == 0 && self.active.elapsed() >= limits::IDLE {
            self.leave();
        }
        None
    }

    fn call_ended(&mut self, gone: bool) -> Option<Stop> {
        self.calls -= 1;
        self.active = Instant::now();
        let abuse = gone && self.resets.is_too_many(1, self.active);
        abuse.then_some(Stop::Abuse)
    }

    /// Decides on a new call and begins it.
    fn take(&mut self, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
        self.calls += 1;
        let answer = Answer::new(respond);
        // The event may be behind this call in the queue; a new call must not pass under the old policy.
        if self.session.policy.has_changed().unwrap_or(true) {
            self.refresh();
        }
        let path = request.uri().path_and_query().cloned();
        let caller = self.session.caller.clone();
        match self.session.admit_call(request) {
            Ok(Call::Forward(relay)) => {
                if self.session.upstream.claim() {
                    self.jobs.push(jobs::connected(self.session.upstream.clone()));
                }
                self.jobs.push(jobs::relayed(relay, answer, caller));
            }
            Ok(Call::Reflect(reflect)) => self.jobs.push(jobs::reflected(reflect, answer, caller)),
            Err(refusal) => {
                self.session.metrics.call(Class::Refused, refusal.code());
                jobs::refuse(answer, &refusal, &caller, method(path.as_ref()).as_ref());
                self.jobs.push(jobs::refused());
            }
        }
    }
}

fn method(path: Option<&PathAndQuery>) -> Option<MethodName> {
    MethodName::from_path(path?.as_str()).ok()
}

#[cfg(test)]
mod tests;
