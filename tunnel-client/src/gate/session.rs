//! One operator's session after its handshake: HTTP/2, its calls, its way to the engine, its end.
//!
//! Everything of a session is one future on one thread; dropping it resets every stream on both sides.

mod jobs;

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use h2::{
    Reason, RecvStream,
    server::{Connection, SendResponse},
};
use http::{HeaderMap, Request};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, timeout},
};
use tunnel_protos::{ClusterName, UnixMillis};
use tunnel_runtime::drain;

use self::jobs::{Done, Job};
use super::{
    Clock,
    admission::Admitted,
    answer::Answer,
    call::{self, CallHead, Facts},
    ledger::Ledger,
    limits::{self, ResetMeter},
    metadata::RequestMetadata,
    methods::Methods,
    metrics::{Class, Metrics},
    relay::Relay,
    signals::{Event, Signals},
    status::Refusal,
    upstream::Upstream,
};
use crate::{audit::Audit, policy::Policy};

/// What a session is made of, its transport aside.
pub(super) struct Session {
    pub(super) cluster: Arc<ClusterName>,
    pub(super) admitted: Admitted,
    pub(super) methods: Methods,
    pub(super) metadata: Arc<RequestMetadata>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) audit: Audit,
    pub(super) metrics: Arc<Metrics>,
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
    /// It was cut: grant over, stricter policy, or a shutdown's last phase.
    Cut,
    /// The operator broke a limit of HTTP/2.
    Abuse,
}

/// A session with its connection and everything that runs within it.
struct Running<S: AsyncRead + AsyncWrite + Unpin> {
    session: Session,
    connection: Connection<S, Bytes>,
    jobs: FuturesUnordered<Job>,
    calls: usize,
    resets: ResetMeter,
    active: Instant,
    leaving: bool,
}

impl Session {
    /// Serves `stream` until the session ends.
    pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin + Send>(self, stream: S) -> End {
        let handshake = limits::server().handshake(stream);
        let Ok(Ok(mut connection)) = timeout(limits::HANDSHAKE, handshake).await else {
            return End::Broken;
        };
        let (policy, drain, clock) = (self.policy.clone(), self.drain.clone(), self.clock.clone());
        let signals = Signals::new(&self.admitted.grant, policy, drain, clock);
        let jobs = FuturesUnordered::new();
        jobs.push(jobs::follow(Box::new(signals)));
        jobs.push(jobs::alive(connection.ping_pong()));
        jobs.push(jobs::tick());
        let running = Running {
            session: self,
            connection,
            jobs,
            calls: 0,
            resets: ResetMeter::default(),
            active: Instant::now(),
            leaving: false,
        };
        running.run().await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Running<S> {
    async fn run(mut self) -> End {
        let end = poll_fn(|cx| self.poll_step(cx)).await;
        if end == End::Cut || end == End::Abuse {
            self.cut(end).await;
        }
        end
    }

    /// GOAWAY, a reset for every open stream, and a moment for both to leave.
    async fn cut(mut self, end: End) {
        match end {
            End::Abuse => self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM),
            End::Cut | End::Closed | End::Broken => self.connection.graceful_shutdown(),
        }
        self.jobs.clear();
        let closed = poll_fn(|cx| self.connection.poll_closed(cx));
        let _ = timeout(limits::FAREWELL, closed).await;
    }

    /// Takes in all new calls, lets all jobs move, and ends with one flush of what they wrote.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if let Poll::Ready(end) = self.poll_accept(cx) {
            return Poll::Ready(end);
        }
        loop {
            if let Poll::Ready(end) = self.poll_jobs(cx) {
                return Poll::Ready(end);
            }
            let before = self.jobs.len();
            if let Poll::Ready(end) = self.poll_accept(cx) {
                return Poll::Ready(end);
            }
            if self.jobs.len() == before {
                return Poll::Pending;
            }
        }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            match self.connection.poll_accept(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok((request, respond)))) => self.take(request, respond),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(End::Broken),
                Poll::Ready(None) => return Poll::Ready(End::Closed),
            }
        }
    }

    fn poll_jobs(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        while let Poll::Ready(Some(done)) = self.jobs.poll_next_unpin(cx) {
            if let Some(end) = self.react(done) {
                return Poll::Ready(end);
            }
        }
        Poll::Pending
    }

    fn react(&mut self, done: Done) -> Option<End> {
        match done {
            Done::Call { gone } => self.call_ended(gone),
            Done::Upstream => None,
            Done::Dead => Some(End::Broken),
            Done::Tick => self.ticked(),
            Done::Event(event, signals) => {
                self.jobs.push(jobs::follow(signals));
                self.happened(event)
            }
        }
    }

    fn happened(&mut self, event: Event) -> Option<End> {
        match event {
            Event::GrantOver(_) | Event::Cut => Some(End::Cut),
            Event::Drain => {
                self.leave();
                None
            }
            Event::NewPolicy => self.refresh().then_some(End::Cut),
        }
    }

    /// Takes today's policy in; true if an open call would not pass any more.
    fn refresh(&mut self) -> bool {
        let policy = self.session.policy.borrow_and_update().clone();
        self.session.methods.refresh(&self.session.admitted.grant, &policy)
    }

    /// Two GOAWAYs: the first lets calls that are on their way still in.
    fn leave(&mut self) {
        if !std::mem::replace(&mut self.leaving, true) {
            self.connection.graceful_shutdown();
        }
    }

    fn ticked(&mut self) -> Option<End> {
        self.jobs.push(jobs::tick());
        if self.calls == 0 && self.active.elapsed() >= limits::IDLE {
            self.leave();
        }
        None
    }

    fn call_ended(&mut self, gone: bool) -> Option<End> {
        self.calls -= 1;
        self.active = Instant::now();
        let abuse = gone && self.resets.is_too_many(self.session.clock.now());
        abuse.then_some(End::Abuse)
    }

    /// Decides on a new call and begins it.
    fn take(&mut self, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
        self.calls += 1;
        let answer = Answer::new(respond);
        // The event may be behind this call in the queue; a new call must not pass under the old policy.
        if self.session.policy.has_changed().unwrap_or(true) {
            self.refresh();
        }
        match self.session.admit_call(request) {
            Ok(relay) => {
                if self.session.upstream.claim() {
                    let upstream = self.session.upstream.clone();
                    self.jobs.push(jobs::connected(upstream));
                }
                self.jobs.push(jobs::relayed(relay, answer, self.session.cluster.clone()));
            }
            Err(refusal) => {
                self.session.metrics.call(Class::Refused, refusal.code());
                jobs::refuse(answer, &refusal, &self.session.cluster);
                self.jobs.push(jobs::refused());
            }
        }
    }
}

impl Session {
    /// Everything that is decided before a call is forwarded.
    fn admit_call(&self, request: Request<RecvStream>) -> Result<Relay, Refusal> {
        let now = self.clock.now();
        let (head, body) = request.into_parts();
        let verdict = call::decide(&call_head(&head), &self.facts(now))?;
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        let begun = verdict.method.begin(verdict.metered, now)?;
        let class = if verdict.method.mutates() { Class::Mutate } else { Class::Read };
        let name = verdict.method.name();
        let uri = self.upstream.uri(head.uri.path_and_query()).ok_or(Refusal::EngineDown)?;
        let grant = self.admitted.grant.grant().id;
        let (audit, metrics) = (self.audit.clone(), self.metrics.clone());
        Ok(Relay {
            upstream: self.upstream.clone(),
            metadata: self.metadata.clone(),
            uri,
            timeout: verdict.timeout,
            headers: head.headers,
            body,
            ledger: Ledger::new(audit, metrics, grant, name.clone(), class, begun),
        })
    }

    fn facts(&self, now: UnixMillis) -> Facts<'_> {
        Facts {
            now,
            certificate_end: self.admitted.certificate.not_after,
            life: self.admitted.grant.life(),
            methods: &self.methods,
            longest: self.longest,
        }
    }
}

fn call_head(head: &http::request::Parts) -> CallHead<'_> {
    let header = |name: &str| sole(&head.headers, name);
    CallHead {
        method: head.method.as_str(),
        path: head.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str),
        content_type: header("content-type"),
        te: header("te"),
        timeout: header("grpc-timeout"),
    }
}

/// A repeated header counts as an empty one, which no rule takes: the engine might look at another than the gate did.
fn sole<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    Some(values.next().map_or(first.as_bytes(), |_| b""))
}

#[cfg(test)]
mod tests;
