//! Sessions whose operator has not finished TLS: so many at a time, and the oldest makes room for the next.
//!
//! A stranger who learned a door can open streams and prove nothing. Refusing the next one when these are many would
//! let the stranger lock everybody out for the length of a handshake; pushing out the oldest costs an honest operator
//! nothing, whose handshake takes two round trips, and leaves the other seats of the tunnel to who is proven. Only
//! the gate can do this: the broker cannot see who has proven anything.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Those who have proven nothing yet; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Newcomers {
    most: usize,
    waiting: Arc<Mutex<Waiting>>,
}

/// By number of arrival.
#[derive(Debug, Default)]
struct Waiting {
    arrivals: u64,
    places: BTreeMap<u64, Arc<Notify>>,
}

/// One who has proven nothing yet; dropped when that has changed.
#[derive(Debug)]
pub(super) struct Newcomer {
    number: u64,
    pushed_out: Arc<Notify>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Newcomers {
    /// At most `most`, and at least one, at a time.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), waiting: Arc::default() }
    }

    /// Lets one in; if there are too many then, the oldest is pushed out.
    pub(super) fn enter(&self) -> Newcomer {
        let pushed_out = Arc::new(Notify::new());
        let mut waiting = self.waiting.lock();
        waiting.arrivals += 1;
        let number = waiting.arrivals;
        waiting.places.insert(number, Arc::clone(&pushed_out));
        if waiting.places.len() > self.most
            && let Some((_, oldest)) = waiting.places.pop_first()
        {
            oldest.notify_one();
        }
        Newcomer { number, pushed_out, waiting: Arc::clone(&self.waiting) }
    }
}

impl Newcomer {
    /// Waits until others took the place. Safe to cancel.
    pub(super) async fn pushed_out(&self) {
        self.pushed_out.notified().await;
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.waiting.lock().places.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn is_out(newcomer: &Newcomer) -> bool {
        newcomer.pushed_out().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_makes_room_for_the_next() {
        let newcomers = Newcomers::new(2);
        let (first, second) = (newcomers.enter(), newcomers.enter());
        assert!(!is_out(&first) && !is_out(&second));
        let third = newcomers.enter();
        assert!(is_out(&first) && !is_out(&second) && !is_out(&third));
    }

    #[test]
    fn who_has_proven_itself_is_pushed_out_by_nobody() {
        let newcomers = Newcomers::new(2);
        drop(newcomers.enter());
        let (first, second) = (newcomers.enter(), newcomers.enter());
        assert!(!is_out(&first) && !is_out(&second));
        drop((first, second));
        assert!(newcomers.waiting.lock().places.is_empty());
    }
}
