//! Places for those who have whole bundles in memory: a few in all, and of operators one for each.

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many places; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    taken: Arc<Mutex<BTreeSet<String>>>,
}

/// One of them; dropped, it is given back.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    own: Option<(Arc<Mutex<BTreeSet<String>>>, String)>,
}

impl Places {
    /// So many.
    pub(super) fn new(most: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(most)), taken: Arc::default() }
    }

    /// One for anybody; none if all are taken.
    pub(super) fn any(&self) -> Option<Place> {
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Place { _permit: permit, own: None })
    }

    /// One for this operator; none if all are taken, or this operator has one.
    pub(super) fn of(&self, operator: &str) -> Option<Place> {
        let mut place = self.any()?;
        let is_first = self.taken.lock().insert(operator.to_owned());
        place.own = is_first.then(|| (Arc::clone(&self.taken), operator.to_owned()));
        is_first.then_some(place)
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.all.available_permits()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((taken, operator)) = self.own.take() {
            taken.lock().remove(&operator);
        }
    }
}
