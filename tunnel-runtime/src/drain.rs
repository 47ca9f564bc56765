//! Shutdown in two bounded phases: drain (accept nothing new, finish what runs), then cut.
//!
//! Invariant: phases only go forward, and every watcher sees each of them, however late it looks.

use std::{future::Future, io, pin::pin, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tracing::info_span;

use crate::tasks::Task;

/// How far a shutdown has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Not asked for.
    Serving,
    /// Accept nothing new, tell peers, finish what runs.
    Draining,
    /// The grace period is over: cut what still runs.
    Cut,
}

/// Starts a shutdown; dropping it cuts at once.
#[derive(Debug)]
pub struct Drain {
    phase: watch::Sender<Phase>,
}

/// Sees a shutdown; cheap to clone.
#[derive(Debug, Clone)]
pub struct Watch {
    phase: watch::Receiver<Phase>,
}

/// A new shutdown signal and its watcher.
pub fn channel() -> (Drain, Watch) {
    let (sender, receiver) = watch::channel(Phase::Serving);
    (Drain { phase: sender }, Watch { phase: receiver })
}

impl Drain {
    /// Another watcher.
    pub fn watch(&self) -> Watch {
        Watch { phase: self.phase.subscribe() }
    }

    /// Drains until `idle` ends, but no longer than `grace`; then cuts, and gives what is cut a moment to say so. True if
    /// `idle` ended in time.
    pub async fn run(self, grace: Duration, idle: impl Future<Output = ()>) -> bool {
        let mut idle = pin!(idle);
        self.advance(Phase::Draining);
        let finished = tokio::time::timeout(grace, &mut idle).await.is_ok();
        self.advance(Phase::Cut);
        if !finished {
            let _ = tokio::time::timeout(FAREWELL, idle).await;
        }
        finished
    }

    /// Enters the first phase.
    pub fn begin(&self) {
        self.advance(Phase::Draining);
    }

    /// Enters the second phase.
    pub fn cut(&self) {
        self.advance(Phase::Cut);
    }

    fn advance(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let forward = *now < phase;
            *now = phase.max(*now);
            forward
        });
    }
}

impl Watch {
    /// How far it has come.
    pub fn phase(&self) -> Phase {
        // A sender that is gone cuts.
        if self.phase.has_changed().is_err() { Phase::Cut } else { *self.phase.borrow() }
    }

    /// Whether nothing new may be accepted.
    pub fn is_draining(&self) -> bool {
        self.phase() >= Phase::Draining
    }

    /// Waits for the first phase.
    pub async fn draining(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Waits for the second phase.
    pub async fn cut(&self) {
        self.reached(Phase::Cut).await;
    }

    async fn reached(&self, phase: Phase) {
        // An error says that the sender is gone, which is a cut.
        let _ = self.phase.clone().wait_for(|now| *now >= phase).await;
    }
}

/// Waits for the first SIGTERM or SIGINT. The returned task ends the process at once on a second one: hold on to it
/// while draining.
pub async fn signaled() -> io::Result<Task<()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    either(&mut terminate, &mut interrupt).await;
    Ok(Task::spawn(info_span!("signal"), async move {
        either(&mut terminate, &mut interrupt).await;
        std::process::exit(AT_ONCE);
    }))
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

/// What a shell reports of a process that SIGINT ended.
const AT_ONCE: i32 = 130;

/// Far more than a last status needs on its way.
const FAREWELL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
