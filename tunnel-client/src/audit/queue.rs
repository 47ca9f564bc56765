//! What waits for the writer, with a bound for each sort.
//!
//! What is waited for is refused when its bound is reached; what only looks is counted then, because reading the
//! engine must not depend on a disk. Outcomes always find room: there are never more of them than intents.

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tunnel_protos::UnixMillis;

use super::{
    Entry, Unwritable,
    event::{Event, Millis},
    metrics,
    own::Own,
};

/// One record on its way.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) time: UnixMillis,
    pub(super) body: Body,
    pub(super) asker: Asker,
}

/// What the record says.
#[derive(Debug)]
pub(super) enum Body {
    /// What was handed over.
    Event(Event),
    /// What came of the intent of this sequence.
    Outcome(u64, super::Outcome),
    /// Something about the log itself.
    Own(Own),
}

/// Who waits for it to be durable.
#[derive(Debug)]
pub(super) enum Asker {
    /// Nobody.
    None,
    /// Somebody who will act then, and report.
    Intent(Reply),
    /// Somebody who wants to know.
    Record(Reply),
}

/// The entry goes with the answer, so that one which nobody takes out ends as one that is dropped.
pub(super) type Reply = oneshot::Sender<Result<Entry, Unwritable>>;

/// The queue of one log.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct State {
    items: Vec<Item>,
    urgent: usize,
    notes: usize,
    dropped: Option<Dropped>,
    door: Door,
}

/// Who may come in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Door {
    /// Everybody.
    #[default]
    Open,
    /// Nobody who waits, but emergencies: the disk does not take it.
    Emergencies,
    /// Nobody: the writer is gone, or is to go.
    Closed,
}

/// What was not kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dropped {
    records: u64,
    since: UnixMillis,
    until: UnixMillis,
}

impl Queue {
    /// Takes in what somebody waits for.
    pub(super) fn push_urgent(&self, item: Item) -> Result<(), Unwritable> {
        let mut state = self.state.lock();
        let welcome = match state.door {
            Door::Open => true,
            Door::Emergencies => item.is_emergency(),
            Door::Closed => false,
        };
        if !welcome || state.urgent >= MAX_URGENT {
            return Err(Unwritable);
        }
        state.urgent += 1;
        state.items.push(item);
        drop(state);
        self.bell.notify_one();
        Ok(())
    }

    /// Takes in what nobody waits for; the writer is woken once for many.
    pub(super) fn push_note(&self, item: Item) {
        let mut state = self.state.lock();
        if state.door == Door::Closed || state.notes >= item.most() {
            Dropped::add(&mut state.dropped, item.time);
            return;
        }
        state.notes += 1;
        state.items.push(item);
        let wake = state.notes == 1;
        drop(state);
        if wake {
            self.bell.notify_one();
        }
    }

    /// Everything that waits, in order, and what was not kept since the last time.
    pub(super) fn take(&self) -> (Vec<Item>, Option<Dropped>) {
        let mut state = self.state.lock();
        (state.urgent, state.notes) = (0, 0);
        (std::mem::take(&mut state.items), state.dropped.take())
    }

    /// How many wait that somebody waits for, and how many in all.
    pub(super) fn len(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.urgent, state.items.len())
    }

    /// Waits until anything is there, or the queue is closed.
    pub(super) async fn filled(&self) {
        self.until(|state| !state.items.is_empty()).await;
    }

    /// Waits until `count` are there that somebody waits for, or the queue is closed.
    pub(super) async fn urgent(&self, count: usize) {
        self.until(|state| state.urgent >= count).await;
    }

    async fn until(&self, reached: impl Fn(&State) -> bool) {
        // A permit is kept for whoever waits next, so nothing is missed in between.
        while !self.is_reached(&reached) {
            self.bell.notified().await;
        }
    }

    fn is_reached(&self, reached: impl Fn(&State) -> bool) -> bool {
        let state = self.state.lock();
        state.door == Door::Closed || reached(&state)
    }

    /// Sets who may come in; a closed door stays closed.
    pub(super) fn set_door(&self, door: Door) {
        let mut state = self.state.lock();
        if state.door != Door::Closed {
            state.door = door;
        }
        drop(state);
        self.bell.notify_one();
    }

    pub(super) fn door(&self) -> Door {
        self.state.lock().door
    }

    /// Tells everybody who waits that nothing comes of it; for a writer that is gone.
    pub(super) fn shut(&self) {
        self.set_door(Door::Closed);
        drop(self.take());
    }
}

impl Item {
    pub(super) fn own(time: UnixMillis, own: Own) -> Self {
        Self { time, body: Body::Own(own), asker: Asker::None }
    }

    pub(super) fn is_emergency(&self) -> bool {
        matches!(&self.body, Body::Event(event) if event.is_emergency())
    }

    pub(super) fn is_urgent(&self) -> bool {
        !matches!(self.asker, Asker::None)
    }

    /// Only what was looked at may be missing, never what was done.
    pub(super) fn may_be_dropped(&self) -> bool {
        matches!(
            self.body,
            Body::Event(Event::Read { .. } | Event::SessionOpened { .. } | Event::SessionEnded { .. })
        )
    }

    /// How many notes may wait already where this one still finds room.
    pub(super) fn most(&self) -> usize {
        if self.may_be_dropped() { MAX_NOTES } else { MAX_KEPT }
    }

    /// Tells whoever waits; false if somebody meant to act on it and is gone.
    pub(super) fn tell(asker: Asker, said: Result<Entry, Unwritable>) -> bool {
        match asker {
            Asker::None => true,
            // Nobody acts on a mere record.
            Asker::Record(reply) => reply.send(said).map_or(true, |()| true),
            Asker::Intent(reply) => reply.send(said).map_err(|said| said.map(Entry::forget)).is_ok(),
        }
    }
}

impl Dropped {
    pub(super) fn add(dropped: &mut Option<Self>, time: UnixMillis) {
        let dropped = dropped.get_or_insert(Self { records: 0, since: time, until: time });
        dropped.records += 1;
        dropped.until = dropped.until.max(time);
    }

    pub(super) fn record(self) -> Item {
        let Self { records, since, until } = self;
        metrics::dropped(records);
        Item::own(until, Own::Dropped { records, since: Millis(since), until: Millis(until) })
    }
}

/// More than all sessions have calls; beyond it something is wrong, and a refusal is honest.
const MAX_URGENT: usize = 16 * 1024;
/// A second of reads at full speed; a few MiB.
pub(super) const MAX_NOTES: usize = 16 * 1024;
/// What was done is kept for longer; a disk that stays full while somebody pauses in a loop must not take all memory.
const MAX_KEPT: usize = 64 * 1024;
