//! Wakes those who wait for something about a key. It carries no data: the truth is in the store, so a ring may
//! come once too often but never once too few. A listener leaves when dropped.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Listeners by key.
#[derive(Debug)]
pub(crate) struct Bell<K: Eq + Hash + Clone> {
    listeners: Arc<Mutex<HashMap<K, Vec<Arc<Notify>>>>>,
}

/// Waits for rings of one key.
#[derive(Debug)]
pub(crate) struct Listener<K: Eq + Hash + Clone> {
    key: K,
    notify: Arc<Notify>,
    listeners: Arc<Mutex<HashMap<K, Vec<Arc<Notify>>>>>,
}

impl<K: Eq + Hash + Clone> Bell<K> {
    /// Listens to `key`; a ring from now on is not missed.
    pub(crate) fn listen(&self, key: K) -> Listener<K> {
        let notify = Arc::new(Notify::new());
        self.listeners.lock().entry(key.clone()).or_default().push(Arc::clone(&notify));
        Listener { key, notify, listeners: Arc::clone(&self.listeners) }
    }

    /// Wakes every listener of `key`.
    pub(crate) fn ring(&self, key: &K) {
        if let Some(all) = self.listeners.lock().get(key) {
            all.iter().for_each(|notify| notify.notify_one());
        }
    }

    /// Wakes the listener of `key` that came last; false if there is none.
    pub(crate) fn ring_newest(&self, key: &K) -> bool {
        let listeners = self.listeners.lock();
        let newest = listeners.get(key).and_then(|all| all.last());
        newest.inspect(|notify| notify.notify_one()).is_some()
    }
}

impl<K: Eq + Hash + Clone> Default for Bell<K> {
    fn default() -> Self {
        Self { listeners: Arc::default() }
    }
}

impl<K: Eq + Hash + Clone> Listener<K> {
    /// Waits for a ring; rings since the last wait count as one. Safe to cancel.
    pub(crate) async fn rung(&self) {
        self.notify.notified().await;
    }

    /// What it listens to.
    pub(crate) fn key(&self) -> &K {
        &self.key
    }
}

impl<K: Eq + Hash + Clone> Drop for Listener<K> {
    fn drop(&mut self) {
        let mut listeners = self.listeners.lock();
        let Some(all) = listeners.get_mut(&self.key) else { return };
        all.retain(|notify| !Arc::ptr_eq(notify, &self.notify));
        // A ring meant for this one may have been lost with it.
        match all.last() {
            Some(next) => next.notify_one(),
            None => drop(listeners.remove(&self.key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn is_rung(listener: &Listener<u8>) -> bool {
        listener.rung().now_or_never().is_some()
    }

    #[test]
    fn rings_reach_their_key_only() {
        let bell = Bell::default();
        let (one, other) = (bell.listen(1), bell.listen(2));
        bell.ring(&1);
        bell.ring(&1);
        assert!(is_rung(&one) && !is_rung(&one));
        assert!(!is_rung(&other));
    }

    #[test]
    fn a_ring_before_the_wait_is_not_missed() {
        let bell = Bell::default();
        let listener = bell.listen(1);
        assert!(bell.ring_newest(&1));
        assert!(is_rung(&listener));
    }

    #[test]
    fn the_newest_takes_over_and_gives_back() {
        let bell = Bell::default();
        let older = bell.listen(1);
        let newer = bell.listen(1);
        bell.ring_newest(&1);
        assert!(!is_rung(&older));
        drop(newer);
        assert!(is_rung(&older));
    }

    #[test]
    fn nothing_stays_behind() {
        let bell = Bell::default();
        drop((bell.listen(1), bell.listen(1)));
        assert!(bell.listeners.lock().is_empty());
        assert!(!bell.ring_newest(&1));
    }
}
