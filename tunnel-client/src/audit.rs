//! The audit log: what happened is on disk before it is acted on, each line chained to the one before.
//!
//! Callers write the intent before a decision is acted on or a mutating call is forwarded, and refuse if it cannot
//! be recorded; the outcome after. What is only looked at is noted without waiting: reading the engine does not
//! depend on a disk, and what a stalled disk leaves no room for is counted in the log.

pub mod disk;
mod event;
mod head;
pub mod line;
pub mod mark;
pub mod metrics;
mod open;
mod order;
mod own;
mod queue;
pub mod read;
pub mod retention;
pub mod segment;
pub mod select;
mod start;
pub mod statement;
#[cfg(test)]
mod tests;
pub mod verify;
mod writer;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};
use tunnel_protos::{GrantId, OperatorName, TargetName};

pub use self::{
    event::{Asked, By, Call, Called, DoorDigest, Event, GrantedMethod, Millis, Move},
    head::Head,
    open::{Log, OpenError},
};

use self::queue::{Asker, Body, Item, Queue, Reply};

/// The log of one replica; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Audit(Option<Arc<Shared>>);

/// What a log is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the log lies; made if it is not there.
    pub folder: PathBuf,
    /// Named in the first record.
    pub cluster: String,
    /// Named in the first record.
    pub label: String,
    /// Records older than this are removed once they are marked as exported.
    pub retention: Duration,
    /// A file that has grown to this is followed by a new one.
    pub segment_bytes: u64,
    /// Set aside for what must be recorded on a full disk.
    pub reserve_bytes: u64,
    /// Added to every sync, to see what a slow disk does.
    pub sync_delay: Duration,
}

/// What callers and the writer share.
#[derive(Debug, Default)]
struct Shared {
    queue: Queue,
    status: Mutex<Status>,
    start: Start,
    /// Whether anything may be written.
    begun: watch::Sender<bool>,
    sessions: AtomicU64,
}

/// How the log was found when it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// The last record that lay there.
    pub last_record: u64,
    /// Why it is not the log that was written; none if it is, as far as can be seen.
    pub damage: Option<String>,
}

/// What came of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The request has moved and is stored, or the step is done.
    Moved,
    /// The call ended.
    Called(Called),
    /// It did not happen.
    Failed,
    /// Nobody knows.
    Unknown,
}

/// A recorded intent that waits for its outcome; dropped without one, the log says `indeterminate`.
#[derive(Debug)]
#[must_use = "an intent without an outcome is indeterminate"]
pub struct Entry {
    seq: u64,
    log: Option<Arc<Shared>>,
}

/// An operator's session that is open; dropping it records its end.
#[derive(Debug)]
#[must_use = "a session that is dropped has ended"]
pub struct Session {
    audit: Audit,
    number: u64,
    grant: GrantId,
    end: &'static str,
}

impl Session {
    /// How it ended; `cut` for one that is only dropped.
    pub fn ended(mut self, end: &'static str) {
        self.end = end;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.audit.note(Event::SessionEnded { session: self.number, grant: self.grant, end: self.end });
    }
}

/// The log cannot be written: what mutates must be refused at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct Unwritable;

/// The log at a glance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Number of the last durable record.
    pub last_record: u64,
    /// Why it cannot be written; empty if it can.
    pub error: String,
    /// Intents that were found without an outcome at the last start.
    pub indeterminate: u64,
    /// Files older than the retention that stay because they are not marked as exported.
    pub held: u64,
}

impl Audit {
    /// Lets the writer of a log that was opened by [`Audit::open_held`] begin.
    pub fn begin(&self) {
        if let Some(shared) = &self.0 {
            shared.begun.send_replace(true);
        }
    }

    /// Records durably what is about to happen; its outcome is to follow. Cancelled, nothing is to happen.
    pub async fn intent(&self, event: Event) -> Result<Entry, Unwritable> {
        self.ask(event, Asker::Intent).await
    }

    /// Records what came of an intent, without waiting.
    pub fn outcome(&self, mut entry: Entry, outcome: Outcome) {
        entry.report(outcome);
    }

    /// Records durably something that needs no outcome.
    pub async fn record(&self, event: Event) -> Result<(), Unwritable> {
        self.ask(event, Asker::Record).await.map(drop)
    }

    /// Records what happens whatever becomes of its record; noted for later if the disk does not take it now.
    pub async fn closing(&self, event: Event) -> Option<Entry> {
        let kept = event.clone();
        let entry = self.intent(event).await.ok();
        // What a person did, the asking has noted by itself.
        if entry.is_none() && !kept.is_emergency() {
            self.note(kept.late());
        }
        entry
    }

    /// Records that an operator's session has begun, and its end when what comes back is dropped; nobody waits.
    pub fn session(&self, grant: GrantId, operator: OperatorName, target: TargetName) -> Session {
        let last = |shared: &Arc<Shared>| shared.sessions.fetch_add(1, Ordering::Relaxed) + 1;
        let number = self.0.as_ref().map_or(0, last);
        self.note(Event::SessionOpened { session: number, grant, operator, target });
        Session { audit: self.clone(), number, grant, end: "cut" }
    }

    /// Records without waiting; reads that find no room are counted, and the count recorded.
    pub fn note(&self, event: Event) {
        if let Some(shared) = &self.0 {
            let item = Item { time: writer::now(), body: Body::Event(event), asker: Asker::None };
            shared.queue.push_note(item);
        }
    }

    /// How the log stands.
    pub fn status(&self) -> Status {
        self.0.as_ref().map(|shared| shared.status.lock().clone()).unwrap_or_default()
    }

    /// How the log was found when it was opened.
    pub fn start(&self) -> Start {
        self.0.as_ref().map(|shared| shared.start.clone()).unwrap_or_default()
    }

    async fn ask(&self, event: Event, asker: impl FnOnce(Reply) -> Asker) -> Result<Entry, Unwritable> {
        let Some(shared) = &self.0 else { return Ok(Entry { seq: 0, log: None }) };
        let (reply, answer) = oneshot::channel();
        let kept = event.is_emergency().then(|| event.clone());
        let item = Item { time: writer::now(), body: Body::Event(event), asker: asker(reply) };
        let answered = match shared.queue.push_urgent(item) {
            Ok(()) => timeout(PATIENCE, answer).await,
            Err(unwritable) => Ok(Ok(Err(unwritable))),
        };
        let said = answered.ok().and_then(Result::ok).unwrap_or(Err(Unwritable));
        if said.is_err() {
            metrics::refused();
            // It happens all the same, and is written when there is space.
            kept.into_iter().for_each(|event| self.note(event.late()));
        }
        said
    }
}

impl Entry {
    /// Nothing is to be said of it: nobody heard of it.
    fn forget(mut self) {
        self.log = None;
    }

    fn report(&mut self, outcome: Outcome) {
        if let Some(shared) = self.log.take() {
            let item =
                Item { time: writer::now(), body: Body::Outcome(self.seq, outcome), asker: Asker::None };
            shared.queue.push_note(item);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.report(Outcome::Unknown);
    }
}

impl Shared {
    /// Everything up to `seq` is on disk.
    fn durable(&self, seq: u64) {
        self.status.lock().last_record = seq;
        metrics::last(seq);
    }

    /// Whether the disk takes it, and why not.
    fn writable(&self, writable: Result<(), String>) {
        let door = if writable.is_ok() { queue::Door::Open } else { queue::Door::Emergencies };
        metrics::unwritable(writable.is_err());
        self.status.lock().error = writable.err().unwrap_or_default();
        self.queue.set_door(door);
    }
}

/// A disk that does not answer is as good as one that refuses.
const PATIENCE: Duration = Duration::from_secs(5);
