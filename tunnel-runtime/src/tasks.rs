//! The only place that spawns tasks: each one has an owner and a span.
//!
//! Invariant: a task never outlives its owner, and its panic ends the owner (see [`Tasks::supervise`]).

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::{AbortHandle, JoinHandle},
};
use tracing::{Instrument, Span};

/// Why a task has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// It panicked; the panic was logged by the panic hook.
    #[error("the task panicked")]
    Panicked,
    /// It was aborted, or its runtime was shut down.
    #[error("the task was aborted")]
    Aborted,
}

/// One task, aborted when this handle is dropped; awaiting it gives the result.
#[derive(Debug)]
#[must_use = "dropping the handle aborts the task"]
pub struct Task<T> {
    handle: JoinHandle<T>,
}

impl<T: Send + 'static> Task<T> {
    /// Spawns `future` on the runtime of the caller, inside `span`.
    pub fn spawn(span: Span, future: impl Future<Output = T> + Send + 'static) -> Self {
        Self::spawn_on(&Handle::current(), span, future)
    }

    /// Spawns `future` on the runtime of `handle`, inside `span`.
    pub fn spawn_on(handle: &Handle, span: Span, future: impl Future<Output = T> + Send + 'static) -> Self {
        Self { handle: handle.spawn(future.instrument(span)) }
    }
}

impl<T> Task<T> {
    /// Ends the task at its next await.
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// Whether the task is over.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.handle)
            .poll(cx)
            .map_err(|error| if error.is_panic() { TaskError::Panicked } else { TaskError::Aborted })
    }
}

/// A growing and shrinking set of tasks without results; all are aborted when it is dropped.
#[derive(Debug, Default)]
pub struct Tasks {
    shared: Arc<Shared>,
    handle: Option<Handle>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    running: HashMap<u64, AbortHandle>,
    panicked: bool,
}

impl Tasks {
    /// An empty set whose tasks run on the runtime that calls [`Tasks::spawn`].
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty set whose tasks run on the runtime of `handle`.
    pub fn on(handle: Handle) -> Self {
        Self { shared: Arc::default(), handle: Some(handle) }
    }

    /// Spawns `future` inside `span`; it leaves the set by itself when it ends.
    pub fn spawn(&self, span: Span, future: impl Future<Output = ()> + Send + 'static) {
        let handle = self.handle.clone().unwrap_or_else(Handle::current);
        let mut state = self.shared.state.lock();
        let id = state.next;
        state.next += 1;
        let task = Member { id, shared: Arc::clone(&self.shared) }.run(Box::pin(future));
        // The lock is held until the handle is stored, so a task that ends at once finds its entry.
        let task = handle.spawn(task.instrument(span));
        state.running.insert(id, task.abort_handle());
    }

    /// How many tasks run.
    pub fn len(&self) -> usize {
        self.shared.state.lock().running.len()
    }

    /// Whether no task runs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Aborts every task; they leave the set as they end.
    pub fn abort_all(&self) {
        let handles: Vec<_> = self.shared.state.lock().running.values().cloned().collect();
        handles.iter().for_each(AbortHandle::abort);
    }

    /// Waits until no task runs; bound it with a deadline.
    pub async fn idle(&self) {
        self.shared.wait(|state| state.running.is_empty()).await;
    }

    /// Runs `parent` while watching the set: a panic in a task of the set becomes a panic of the caller.
    pub async fn supervise<T>(&self, parent: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            () = self.shared.wait(|state| state.panicked) => panicked(),
            output = parent => output,
        }
    }
}

#[expect(clippy::panic, reason = "the panic of a child ends its parent; swallowing it would hide a bug")]
fn panicked() -> ! {
    panic!("a task of this owner panicked")
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.abort_all();
    }
}

impl Shared {
    async fn wait(&self, reached: impl Fn(&State) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so a change in between is not missed.
            changed.as_mut().enable();
            if reached(&self.state.lock()) {
                return;
            }
            changed.await;
        }
    }
}

/// Removes its task from the set when the task's future is dropped: finished, aborted or unwinding.
struct Member {
    id: u64,
    shared: Arc<Shared>,
}

impl Member {
    /// Takes its task boxed: an async block keeps what it awaits twice, and an idle broker is made of tasks.
    async fn run(self, future: impl Future<Output = ()> + Send + Unpin) {
        future.await;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.running.remove(&self.id);
        state.panicked |= std::thread::panicking();
        drop(state);
        self.shared.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
