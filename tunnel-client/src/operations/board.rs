//! What is known of each run, for everybody who looks: bounded, and never waited for.
//!
//! Invariant: it shows only what the store holds already, but for what holds a run up.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::RwLock;
use tokio::sync::watch;
use tunnel_certs::crypto::sha256;
use tunnel_protos::{
    RequestId,
    operations::v1::{Event, Operation, StepState, StepStatus},
    v1::RequestState,
};

use super::{Order, run::Run};

/// Shared by the runner, which writes, and all handles, which read.
#[derive(Debug, Clone, Default)]
pub(super) struct Board(Arc<RwLock<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    runs: BTreeMap<RequestId, Entry>,
    /// Stopped before they came, and why.
    early: BTreeMap<RequestId, String>,
}

#[derive(Debug)]
struct Entry {
    seen: watch::Sender<Arc<Seen>>,
    stop: watch::Sender<Option<String>>,
}

/// A run as it is shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    /// All but the plan, which the request holds, and the summary of a request that has no run.
    pub(super) operation: Operation,
    /// Those that are kept, oldest first.
    pub(super) events: Vec<Event>,
    /// Nothing follows.
    pub(super) over: bool,
}

/// Follows the events of one run.
#[derive(Debug, Clone)]
pub struct Watching {
    seen: watch::Receiver<Arc<Seen>>,
    after: u64,
}

impl Watching {
    /// The events that came since the last call, oldest first; waits for one. None once the run is over and all was told.
    pub async fn next(&mut self) -> Option<Vec<Event>> {
        loop {
            let seen = Arc::clone(&self.seen.borrow_and_update());
            let news: Vec<_> =
                seen.events.iter().filter(|event| event.number > self.after).cloned().collect();
            if let Some(last) = news.last() {
                self.after = last.number;
                return Some(news);
            }
            // An error says that the run was forgotten.
            if seen.over || self.seen.changed().await.is_err() {
                return None;
            }
        }
    }
}

impl Board {
    /// Shows a run for the first time; one that is shown already is left as it is.
    pub(super) fn enter(&self, id: RequestId, seen: Seen) {
        let mut entries = self.0.write();
        let stop = entries.early.remove(&id);
        let entry = || Entry { seen: watch::Sender::new(Arc::new(seen)), stop: watch::Sender::new(stop) };
        entries.runs.entry(id).or_insert_with(entry);
    }

    /// Shows a run as it is now.
    pub(super) fn show(&self, id: &RequestId, change: impl FnOnce(&mut Seen)) {
        if let Some(entry) = self.0.read().runs.get(id) {
            entry.seen.send_modify(|seen| change(Arc::make_mut(seen)));
        }
    }

    /// A run as it is shown.
    pub(super) fn seen(&self, id: &RequestId) -> Option<Arc<Seen>> {
        self.0.read().runs.get(id).map(|entry| Arc::clone(&entry.seen.borrow()))
    }

    /// Forgets a run that is over, or one that never began.
    pub(super) fn remove(&self, id: &RequestId) {
        let mut entries = self.0.write();
        entries.runs.remove(id);
        entries.early.remove(id);
    }

    /// Forgets a run that did not begin; that it is to stop holds for the one that comes in its place.
    pub(super) fn release(&self, id: &RequestId) {
        let mut entries = self.0.write();
        let stop = entries.runs.remove(id).and_then(|entry| entry.stop.borrow().clone());
        if let Some(why) = stop.filter(|_| entries.early.len() < MOST_EARLY) {
            entries.early.insert(*id, why);
        }
    }

    /// How many are not over.
    pub(super) fn open(&self) -> usize {
        self.0.read().runs.values().filter(|entry| !entry.seen.borrow().over).count()
    }

    /// Says that a run is to stop, and why, be it yet to come; false if it is over. The first reason stays.
    pub(super) fn stop(&self, id: &RequestId, why: &str) -> bool {
        let mut entries = self.0.write();
        let Some(entry) = entries.runs.get(id) else {
            if entries.early.len() < MOST_EARLY {
                entries.early.entry(*id).or_insert_with(|| why.to_owned());
            }
            return true;
        };
        let over = entry.seen.borrow().over;
        if !over {
            entry.stop.send_if_modified(|stop| {
                let first = stop.is_none();
                stop.get_or_insert_with(|| why.to_owned());
                first
            });
        }
        !over
    }

    /// Why a run is to stop; none while it is not.
    pub(super) fn stopping(&self, id: &RequestId) -> watch::Receiver<Option<String>> {
        let entries = self.0.read();
        entries.runs.get(id).map_or_else(|| watch::channel(None).1, |entry| entry.stop.subscribe())
    }

    pub(super) fn watch(&self, id: &RequestId, after: u64) -> Option<Watching> {
        let entries = self.0.read();
        entries.runs.get(id).map(|entry| Watching { seen: entry.seen.subscribe(), after })
    }
}

impl Seen {
    /// One that waits for its turn.
    pub(super) fn waiting(order: &Order) -> Self {
        let steps = order.planned.plan.steps.len();
        let status = StepStatus { state: StepState::Waiting.into(), ..StepStatus::default() };
        let operation = Operation {
            id: order.id.to_string(),
            state: RequestState::Approved.into(),
            summary: "Approved; it waits for its turn".to_owned(),
            plan_digest: order.planned.digest().to_vec(),
            steps: vec![status; steps],
            ..Operation::default()
        };
        Self { operation, ..Self::default() }
    }

    /// A run as it came back from the store.
    pub(super) fn of(run: &Run) -> Self {
        let operation = Operation {
            id: run.id.to_string(),
            plan_digest: sha256(&run.bytes).to_vec(),
            ..Operation::default()
        };
        let mut seen = Self { operation, ..Self::default() };
        seen.follow(run);
        seen
    }

    /// The run as it was stored just now.
    pub(super) fn follow(&mut self, run: &Run) {
        self.over = run.state.is_over();
        self.events.clone_from(&run.events);
        let last_event = run.events.last().map_or(0, |event| event.number);
        self.operation = Operation {
            state: run.state.to_message().into(),
            summary: run.why.clone(),
            steps: run.steps.clone(),
            queued_behind: 0,
            started_ms: run.started.0,
            ended_ms: run.ended.map_or(0, |ended| ended.0),
            last_event,
            ..std::mem::take(&mut self.operation)
        };
    }
}

/// Of runs that have not come yet; more than can wait at a time.
const MOST_EARLY: usize = 1024;
