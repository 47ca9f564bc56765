//! The one task that changes requests: it takes commands, lets time pass, and stores before it lets anything out.
//!
//! What opens something (approval, certificate) is stored first and takes effect then; what closes something
//! (revoke, expiry, withdraw) takes effect first and is stored then, again and again until the disk takes it.

mod issue;
mod keep;
mod open;
mod receive;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot, watch};
use tunnel_protos::{
    GrantId, RequestId, UnixMillis,
    v1::{ReceivedStatus, SealedOutcome, SealedRequest},
};
use tunnel_runtime::drain::Watch;

pub use self::open::{OpenError, Settings};
use super::{Room, Shared, record::Revocation, state::State, unproven::Unproven};
use crate::{approvers::RevokeError, audit::Audit, metrics, policy::Policy, store::Store};

/// What the clerk is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    /// A sealed request arrived.
    Deliver(Box<SealedRequest>, oneshot::Sender<ReceivedStatus>),
    /// The customer cuts a grant, whose sessions have been cut already.
    Revoke(GrantId, Revocation, oneshot::Sender<Result<(), RevokeError>>),
    /// A broker holds this outcome.
    Acknowledged(Box<SealedOutcome>),
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
    refuse_before: UnixMillis,
    unproven: Unproven,
    unsaved: BTreeSet<RequestId>,
}

impl<S: Store> Clerk<S> {
    /// Works until the process is cut or nobody is left to ask; dropping it loses nothing that was stored.
    pub async fn run(mut self, drain: Watch) {
        loop {
            self.pass_time().await;
            self.measure();
            let pause = self.pause();
            tokio::select! {
                () = drain.cut() => break,
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
            Command::Deliver(sealed, reply) => drop(reply.send(self.deliver(&sealed).await)),
            Command::Revoke(grant, by, reply) => drop(reply.send(self.revoke(grant, by).await)),
            Command::Acknowledged(outcome) => self.acknowledged(&outcome).await,
        }
    }

    async fn revoke(&mut self, grant: GrantId, by: Revocation) -> Result<(), RevokeError> {
        let now = self.shared.clock.now();
        let mut record = self.shared.record(&grant.into()).ok_or(RevokeError::Unknown)?;
        record.revoke(by, now).map_err(|_| RevokeError::NotLive(record.state.to_message()))?;
        self.close(record, now).await.map_err(|error| RevokeError::NotStored(Box::new(error)))
    }

    /// Ends what has run out, retries what could not be stored, forgets what may be forgotten.
    async fn pass_time(&mut self) {
        let now = self.shared.clock.now();
        let due = self.shared.book.read().due(now);
        for id in due {
            if let Some(mut record) =
                self.shared.record(&id).filter(|record| !self.unsaved.contains(&record.id))
            {
                record.elapse(now);
                // Kept in `unsaved` on failure, and tried again.
                let _ = self.close(record, now).await;
            }
        }
        self.retry(now).await;
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
