//! Maintenance tasks: one shard after the other, a progress message for each. A caller who goes away ends the task
//! after the shard at work.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::{task::spawn_blocking, time::sleep};
use tonic::Status;

use super::store::{Maintenance, Store};
use crate::generated::admin::v1::{RunTaskRequest, RunTaskResponse, Task};

/// Progress of a task.
pub(super) type TaskStream = Pin<Box<dyn Stream<Item = Result<RunTaskResponse, Status>> + Send>>;

pub(super) fn run(store: Arc<Store>, request: &RunTaskRequest) -> Result<TaskStream, Status> {
    let work = maintenance(request.task())?;
    let pause = Duration::from_millis(request.pause_millis.min(MAX_PAUSE_MILLIS).into());
    let run = Run { store, work, pause, done: 0, amount: 0, finished: false };
    Ok(stream::try_unfold(run, Run::next).boxed())
}

fn maintenance(task: Task) -> Result<Maintenance, Status> {
    Ok(match task {
        Task::Unspecified => return Err(Status::invalid_argument("name a task")),
        Task::Compact => Maintenance::Compact,
        Task::Reindex => Maintenance::Reindex,
        Task::Gc => Maintenance::Gc,
        Task::Flush => Maintenance::Flush,
        Task::Check => Maintenance::Check,
    })
}

struct Run {
    store: Arc<Store>,
    work: Maintenance,
    pause: Duration,
    done: usize,
    amount: u64,
    finished: bool,
}

impl Run {
    async fn next(mut self) -> Result<Option<(RunTaskResponse, Self)>, Status> {
        if self.finished {
            return Ok(None);
        }
        if self.done == self.store.shard_count() {
            self.finished = true;
        } else {
            self.work_on_next_shard().await?;
        }
        Ok(Some((self.progress(), self)))
    }

    async fn work_on_next_shard(&mut self) -> Result<(), Status> {
        let (store, shard, work) = (Arc::clone(&self.store), self.done, self.work);
        let counted = spawn_blocking(move || store.maintain(shard, work))
            .await
            .map_err(|error| Status::internal(error.to_string()))?
            .map_err(|error| Status::data_loss(error.to_string()))?;
        self.amount += counted;
        self.done += 1;
        sleep(self.pause).await;
        Ok(())
    }

    fn progress(&self) -> RunTaskResponse {
        RunTaskResponse {
            shards_done: self.done as u32,
            shards: self.store.shard_count() as u32,
            amount: self.amount,
            finished: self.finished,
        }
    }
}

/// A task must not look dead for longer.
const MAX_PAUSE_MILLIS: u32 = 60_000;
