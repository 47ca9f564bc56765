//! One run from its turn to its end: it does what the state machine says next, and writes down before and after.
//!
//! Invariant: between two looks at the state machine there is a store; a step is called only after its `begin` is
//! stored and its intent is in the audit log.

mod aftermath;
mod asking;
mod call;
mod gate;

use std::time::Duration;

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};
use tunnel_protos::{RequestId, UnixMillis, operations::v1::Plan, text::escape};
use tunnel_runtime::{chain, drain};

use super::{
    Word,
    board::Board,
    executor::Executor,
    found::Found,
    judge::{self, Effect, Way},
    queue,
    records::{Kept, Records},
    releases::Releases,
    run::{Act, Answer},
};
use crate::{
    audit::{Audit, Event},
    clock::Clock,
    requests::PauseState,
    store::Store,
};

/// What every run needs; cheap to clone.
#[derive(Debug)]
pub(super) struct Means<S, E> {
    pub(super) records: Records<S>,
    pub(super) executor: E,
    pub(super) board: Board,
    pub(super) words: mpsc::Sender<Word>,
    pub(super) paused: PauseState,
    pub(super) releases: Releases,
    pub(super) audit: Audit,
    pub(super) clock: Clock,
    pub(super) drain: drain::Watch,
}

impl<S, E: Clone> Clone for Means<S, E> {
    fn clone(&self) -> Self {
        Self {
            records: self.records.clone(),
            executor: self.executor.clone(),
            board: self.board.clone(),
            words: self.words.clone(),
            paused: self.paused.clone(),
            releases: self.releases.clone(),
            audit: self.audit.clone(),
            clock: self.clock.clone(),
            drain: self.drain.clone(),
        }
    }
}

/// Drives one run.
#[derive(Debug)]
pub(super) struct Driver<S, E> {
    means: Means<S, E>,
    kept: Kept,
    stop: watch::Receiver<Option<String>>,
    /// The step that is being taken back, and since when the engine has not answered: a bad step may have broken it.
    unanswered: Option<(usize, Instant)>,
    /// The clerk let it begin, and it has not waited since.
    is_judged: bool,
}

impl<S: Store, E: Executor> Driver<S, E> {
    /// For a run that is on the board.
    pub(super) fn new(means: Means<S, E>, kept: Kept) -> Self {
        let stop = means.board.stopping(&kept.run.id);
        Self { means, kept, stop, unanswered: None, is_judged: false }
    }

    /// Goes on until the run is over, wherever it was; dropped, it goes on there after a restart.
    pub(super) async fn drive(mut self) {
        self.keep().await;
        loop {
            match self.kept.run.act() {
                Act::Begin => self.begin().await,
                Act::FindOut => self.find_out().await,
                Act::Watch => self.watch().await,
                Act::Rest => break,
            }
            self.keep().await;
        }
        let (id, state) = (self.id(), self.kept.run.state);
        info!(request.id = %id.short(), state = ?state, "Operation ended");
        self.means.audit.note(self.moved());
        // The clerk is gone: it asks again after a restart.
        let _ = self.means.words.send(self.kept.run.word(&self.kept.run.why)).await;
    }

    fn id(&self) -> RequestId {
        self.kept.run.id
    }

    fn plan(&self) -> &Plan {
        &self.kept.run.plan
    }

    fn now(&self) -> UnixMillis {
        self.means.clock.now()
    }

    /// Takes the step at hand as far as its call's answer.
    async fn begin(&mut self) {
        if !self.may_go_on().await || self.came_late().await || !self.is_let().await {
            return;
        }
        match self.kept.run.way {
            Way::Forth => self.begin_forth().await,
            Way::Back => self.begin_back().await,
        }
    }

    async fn begin_forth(&mut self) {
        let found = self.look().await;
        if self.is_held() {
            return;
        }
        let moved_on = |found: &Found| judge::moved_on(self.plan(), self.kept.run.at, found);
        match found.and_then(|found| moved_on(&found).map_or(Ok(found), Err)) {
            Ok(found) => self.call_forth(&found).await,
            Err(why) => self.kept.run.refuse(why, self.means.clock.now()),
        }
    }

    /// An engine that shows nothing is called all the same: the way back was approved, and can be called twice.
    async fn begin_back(&mut self) {
        let found = self.look_patiently().await;
        if self.is_held() {
            return;
        }
        let (effect, now) = (found.map_or(Effect::Unseen, |found| self.effect(&found)), self.now());
        match effect {
            Effect::Foreign(why) => self.kept.run.refuse(why, now),
            Effect::NotDone if !self.kept.run.is_unsure() => {
                self.kept.run.begin(judge::Marks::new(), now);
                self.kept.run.answered(Answer::Done, now);
            }
            _ => self.call_back().await,
        }
    }

    /// Waits out a pause and a drain; false if the run was stopped.
    async fn may_go_on(&mut self) -> bool {
        loop {
            let stop = self.stop.borrow_and_update().clone();
            if let Some(why) = stop.filter(|_| self.kept.run.way == Way::Forth) {
                self.kept.run.stop(&why, self.means.clock.now());
                return false;
            }
            if self.means.drain.is_draining() {
                self.summarize("This client is being stopped; it goes on after the restart");
                std::future::pending::<()>().await;
            }
            if self.means.paused.borrow_and_update().is_none() {
                return true;
            }
            self.is_judged = false;
            self.summarize("Paused by the customer; it goes on once somebody resumes");
            tokio::select! {
                // An error says that nobody can resume any more: this process ends.
                Ok(()) = self.means.paused.changed() => {}
                () = stopped(&mut self.stop) => {}
                () = self.means.drain.draining() => {}
            }
        }
    }

    /// Whether somebody stopped it, or paused, or this process is being stopped; nothing on the way back is stopped.
    fn is_held(&self) -> bool {
        let stopped = self.kept.run.way == Way::Forth && self.stop.borrow().is_some();
        stopped || self.means.paused.borrow().is_some() || self.means.drain.is_draining()
    }

    /// What is there now; asked for a minute, since one lost answer says nothing.
    async fn look(&self) -> Result<Found, String> {
        self.look_within(LOOKS).await
    }

    /// As [`Self::look`], for as long as the gate of the step at hand would wait: what is under way may have broken it.
    async fn look_patiently(&self) -> Result<Found, String> {
        self.look_within(self.patience()).await
    }

    fn patience(&self) -> Duration {
        let gate = self.kept.run.step().gate.unwrap_or_default();
        Duration::from_millis(gate.deadline_ms).clamp(LOOKS, LONGEST)
    }

    async fn look_within(&self, within: Duration) -> Result<Found, String> {
        if !is_looked_at(self.plan()) {
            return Ok(Found::default());
        }
        let end = Instant::now() + within;
        loop {
            let found = self.look_once().await;
            if found.is_ok() || Instant::now() >= end {
                return found.map_err(|why| format!("It cannot be seen what is there: {why}"));
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn look_once(&self) -> Result<Found, String> {
        let components: Vec<_> = queue::holds(self.plan()).into_iter().collect();
        let look = timeout(LOOK, self.means.executor.look(&components)).await;
        look.unwrap_or_else(|_| Err("No answer in time".to_owned()))
    }

    fn effect(&self, found: &Found) -> Effect {
        let run = &self.kept.run;
        judge::effect(&run.plan, &run.step(), &run.marks, found)
    }

    /// Stores the run and shows it; as long as the disk refuses, nothing goes on.
    async fn keep(&mut self) {
        let mut warned = false;
        while let Err(error) = self.means.records.save(&mut self.kept).await {
            if !warned {
                warn!(error = %chain(&error), request.id = %self.id().short(), "Operation not stored, and held until it is");
                self.summarize("Held: it cannot be written down; look at this client's disk");
                warned = true;
            }
            sleep(BETWEEN_WRITES).await;
        }
        let run = &self.kept.run;
        self.means.board.show(&run.id, |seen| seen.follow(run));
    }

    /// Stores that the step is about to be called; false if it must not be, by what somebody said meanwhile.
    async fn keep_free(&mut self) -> bool {
        let mut stop = self.stop.clone();
        let forth = self.kept.run.way == Way::Forth;
        tokio::select! {
            () = self.keep() => !self.is_held(),
            () = stopped(&mut stop), if forth => false,
        }
    }

    fn summarize(&self, text: &str) {
        self.means.board.show(&self.id(), |seen| text.clone_into(&mut seen.operation.summary));
        // Only for people.
        let _ = self.means.words.try_send(self.kept.run.word(text));
    }

    /// What the audit log says of where it stands.
    fn moved(&self) -> Event {
        let run = &self.kept.run;
        Event::Operation {
            request: run.id,
            operator: run.operator.clone(),
            operation: run.plan.operation.clone(),
            plan: run.plan_digest(),
            state: run.state.name(),
            why: escape(&run.why, SHOWN),
        }
    }
}

/// Waits until the run is to stop, or is to stop for another reason; for ever if nobody could say so.
pub(super) async fn stopped(stop: &mut watch::Receiver<Option<String>>) {
    if stop.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Whether the plan can be compared with what is there.
fn is_looked_at(plan: &Plan) -> bool {
    !plan.preconditions.is_empty() || plan.steps.iter().any(|step| step.gate.is_some())
}

/// A step of ours: it only reads, and finds by itself what it did before.
fn is_collecting(method: &str) -> bool {
    method.is_empty()
}

/// Longer than an executor gives itself: this is for one that does not end.
const LOOK: Duration = Duration::from_secs(40);
/// One lost answer says nothing; a minute of them does.
const LOOKS: Duration = Duration::from_secs(60);
/// Whatever a plan says.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// A disk that is full for a moment.
const BETWEEN_WRITES: Duration = Duration::from_secs(1);
/// Of a sentence in the audit log.
const SHOWN: usize = 512;

#[cfg(test)]
mod tests;
