//! Outcomes that no broker has acknowledged yet: the latest per request, kept until one does.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::watch;
use tunnel_protos::v1::SealedOutcome;

use crate::metrics::{self, Queue};

/// What tunnels still have to deliver; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Outbox {
    waiting: Arc<Mutex<HashMap<Vec<u8>, Waiting>>>,
    changes: Arc<watch::Sender<u64>>,
}

#[derive(Debug)]
struct Waiting {
    order: u64,
    outcome: SealedOutcome,
}

impl Outbox {
    /// Puts the latest outcome of a request in place of an older one; false if there is no room for one more.
    pub(super) fn put(&self, outcome: SealedOutcome) -> bool {
        let mut waiting = self.waiting.lock();
        let room = waiting.len() < MAX_WAITING || waiting.contains_key(&outcome.envelope_id);
        if room {
            let order = *self.changes.borrow();
            waiting.insert(outcome.envelope_id.clone(), Waiting { order, outcome });
            self.changes.send_modify(|changes| *changes += 1);
        } else {
            metrics::refused(Queue::Outcomes);
        }
        room
    }

    /// A broker holds `outcome`; whether it was the latest.
    pub(super) fn acknowledged(&self, outcome: &SealedOutcome) -> bool {
        let mut waiting = self.waiting.lock();
        let latest = waiting.get(&outcome.envelope_id).is_some_and(|waiting| waiting.outcome == *outcome);
        if latest {
            waiting.remove(&outcome.envelope_id);
        }
        latest
    }

    /// All that wait, oldest first.
    pub(super) fn all(&self) -> Vec<SealedOutcome> {
        let waiting = self.waiting.lock();
        let mut all: Vec<_> = waiting.values().collect();
        all.sort_by_key(|waiting| waiting.order);
        all.into_iter().map(|waiting| waiting.outcome.clone()).collect()
    }

    /// Wakes when one was put.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// With every id that may be remembered for two operators; beyond this, brokers have been away for very long.
const MAX_WAITING: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(id: u8, text: u8) -> SealedOutcome {
        SealedOutcome { envelope_id: vec![id], enc: vec![], ciphertext: vec![text].into() }
    }

    #[test]
    fn only_the_latest_outcome_waits_and_only_its_own_acknowledgement_ends_it() {
        let outbox = Outbox::default();
        assert!(outbox.put(outcome(1, 1)) && outbox.put(outcome(1, 2)) && outbox.put(outcome(2, 1)));
        assert!(!outbox.acknowledged(&outcome(1, 1)));
        assert!(outbox.acknowledged(&outcome(1, 2)));
        assert_eq!(outbox.all(), [outcome(2, 1)]);
        assert_eq!(*outbox.changes().borrow(), 3);
    }

    #[test]
    fn a_full_outbox_refuses_and_keeps_what_it_has() {
        let outbox = Outbox::default();
        for n in 0..MAX_WAITING {
            let id = n.to_be_bytes().to_vec();
            assert!(outbox.put(SealedOutcome { envelope_id: id, enc: vec![], ciphertext: vec![].into() }));
        }
        assert!(!outbox.put(outcome(1, 1)));
        assert_eq!(outbox.all().len(), MAX_WAITING);
    }
}
