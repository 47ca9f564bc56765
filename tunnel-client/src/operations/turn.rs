//! An order until its first step: it waits for its turn, is planned once more, and begins only if nothing has changed.

use std::time::Duration;

use tokio::{sync::watch, time::sleep};
use tunnel_protos::RequestId;

use super::{
    Order, PlanRefusal, Planned, Word,
    driver::{Driver, Means, stopped},
    executor::Executor,
    plan,
    planner::{self, Planner},
    queue::Place,
    records::Kept,
    run::Run,
};
use crate::store::Store;

/// An order that has a place in the queue.
#[derive(Debug)]
pub(super) struct Turn<S, E> {
    pub(super) means: Means<S, E>,
    pub(super) planner: Planner<E>,
    pub(super) order: Order,
    pub(super) place: Place,
}

/// How the waiting ended.
enum Waited {
    Ready,
    Stopped(String),
}

impl<S: Store, E: Executor> Turn<S, E> {
    /// Waits, looks, and runs it to its end.
    pub(super) async fn take(mut self) {
        let mut stop = self.means.board.stopping(&self.order.id);
        if let Waited::Stopped(why) = self.wait(&mut stop).await {
            let mut run = self.new_run();
            run.stop(&why, self.means.clock.now());
            return self.drive(run).await;
        }
        match self.plan_again().await {
            Ok(planned) if plan::is_same(&planned.plan, &self.order.planned.plan) => {
                let run = self.new_run();
                // Only for people; the end of the run is told for certain.
                let _ = self.means.words.try_send(run.word("It has begun"));
                self.drive(run).await;
            }
            Err(refusal) if refusal.rule == planner::ENGINE => {
                let mut run = self.new_run();
                run.refuse(refusal.why, self.means.clock.now());
                self.drive(run).await;
            }
            changed => {
                // It stays on the board, so that nobody starts it again, until the clerk has taken the word.
                // The clerk is gone: it starts it again after a restart.
                let _ = self.means.words.send(Word::Stale(self.order.id, changed)).await;
            }
        }
    }

    /// Until nothing is before it, nobody paused, and this process is not being stopped.
    async fn wait(&mut self, stop: &mut watch::Receiver<Option<String>>) -> Waited {
        loop {
            if let Some(why) = stop.borrow_and_update().clone() {
                return Waited::Stopped(why);
            }
            let ahead = self.place.ahead();
            let paused = self.means.paused.borrow_and_update().is_some();
            let draining = self.means.drain.is_draining();
            if ahead == 0 && !paused && !draining {
                return Waited::Ready;
            }
            self.show(ahead, paused);
            tokio::select! {
                () = self.place.changed() => {}
                // An error says that nobody can resume any more: this process ends.
                Ok(()) = self.means.paused.changed() => {}
                () = stopped(stop) => {}
                () = self.means.drain.draining(), if !draining => {}
            }
        }
    }

    fn show(&self, ahead: usize, paused: bool) {
        let summary = match ahead {
            0 if paused => "Approved; paused by the customer, it begins once somebody resumes".to_owned(),
            0 => "Approved; this client is being stopped, it begins after the restart".to_owned(),
            1 => "Approved; it waits behind 1 operation of the same component".to_owned(),
            more => format!("Approved; it waits behind {more} operations of the same component"),
        };
        self.means.board.show(&self.id(), |seen| {
            seen.operation.queued_behind = u32::try_from(ahead).unwrap_or(u32::MAX);
            seen.operation.summary = summary;
        });
    }

    /// The world as it is now; an engine that does not answer is asked a few times.
    async fn plan_again(&self) -> Result<Planned, PlanRefusal> {
        let mut planned = self.planner.plan(self.order.digest, &self.order.operation).await;
        for _ in 1..TRIES {
            if !matches!(&planned, Err(refusal) if refusal.rule == planner::ENGINE) {
                break;
            }
            sleep(BETWEEN_TRIES).await;
            planned = self.planner.plan(self.order.digest, &self.order.operation).await;
        }
        planned
    }

    fn id(&self) -> RequestId {
        self.order.id
    }

    fn new_run(&self) -> Run {
        let Order { id, digest, planned, operator, .. } = &self.order;
        let now = self.means.clock.now();
        Run::new((*id, *digest, operator.clone()), (planned.bytes.clone(), planned.plan.clone()), now)
    }

    /// Holds its place until the end.
    async fn drive(self, run: Run) {
        let Self { means, place, .. } = self;
        Driver::new(means, Kept { run, version: 0 }).drive().await;
        drop(place);
    }
}

/// One lost answer says nothing.
const TRIES: u32 = 4;
const BETWEEN_TRIES: Duration = Duration::from_secs(5);
