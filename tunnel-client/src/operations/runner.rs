//! Owns all runs: takes orders, goes on after a restart, and tells where each stands whenever it is asked.
//!
//! Invariant: one task per run, which alone writes its record; all of them end with this one.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};
use tracing::{info, info_span};
use tunnel_protos::{Digest, RequestId};
use tunnel_runtime::{drain, tasks::Tasks};

use super::{
    Archive, Behind, RunState, Word,
    board::{Board, Seen},
    desk::Command,
    driver::{Driver, Means},
    executor::{Executor, engine::EngineExecutor},
    planner::{Planner, ReleaseKeys},
    queue::{self, Queue},
    records::{Kept, LoadError, Records},
    releases::{Releases, ReleasesError},
    turn::Turn,
};
use crate::{
    audit::Audit,
    clock::Clock,
    engine::Engine,
    requests::PauseState,
    store::{History, Store},
};

/// What operations work with.
#[derive(Debug)]
pub struct Parts<S> {
    /// The requests' store, started.
    pub store: Arc<S>,
    /// Whether it remembers all that was written.
    pub history: History,
    /// Where the releases that were seen are kept, outside the store.
    pub folder: PathBuf,
    /// The engine in force.
    pub engine: watch::Receiver<Engine>,
    /// Who signs releases.
    pub keys: ReleaseKeys,
    /// The time by which requests live.
    pub clock: Clock,
    /// The pause, as it comes and goes.
    pub paused: PauseState,
    /// The audit log.
    pub audit: Audit,
}

/// Why operations cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The stored runs.
    #[error("the operations that were begun")]
    Load(#[source] LoadError),
    /// The releases that were seen.
    #[error("the releases that were seen")]
    Releases(#[source] ReleasesError),
}

/// Plans and runs operations; serve it in a task of its own.
#[derive(Debug)]
pub struct Operations<S> {
    parts: Parts<S>,
    behind: Behind,
    records: Records<S>,
    releases: Releases,
    runs: Vec<Kept>,
}

impl<S: Store> Operations<S> {
    /// Reads what was begun; everything of it is on the board when this returns, and nothing goes on yet.
    pub async fn open(behind: Behind, parts: Parts<S>) -> Result<Self, OpenError> {
        let records = Records::new(Arc::clone(&parts.store), parts.clock.clone());
        let releases = Releases::open(&parts.folder).map_err(OpenError::Releases)?;
        let runs = records.load().await.map_err(OpenError::Load)?;
        for kept in &runs {
            behind.board.enter(kept.run.id, Seen::of(&kept.run));
        }
        Ok(Self { parts, behind, records, releases, runs })
    }

    /// Works until the process is cut; what was stored goes on after a restart.
    pub async fn run(self, drain: drain::Watch) {
        let executor =
            EngineExecutor { engine: self.parts.engine.clone(), archive: Arc::clone(&self.behind.archive) };
        self.run_by(executor, drain).await;
    }

    /// As [`Self::run`], by any executor.
    pub(super) async fn run_by<E: Executor>(self, executor: E, drain: drain::Watch) {
        let Self { parts, behind, records, releases, runs } = self;
        let Behind { asks, commands, words, board, archive } = behind;
        let Parts { engine, keys, clock, paused, audit, history, .. } = parts;
        let planner = Planner {
            executor: executor.clone(),
            releases: releases.clone(),
            clock: clock.clone(),
            engine,
            keys,
        };
        let means =
            Means { records, executor, board, words, paused, releases, audit, clock, drain: drain.clone() };
        let tasks = Tasks::new();
        tasks.spawn(info_span!("planner"), planner.clone().run(asks, means.words.clone()));
        let runner = Runner { means, planner, queue: Queue::default(), tasks: &tasks, archive };
        let work = async {
            runner.resume(runs, history).await;
            runner.obey(commands).await;
        };
        tokio::select! {
            () = tasks.supervise(work) => {}
            () = drain.cut() => {}
        }
    }
}

struct Runner<'t, S, E> {
    means: Means<S, E>,
    planner: Planner<E>,
    queue: Queue,
    tasks: &'t Tasks,
    archive: Arc<dyn Archive>,
}

impl<S: Store, E: Executor> Runner<'_, S, E> {
    /// Goes on with what was begun, and tells of what ended.
    async fn resume(&self, runs: Vec<Kept>, history: History) {
        for mut kept in runs {
            let (id, now) = (kept.run.id, self.means.clock.now());
            if kept.run.state.is_over() {
                if kept.run.ended.is_some_and(|ended| now.since(ended) > KEPT) {
                    self.forget(&id).await;
                } else {
                    self.tell(&id).await;
                }
                continue;
            }
            if history == History::Restored {
                let why =
                    "This client's store was put back to an earlier state, so what became of it is unknown";
                kept.run.lose(why, now);
            }
            info!(request.id = %id.short(), "Operation goes on");
            let place = self.queue.enter(queue::holds(&kept.run.plan));
            let driver = Driver::new(self.means.clone(), kept);
            self.tasks.spawn(info_span!("operation", request.id = %id.short()), async move {
                driver.drive().await;
                drop(place);
            });
        }
    }

    async fn obey(&self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.recv().await {
            match command {
                Command::Start(order) => {
                    let id = order.id;
                    let place = self.queue.enter(queue::holds(&order.planned.plan));
                    let (means, planner) = (self.means.clone(), self.planner.clone());
                    let turn = Turn { means, planner, order: *order, place };
                    self.tasks.spawn(info_span!("operation", request.id = %id.short()), turn.take());
                }
                Command::Tell(id) => self.tell(&id).await,
                Command::Forget(id) => self.forget(&id).await,
            }
        }
        // Nobody can order anything any more, but what runs goes on.
        std::future::pending::<()>().await;
    }

    /// Where a run stands, if it is over; while it is not, its own task tells.
    async fn tell(&self, id: &RequestId) {
        let ended = self.means.board.seen(id).filter(|seen| seen.over);
        if let Some(word) = ended.and_then(|seen| moved(*id, &seen)) {
            // The clerk is gone: it asks again after a restart.
            let _ = self.means.words.send(word).await;
        }
    }

    /// Only what is over is forgotten.
    async fn forget(&self, id: &RequestId) {
        if is_open(&self.means.board, id) {
            return;
        }
        self.means.records.remove(id).await;
        self.means.board.remove(id);
        self.archive.forget(id);
    }
}

fn is_open(board: &Board, id: &RequestId) -> bool {
    board.seen(id).is_some_and(|seen| !seen.over)
}

fn moved(id: RequestId, seen: &Seen) -> Option<Word> {
    let run = &seen.operation;
    let plan = Digest::try_from(&run.plan_digest[..]).ok()?;
    Some(Word::Moved { id, plan, state: RunState::from_message(run.state())?, why: run.summary.clone() })
}

/// Longer than any request is remembered; nobody asks for it any more.
const KEPT: Duration = Duration::from_secs(100 * 24 * 3600);

#[cfg(test)]
mod tests;
