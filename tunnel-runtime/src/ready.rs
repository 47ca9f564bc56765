//! Readiness as a set of latches: ready once all are released, and no longer once draining.

use std::sync::Arc;

use parking_lot::Mutex;

/// Whether the process is ready, and what it still waits for; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<&'static str>,
    draining: bool,
}

/// Holds readiness back until it is released or dropped.
#[derive(Debug)]
#[must_use = "dropping the latch releases it"]
pub struct Latch {
    name: &'static str,
    state: Arc<Mutex<State>>,
}

impl Readiness {
    /// Ready at once, until the first latch is taken.
    pub fn new() -> Self {
        Self::default()
    }

    /// Holds readiness back under a name that people will see at `/ready`.
    pub fn latch(&self, name: &'static str) -> Latch {
        self.state.lock().waiting.push(name);
        Latch { name, state: Arc::clone(&self.state) }
    }

    /// Not ready from now on.
    pub fn drain(&self) {
        self.state.lock().draining = true;
    }

    /// Whether every latch is released and nothing drains.
    pub fn is_ready(&self) -> bool {
        self.waiting_for().is_empty()
    }

    /// What holds readiness back.
    pub fn waiting_for(&self) -> Vec<&'static str> {
        let state = self.state.lock();
        let draining = state.draining.then_some("drain");
        state.waiting.iter().copied().chain(draining).collect()
    }
}

impl Latch {
    /// This part is ready.
    pub fn release(self) {}
}

impl Drop for Latch {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        if let Some(place) = state.waiting.iter().position(|name| *name == self.name) {
            state.waiting.swap_remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_once_every_latch_is_released() {
        let readiness = Readiness::new();
        let (identity, tunnel) = (readiness.latch("identity"), readiness.latch("tunnel"));
        identity.release();
        assert_eq!(readiness.waiting_for(), ["tunnel"]);
        tunnel.release();
        assert!(readiness.is_ready());
    }

    #[test]
    fn not_ready_while_draining() {
        let readiness = Readiness::new();
        readiness.drain();
        assert_eq!(readiness.waiting_for(), ["drain"]);
    }
}
