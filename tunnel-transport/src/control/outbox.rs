//! Frames to send, and those that wait for their acknowledgement. Pure: time comes from the caller.
//!
//! Invariant: nothing with an id is forgotten before it was acknowledged, and the whole stays within its bounds.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use tokio::{sync::oneshot, time::Instant};

use super::ControlLimits;

/// The queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many control messages are queued or unacknowledged")]
pub struct Full;

/// What is on its way out.
#[derive(Debug)]
pub struct Outbox {
    limits: ControlLimits,
    newest: u64,
    queue: VecDeque<Queued>,
    waiting: BTreeMap<u64, Waiting>,
    bytes: usize,
}

#[derive(Debug)]
enum Queued {
    Once(Bytes),
    Kept(u64),
}

#[derive(Debug)]
struct Waiting {
    frame: Bytes,
    /// When to send again; none while it is queued.
    due: Option<Instant>,
    acknowledged: Option<oneshot::Sender<()>>,
}

impl Outbox {
    /// An empty one.
    pub const fn new(limits: ControlLimits) -> Self {
        Self { limits, newest: 0, queue: VecDeque::new(), waiting: BTreeMap::new(), bytes: 0 }
    }

    /// Queues a frame that may be lost with the tunnel.
    pub fn once(&mut self, frame: Bytes) -> Result<(), Full> {
        self.room(frame.len())?;
        self.bytes += frame.len();
        self.queue.push_back(Queued::Once(frame));
        Ok(())
    }

    /// The id for the next frame that is kept until acknowledged.
    pub const fn next_id(&self) -> u64 {
        self.newest + 1
    }

    /// Queues the frame with [`Outbox::next_id`]; `acknowledged` is told when its acknowledgement comes.
    pub fn kept(&mut self, frame: Bytes, acknowledged: oneshot::Sender<()>) -> Result<(), Full> {
        self.room(frame.len())?;
        self.newest += 1;
        self.bytes += frame.len();
        self.queue.push_back(Queued::Kept(self.newest));
        self.waiting.insert(self.newest, Waiting { frame, due: None, acknowledged: Some(acknowledged) });
        Ok(())
    }

    /// The next frame to write.
    pub fn pop(&mut self, now: Instant) -> Option<Bytes> {
        loop {
            match self.queue.pop_front()? {
                Queued::Once(frame) => {
                    self.bytes -= frame.len();
                    return Some(frame);
                }
                Queued::Kept(id) => {
                    // One that was acknowledged while it was queued again is not sent once more.
                    let Some(waiting) = self.waiting.get_mut(&id) else { continue };
                    waiting.due = Some(now + self.limits.repeat);
                    return Some(waiting.frame.clone());
                }
            }
        }
    }

    /// Forgets what the peer acknowledged; ids that never were are ignored.
    pub fn acknowledged(&mut self, ids: &[u64]) {
        for waiting in ids.iter().filter_map(|id| self.waiting.remove(id)) {
            self.bytes -= waiting.frame.len();
            // Nobody may be interested.
            let _ = waiting.acknowledged.map(|waiter| waiter.send(()));
        }
        // Without this, a repeat of an acknowledged frame would stay queued while the peer reads nothing.
        let waiting = &self.waiting;
        self.queue.retain(|queued| match queued {
            Queued::Once(_) => true,
            Queued::Kept(id) => waiting.contains_key(id),
        });
    }

    /// Queues again what is overdue.
    pub fn repeat(&mut self, now: Instant) {
        for (id, waiting) in &mut self.waiting {
            if waiting.due.is_some_and(|due| due <= now) {
                waiting.due = None;
                self.queue.push_back(Queued::Kept(*id));
            }
        }
    }

    /// When [`Outbox::repeat`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        self.waiting.values().filter_map(|waiting| waiting.due).min()
    }

    /// Frames that were not acknowledged yet.
    pub fn unacknowledged(&self) -> usize {
        self.waiting.len()
    }

    fn room(&self, more: usize) -> Result<(), Full> {
        let once = self.queue.iter().filter(|queued| matches!(queued, Queued::Once(_))).count();
        let fits = once + self.waiting.len() < self.limits.queued && self.bytes + more <= self.limits.bytes;
        if fits { Ok(()) } else { Err(Full) }
    }
}

#[cfg(test)]
mod tests;
