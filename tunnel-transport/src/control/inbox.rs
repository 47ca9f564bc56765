//! Which ids arrived and were handled. Pure.
//!
//! Invariant: an id is acknowledged only after somebody said that it is handled; until then a repeat is delivered
//! again, so handlers are idempotent.

use std::collections::BTreeSet;

/// More than a peer may have unacknowledged; an id so far below the newest was handled long ago.
const WINDOW: u64 = 4096;
/// Acknowledgements that wait to be sent; beyond, the peer repeats its message.
const ACKS: usize = 4096;

/// What has arrived.
#[derive(Debug, Default)]
pub struct Inbox {
    handled: BTreeSet<u64>,
    floor: u64,
    acks: Vec<u64>,
}

impl Inbox {
    /// Whether a message with this id is to be delivered; one that was handled before is acknowledged again.
    pub fn arrived(&mut self, id: u64) -> bool {
        let known = id != 0 && (id <= self.floor || self.handled.contains(&id));
        if known {
            self.acknowledge(id);
        }
        !known
    }

    /// The message with this id is stored or otherwise done with.
    pub fn handled(&mut self, id: u64) {
        if id == 0 {
            return;
        }
        self.acknowledge(id);
        self.handled.insert(id);
        let newest = self.handled.last().copied().unwrap_or_default();
        self.floor = self.floor.max(newest.saturating_sub(WINDOW));
        self.handled = self.handled.split_off(&(self.floor.saturating_add(1)));
    }

    /// The ids to acknowledge now.
    pub fn take_acks(&mut self) -> Option<Vec<u64>> {
        (!self.acks.is_empty()).then(|| std::mem::take(&mut self.acks))
    }

    fn acknowledge(&mut self, id: u64) {
        if self.acks.len() < ACKS {
            self.acks.push(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_repeat_is_delivered_again_until_it_is_handled() {
        let mut inbox = Inbox::default();
        assert!(inbox.arrived(1) && inbox.arrived(1));
        assert_eq!(inbox.take_acks(), None);
        inbox.handled(1);
        assert!(!inbox.arrived(1));
        assert_eq!(inbox.take_acks(), Some(vec![1, 1]));
    }

    #[test]
    fn messages_without_an_id_are_always_delivered_and_never_acknowledged() {
        let mut inbox = Inbox::default();
        inbox.handled(0);
        assert!(inbox.arrived(0) && inbox.arrived(0));
        assert_eq!(inbox.take_acks(), None);
    }

    proptest! {
        #[test]
        fn memory_is_bounded_whatever_ids_come(ids in prop::collection::vec(any::<u64>(), 0..6000)) {
            let mut inbox = Inbox::default();
            for id in ids {
                inbox.arrived(id);
                inbox.handled(id);
                prop_assert!(!inbox.arrived(id) || id == 0);
            }
            prop_assert!(inbox.handled.len() as u64 <= WINDOW && inbox.acks.len() <= ACKS);
        }
    }
}
