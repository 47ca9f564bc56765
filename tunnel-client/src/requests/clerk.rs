//! The one task that changes requests: it takes commands, lets time pass, and stores before it lets anything out.
//!
//! What opens something (approval, certificate) is stored first and takes effect then; what closes something
//! (revoke, expiry, withdraw) takes effect first and is stored then, again and again until the disk takes it.

mod issue;
mod keep;
mod open;
mod operate;
mod orders;
mod people;
mod receive;
mod written;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};
use tunnel_protos::{
    Digest, GrantId, OperatorName, PauseId, RequestId, UnixMillis,
    v1::{ReceivedStatus, SealedOutcome, SealedRequest},
};
use tunnel_runtime::drain::Watch;

pub use self::open::{OpenError, Settings};
use super::{
    Pause, Room, Shared,
    judge::Shown,
    office::Stopper,
    record::Notice,
    state::State,
    unproven::Unproven,
    word::{Consent, Word},
};
use crate::{
    approvers::{AnswerError, CancelError, ClockError, OperatorError, ResumeError, RevokeError},
    audit::Audit,
    metrics,
    operations::{self, Refused},
    policy::Policy,
    store::Store,
};

/// What the clerk is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    /// A sealed request arrived.
    Deliver(Box<SealedRequest>, oneshot::Sender<ReceivedStatus>),
    /// A broker holds this outcome.
    Acknowledged(Box<SealedOutcome>),
    /// Somebody was told of a request.
    Notified(RequestId, Notice),
    /// Its operator begins an approved operation.
    Begin(RequestId, Reply<(), Refused>),
    /// Its operator stops an operation, as its run has been told already.
    Stop(RequestId, Stopper, Reply<(), CancelError>),
}

pub(super) type Reply<T, E> = oneshot::Sender<Result<T, E>>;

/// What people order; what tightens is in force in memory already.
#[derive(Debug)]
pub(super) enum Order {
    /// A yes to what was shown.
    Approve(RequestId, Shown, Consent, Reply<(), AnswerError>),
    /// A no.
    Deny(RequestId, Option<Digest>, Word, Reply<(), AnswerError>),
    /// The end of a grant, whose sessions have been cut already.
    Revoke(GrantId, Word, Reply<(), RevokeError>),
    /// The customer stops an operation, as its run has been told already.
    Stop(RequestId, Stopper, Reply<(), CancelError>),
    /// A pause in force, to be stored; answers with it as it is then.
    KeepPause(Pause, Word, oneshot::Sender<Pause>),
    /// The end of a pause, as often as it had been asked for.
    Resume(PauseId, u64, Consent, Reply<(), ResumeError>),
    /// An operator on the deny list loses what it has.
    DenyOperator(OperatorName, Word, Reply<(), OperatorError>),
    /// An operator leaves the deny list.
    AllowOperator(OperatorName, Consent, Reply<(), OperatorError>),
    /// The highest time seen is set back.
    ResetClock(UnixMillis, Consent, Reply<UnixMillis, ClockError>),
}

/// Owns every change of a request; [`Clerk::run`] it in one task.
#[derive(Debug)]
pub struct Clerk<S> {
    room: Arc<Room>,
    shared: Arc<Shared>,
    store: S,
    policy: watch::Receiver<Arc<Policy>>,
    audit: Audit,
    commands: mpsc::Receiver<Command>,
    /// Apart from what brokers and operators can make any number of.
    orders: mpsc::Receiver<Order>,
    /// What planner and runner tell.
    words: mpsc::Receiver<operations::Word>,
    /// What they were told to do, and when.
    handed: BTreeMap<RequestId, UnixMillis>,
    /// How often the world moved on before the first step; a restart begins to count anew.
    stale: BTreeMap<RequestId, usize>,
    refuse_before: UnixMillis,
    /// Not all that follows from a restore is stored yet.
    restored: bool,
    unproven: Unproven,
    unsaved: BTreeSet<RequestId>,
    orders_version: u64,
}

impl<S: Store> Clerk<S> {
    /// Works until the process is cut or nobody is left to ask; dropping it loses nothing that was stored.
    pub async fn run(mut self, drain: Watch) {
        loop {
            self.pass_time().await;
            self.measure();
            let pause = self.pause();
            tokio::select! {
                biased;
                () = drain.cut() => break,
                Some(order) = self.orders.recv() => self.carry_out(order).await,
                Some(word) = self.words.recv() => self.heard(word).await,
                command = self.commands.recv() => match command {
                    Some(command) => self.handle(command).await,
                    None => break,
                },
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.store.close().await;
    }

    async fn handle(&mut self, command: Command) {
        // Whoever asked may have gone; what was done stays done.
        match command {
            // Whoever went before it was its turn delivers again.
            Command::Deliver(_, reply) if reply.is_closed() => {}
            Command::Deliver(sealed, reply) => drop(reply.send(self.deliver(&sealed).await)),
            Command::Acknowledged(outcome) => self.acknowledged(&outcome).await,
            Command::Notified(id, notice) => self.notified(&id, notice).await,
            Command::Begin(id, reply) => drop(reply.send(self.begin(id).await)),
            Command::Stop(id, by, reply) => drop(reply.send(self.stop(id, by).await)),
        }
    }

    async fn carry_out(&mut self, order: Order) {
        match order {
            Order::Approve(id, shown, by, reply) => drop(reply.send(self.approve(&id, &shown, by).await)),
            Order::Deny(id, shown, by, reply) => drop(reply.send(self.refuse(&id, shown.as_ref(), by).await)),
            Order::Revoke(grant, by, reply) => drop(reply.send(self.revoke(grant, by).await)),
            Order::Stop(id, by, reply) => drop(reply.send(self.stop(id, by).await)),
            Order::KeepPause(pause, by, reply) => drop(reply.send(self.keep_pause(pause, &by).await)),
            Order::Resume(id, asked, by, reply) => drop(reply.send(self.resume(id, asked, &by).await)),
            Order::DenyOperator(name, by, reply) => drop(reply.send(self.deny_operator(&name, &by).await)),
            Order::AllowOperator(name, by, reply) => drop(reply.send(self.allow_operator(&name, &by).await)),
            Order::ResetClock(to, by, reply) => drop(reply.send(self.reset_clock(to, &by).await)),
        }
    }

    async fn notified(&mut self, id: &RequestId, notice: Notice) {
        let Some(mut record) = self.shared.record(id).filter(|record| record.state.is_open()) else { return };
        if record.notify(notice) {
            // Kept in `unsaved` on failure, and tried again.
            let _ = self.note(record, self.shared.clock.now()).await;
        }
    }

    /// Ends what has run out, retries what could not be stored, forgets what may be forgotten.
    async fn pass_time(&mut self) {
        let now = self.shared.clock.now();
        let due = self.shared.book.read().due(now);
        for id in due {
            if let Some(mut record) = self.shared.record(&id) {
                record.elapse(now);
                // Kept in `unsaved` on failure, and tried again.
                let _ = self.close(record, now).await;
            }
        }
        self.keep_orders().await;
        self.cut_denied(now).await;
        self.retry(now).await;
        self.hand_over(now).await;
        self.settle(now).await;
        self.forget(now).await;
    }

    /// Until something is due, but never long: the wall clock may be set meanwhile.
    fn pause(&self) -> Duration {
        let now = self.shared.clock.now();
        let next = self.shared.book.read().all().filter_map(super::Record::due).min();
        next.map_or(TICK, |due| due.since(now).clamp(LEAST, TICK))
    }

    fn measure(&self) {
        let (pending, live) = self.shared.counts();
        metrics::open_requests(pending, live);
    }
}

impl Shared {
    /// Requests that wait for a person, and live grants.
    pub(super) fn counts(&self) -> (usize, usize) {
        let book = self.book.read();
        let count = |wanted: fn(State) -> bool| book.all().filter(|record| wanted(record.state)).count();
        (count(|state| state == State::Pending), count(State::is_live_grant))
    }
}

/// An ended grant must be cut within a second, even if the clock was moved.
const TICK: Duration = Duration::from_millis(500);

/// A clock that hardly moves must not make the loop spin.
const LEAST: Duration = Duration::from_millis(5);
