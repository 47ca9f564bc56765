//! The threads that carry tunnels: each tunnel with all of its sessions stays on one.
//! Lanes hold no thread alive: the broker owns the shards and ends them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use tracing::Span;
use tunnel_runtime::{
    shards::{Shard, Shards},
    tasks::Tasks,
};

/// One thread and what runs there; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    shard: Shard,
    tasks: Arc<Tasks>,
}

/// Every lane.
#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    next: AtomicUsize,
}

impl Lane {
    /// Runs `future` here until it ends or the broker does.
    pub(crate) fn spawn(&self, span: Span, future: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(span, future);
    }

    /// The shard.
    pub(crate) fn shard(&self) -> &Shard {
        &self.shard
    }
}

impl Lanes {
    /// One lane per shard.
    pub(crate) fn new(shards: &Shards) -> Self {
        let lane = |shard: &Shard| Lane { shard: shard.clone(), tasks: Arc::new(shard.tasks()) };
        Self { lanes: shards.all().iter().map(lane).collect(), next: AtomicUsize::new(0) }
    }

    /// The first lane, which receives the packets of all.
    pub(crate) fn first(&self) -> &Lane {
        &self.lanes[0]
    }

    /// The next lane in turn.
    pub(crate) fn pick(&self) -> &Lane {
        &self.lanes[self.next.fetch_add(1, Ordering::Relaxed) % self.lanes.len()]
    }

    /// Waits; panics as soon as a task of any lane has.
    pub(crate) async fn supervise(&self) {
        join_all(self.lanes.iter().map(|lane| lane.tasks.supervise(std::future::pending::<()>()))).await;
    }

    /// Aborts everything.
    pub(crate) fn abort_all(&self) {
        self.lanes.iter().for_each(|lane| lane.tasks.abort_all());
    }
}
