//! Who may run: one operation per component at a time, first come first served, and everybody sees how many are before.

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::watch;
use tunnel_protos::operations::v1::Plan;

/// All that run or wait; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Queue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    places: Mutex<Places>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Places {
    next: u64,
    taken: Vec<(u64, BTreeSet<String>)>,
}

/// A place in the queue; given up when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    queue: Queue,
    changes: watch::Receiver<()>,
}

/// What a plan holds alone while it runs.
pub(super) fn holds(plan: &Plan) -> BTreeSet<String> {
    let releases = plan.releases.iter().map(|release| release.component.clone());
    releases.chain([plan.component.clone()]).collect()
}

impl Queue {
    /// A place behind all others.
    pub(super) fn enter(&self, holds: BTreeSet<String>) -> Place {
        let changes = self.0.changed.subscribe();
        let mut places = self.0.places.lock();
        let number = places.next;
        places.next += 1;
        places.taken.push((number, holds));
        Place { number, queue: self.clone(), changes }
    }
}

impl Place {
    /// How many that hold something of this one's run or wait before it.
    pub(super) fn ahead(&self) -> usize {
        let places = self.queue.0.places.lock();
        let own = places.taken.iter().find(|(number, _)| *number == self.number);
        let Some((_, holds)) = own else { return 0 };
        let before = places.taken.iter().filter(|(number, _)| *number < self.number);
        before.filter(|(_, theirs)| !theirs.is_disjoint(holds)).count()
    }

    /// Waits until the number of those ahead may have changed.
    pub(super) async fn changed(&mut self) {
        // The sender lives as long as the queue, which this place keeps.
        let _ = self.changes.changed().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.0.places.lock().taken.retain(|(number, _)| *number != self.number);
        self.queue.0.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[tokio::test]
    async fn one_per_component_in_the_order_in_which_they_came() {
        let queue = Queue::default();
        let first = queue.enter(holds(&["storage"]));
        let other = queue.enter(holds(&["query"]));
        let mut both = queue.enter(holds(&["storage", "query"]));
        let last = queue.enter(holds(&["storage"]));
        let ahead = |place: &Place| place.ahead();
        assert_eq!([&first, &other, &both, &last].map(ahead), [0, 0, 2, 2]);
        drop(first);
        both.changed().await;
        assert_eq!([&other, &both, &last].map(ahead), [0, 1, 1]);
        drop(other);
        assert_eq!([&both, &last].map(ahead), [0, 1]);
        drop(both);
        assert_eq!(last.ahead(), 0);
    }

    #[tokio::test]
    async fn one_that_gives_up_waiting_makes_room() {
        let queue = Queue::default();
        let (_first, second) = (queue.enter(holds(&["a"])), queue.enter(holds(&["a"])));
        let third = queue.enter(holds(&["a"]));
        drop(second);
        assert_eq!(third.ahead(), 1);
    }
}
