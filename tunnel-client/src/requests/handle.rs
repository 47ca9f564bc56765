//! The handle that tunnels and the customer's API hold: everything here is cheap, or bounded by a deadline.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot, watch};
use tunnel_protos::{
    GrantId, RequestId, UnixMillis,
    approvers::RequestView,
    v1::{ReceivedStatus, SealedOutcome, SealedRequest},
};

use super::{
    Room, Shared,
    clerk::{Command, Order},
    record::{Notice, Record},
    view::Glimpse,
};
use crate::{
    approvers::{Known, MOST_REQUESTS},
    clock::Clock,
    store::History,
    tunnels::Inbox,
};

/// Requests of this cluster; cheap to clone.
#[derive(Debug, Clone)]
pub struct Requests {
    pub(super) shared: Arc<Shared>,
    pub(super) room: Arc<Room>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) epoch: u64,
    pub(super) history: History,
}

impl Requests {
    /// Raised at each start of this replica.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether what is remembered is all that was written.
    pub fn history(&self) -> History {
        self.history
    }

    /// The time by which requests live.
    pub fn clock(&self) -> Clock {
        self.shared.clock.clone()
    }

    /// Why requests are not taken at present; none if they are.
    pub fn refusing(&self) -> Option<String> {
        self.room.refusing(self.shared.clock.now())
    }

    /// The newest requests as a list for the customer shows them, at most [`MOST_REQUESTS`]; ended ones too if `all`.
    pub fn list(&self, all: bool) -> Vec<RequestView> {
        let policy = self.shared.policy.borrow().clone();
        let listed = |record: &Record| {
            let view = record.view(&policy, self.sessions(&record.id.into()));
            RequestView { running: self.running_brief(record), ..view }
        };
        self.newest(all).iter().map(listed).collect()
    }

    /// Views are made of copies: the clerk must not wait for them.
    fn newest(&self, all: bool) -> Vec<Record> {
        let book = self.shared.book.read();
        let mut newest: Vec<_> = book.all().filter(|record| all || record.state.is_open()).collect();
        newest.sort_unstable_by_key(|record| std::cmp::Reverse((record.received, record.id)));
        newest.into_iter().take(MOST_REQUESTS).cloned().collect()
    }

    /// Requests whose id begins so, newest first.
    pub fn known(&self, prefix: &str) -> Vec<Known> {
        let book = self.shared.book.read();
        let known = book.all().map(|record| (record, record.id.to_string()));
        let mut known: Vec<_> = known.filter(|(_, id)| id.starts_with(prefix)).collect();
        known.sort_unstable_by_key(|(record, _)| std::cmp::Reverse((record.received, record.id)));
        let of = |(record, id): (&Record, String)| Known {
            id,
            state: record.state.to_message(),
            operation: record.operation().is_some(),
        };
        known.into_iter().map(of).collect()
    }

    /// One request as the customer sees it.
    pub fn view(&self, id: &RequestId) -> Option<RequestView> {
        let (record, policy) = (self.shared.record(id)?, self.shared.policy.borrow().clone());
        let view = record.view(&policy, self.sessions(&id.to_owned().into()));
        Some(RequestView { running: self.running(&record), ..view })
    }

    /// All requests that people decide on, at a glance, oldest first.
    pub fn glimpses(&self) -> Vec<Glimpse> {
        let seen = |record: &Record| Some((record.received, record.glimpse()?));
        let mut glimpses: Vec<_> = self.shared.book.read().all().filter_map(seen).collect();
        glimpses.sort_unstable_by_key(|(received, glimpse)| (*received, glimpse.id));
        glimpses.into_iter().map(|(_, glimpse)| glimpse).collect()
    }

    /// Wakes whenever a request comes or changes; the value is a mere counter.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Somebody was told of a request: kept with it, and told to its operator.
    pub async fn notified(&self, id: RequestId, who: String, time: UnixMillis) {
        // Only told to people: what cannot be kept is no harm.
        let _ = self.commands.send(Command::Notified(id, Notice { who, time })).await;
    }

    /// Requests that wait for a person, and live grants.
    pub fn counts(&self) -> (usize, usize) {
        self.shared.counts()
    }

    pub(super) fn sessions(&self, grant: &GrantId) -> u32 {
        let open = self.shared.view.grant(grant).map_or(0, |grant| grant.sessions());
        u32::try_from(open).unwrap_or(u32::MAX)
    }
}

impl Inbox for Requests {
    /// Whatever is not stored in time counts as not taken, and is delivered again.
    async fn deliver(&self, sealed: SealedRequest) -> ReceivedStatus {
        let delivered = answered(&self.commands, |reply| Command::Deliver(Box::new(sealed), reply)).await;
        delivered.unwrap_or(ReceivedStatus::Full)
    }

    fn outcomes(&self) -> Vec<SealedOutcome> {
        self.shared.outbox.all()
    }

    fn outcome_changes(&self) -> watch::Receiver<u64> {
        self.shared.outbox.changes()
    }

    async fn acknowledged(&self, outcome: SealedOutcome) {
        if self.shared.outbox.acknowledged(&outcome) {
            // A full queue only means that the outcome is sent once more after a restart.
            let _ = self.commands.try_send(Command::Acknowledged(Box::new(outcome)));
        }
    }
}

/// The clerk's answer to what is put into this queue for it; both may take [`PATIENCE`] together.
pub(super) async fn answered<C, T>(
    queue: &mpsc::Sender<C>,
    command: impl FnOnce(oneshot::Sender<T>) -> C,
) -> Result<T, NoAnswer> {
    let (reply, answer) = oneshot::channel();
    let asked = async {
        queue.send(command(reply)).await.ok()?;
        answer.await.ok()
    };
    tokio::time::timeout(PATIENCE, asked).await.ok().flatten().ok_or(NoAnswer)
}

#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", PATIENCE.as_secs())]
pub(super) struct NoAnswer;

/// More than one deadline of the store, since something may be queued before.
pub(super) const PATIENCE: Duration = Duration::from_secs(12);
