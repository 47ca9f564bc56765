//! Decoding answers and evaluating a profile's expressions beside the runtime: no answer of an engine holds up a thread that others need.
//!
//! Invariant: a few at a time for each engine, with those for which nobody waits any more; each does bounded work.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::{Engine, profile::EvaluationError};

/// The turns of one engine's evaluations.
#[derive(Debug)]
pub(super) struct Aside(Arc<Semaphore>);

impl Default for Aside {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_A_TIME)))
    }
}

impl Engine {
    /// Does `work`, which decodes or evaluates, off the runtime's threads; nobody waits longer than `within`.
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        within: Duration,
    ) -> Result<T, EvaluationError> {
        let turn = Arc::clone(&self.0.aside.0);
        let done = async {
            // It is never closed, and gives turns in the order in which they were asked for.
            let turn = turn.acquire_owned().await;
            let held = move || {
                let done = work();
                drop(turn);
                done
            };
            spawn_blocking(held).await.map_err(|_| EvaluationError::GaveUp)
        };
        timeout(within, done).await.unwrap_or(Err(EvaluationError::Slow))
    }
}

/// A look and the health beside it; an engine that makes each of them slow has nobody else waiting.
const AT_A_TIME: usize = 4;

#[cfg(test)]
mod tests;
