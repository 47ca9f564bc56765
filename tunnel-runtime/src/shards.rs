//! Threads with one current-thread runtime each, so that all tasks of one tunnel stay on one core.
//!
//! Invariant: a shard's thread ends only by [`Shards::join`] or when [`Shards`] is dropped.

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::{runtime::Handle, sync::oneshot};
use tracing::Span;

use crate::tasks::{Task, Tasks};

/// A fixed number of shards.
#[derive(Debug)]
pub struct Shards {
    shards: Vec<Shard>,
    threads: Vec<Thread>,
    next: AtomicUsize,
}

/// A handle to one thread with its runtime; cheap to clone.
#[derive(Debug, Clone)]
pub struct Shard {
    index: usize,
    handle: Handle,
    load: Arc<AtomicUsize>,
}

/// Counts toward a shard's load while it lives.
#[derive(Debug)]
pub struct Load(Arc<AtomicUsize>);

#[derive(Debug)]
struct Thread {
    // Dropping it ends the thread.
    stop: Option<oneshot::Sender<()>>,
    ended: std::sync::mpsc::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Shards {
    /// Starts `count` threads (at least one) named `name-0`, `name-1`, ….
    pub fn start(name: &str, count: usize) -> io::Result<Self> {
        let started = (0..count.max(1)).map(|index| start(name, index));
        let (shards, threads) = started.collect::<io::Result<Vec<_>>>()?.into_iter().unzip();
        Ok(Self { shards, threads, next: AtomicUsize::new(0) })
    }

    /// The least loaded shard; among equals, one after the other.
    pub fn pick(&self) -> Shard {
        let count = self.shards.len();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let order = (0..count).map(|step| &self.shards[first.wrapping_add(step) % count]);
        order.min_by_key(|shard| shard.load()).unwrap_or(&self.shards[0]).clone()
    }

    /// All shards, in order.
    pub fn all(&self) -> &[Shard] {
        &self.shards
    }

    /// Ends all threads, aborting what still runs there; false if one did not end within `deadline`. Blocks.
    pub fn join(mut self, deadline: Duration) -> bool {
        self.threads.iter_mut().for_each(|thread| drop(thread.stop.take()));
        // Every thread is waited for, also after one that did not end.
        let ended: Vec<_> = self.threads.iter_mut().map(|thread| thread.join(deadline)).collect();
        ended.into_iter().all(|ended| ended)
    }
}

impl Shard {
    /// Its number, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Runs `future` on this shard, inside `span`.
    pub fn spawn<T: Send + 'static>(
        &self,
        span: Span,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Task<T> {
        Task::spawn_on(&self.handle, span, future)
    }

    /// An empty set whose tasks run on this shard.
    pub fn tasks(&self) -> Tasks {
        Tasks::on(self.handle.clone())
    }

    /// Counts one more piece of work here until the returned value is dropped.
    pub fn hold(&self) -> Load {
        self.load.fetch_add(1, Ordering::Relaxed);
        Load(Arc::clone(&self.load))
    }

    /// How many pieces of work are held here.
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Thread {
    fn join(&mut self, deadline: Duration) -> bool {
        // A disconnect says the same as a message: the thread's closure is over.
        let ended = self.ended.recv_timeout(deadline) != Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        ended && self.thread.take().is_some_and(|thread| thread.join().is_ok())
    }
}

fn start(name: &str, index: usize) -> io::Result<(Shard, Thread)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let (end, ended) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name(format!("{name}-{index}")).spawn(move || {
        // An error says that the sender is gone, which is the signal.
        let _ = runtime.block_on(stopped);
        drop(runtime);
        drop(end);
    })?;
    let shard = Shard { index, handle, load: Arc::default() };
    Ok((shard, Thread { stop: Some(stop), ended, thread: Some(thread) }))
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn work_runs_on_the_named_thread() {
        let shards = Shards::start("lane", 2).unwrap();
        let name = || std::thread::current().name().map(str::to_owned);
        let task = shards.all()[1].spawn(Span::none(), async move { name() });
        assert_eq!(task.await.unwrap().as_deref(), Some("lane-1"));
        assert!(shards.join(DEADLINE));
    }

    #[test]
    fn picks_the_least_loaded() {
        let shards = Shards::start("lane", 3).unwrap();
        let _first = shards.all()[0].hold();
        let _third = shards.all()[2].hold();
        assert_eq!((0..3).map(|_| shards.pick().index()).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn takes_turns_among_equals() {
        let shards = Shards::start("lane", 3).unwrap();
        assert_eq!((0..4).map(|_| shards.pick().index()).collect::<Vec<_>>(), [0, 1, 2, 0]);
    }

    #[test]
    fn join_ends_what_still_runs() {
        let shards = Shards::start("lane", 1).unwrap();
        let (alive, ended) = std::sync::mpsc::channel::<()>();
        let task = shards.pick().spawn(Span::none(), async move {
            let _alive = alive;
            pending::<()>().await;
        });
        assert!(shards.join(DEADLINE));
        assert!(ended.recv().is_err());
        drop(task);
    }
}
