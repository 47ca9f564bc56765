//! Calling a step, forth or back, and understanding what became of it.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, interval, sleep, timeout},
};
use tracing::{debug, warn};
use tunnel_runtime::chain;

use super::{Driver, LONGEST, LOOKS, is_collecting, stopped};
use crate::{
    audit::{Entry, Event, Outcome},
    engine::CONNECT_DEADLINE,
    operations::{
        Collecting, Progress,
        executor::{CallFailed, Executor, Work},
        found::Found,
        judge::{self, Effect, Marks, Way},
        run::Answer,
    },
    store::Store,
};

impl<S: Store, E: Executor> Driver<S, E> {
    /// The step at hand may begin.
    pub(super) async fn call_forth(&mut self, found: &Found) {
        if self.kept.run.at == 0 && !self.raise_releases().await {
            return;
        }
        let Some(entry) = self.intent().await else { return };
        let step = self.kept.run.step();
        self.kept.run.begin(judge::marks(&step, found), self.means.clock.now());
        if !self.keep_free().await {
            self.means.audit.outcome(entry, Outcome::Failed);
            return self.kept.run.not_called(self.means.clock.now());
        }
        self.tell();
        let called = self.work(self.forth()).await;
        let answer = self.understand(called).await;
        self.means.audit.outcome(entry, outcome(&answer));
        self.kept.run.answered(answer, self.means.clock.now());
    }

    /// The step at hand is to be taken back, whatever the audit log can hold: it is what was approved as the way out.
    pub(super) async fn call_back(&mut self) {
        let Some(undo) = self.kept.run.undo() else {
            return self.kept.run.refuse("There is no way back".to_owned(), self.means.clock.now());
        };
        let entry = self.means.audit.closing(self.step_event()).await;
        self.kept.run.begin(Marks::new(), self.means.clock.now());
        if !self.keep_free().await {
            if let Some(entry) = entry {
                self.means.audit.outcome(entry, Outcome::Failed);
            }
            return self.kept.run.not_called(self.means.clock.now());
        }
        self.tell();
        let work = Work::Call {
            targets: undo.target,
            method: undo.method,
            json: undo.request_json,
            timeout: Duration::from_millis(undo.timeout_ms),
            task: String::new(),
        };
        let called = self.work(work).await;
        let is_answered = matches!(called, Ok(()) | Err(CallFailed::Refused(_) | CallFailed::Ended(_)));
        let answer = match called {
            Ok(()) => Answer::Done,
            Err(error) => match self.seen_effect().await {
                Effect::NotDone if is_answered || !self.kept.run.is_unsure() => Answer::Done,
                _ => Answer::NotDone(error.to_string()),
            },
        };
        if let Some(entry) = entry {
            self.means.audit.outcome(entry, outcome(&answer));
        }
        match answer {
            Answer::NotDone(why) if !is_answered => self.wait_for_an_answer(why).await,
            Answer::Done => self.kept.run.answered(answer, self.means.clock.now()),
            answer => {
                sleep(BETWEEN_ATTEMPTS).await;
                self.kept.run.answered(answer, self.means.clock.now());
            }
        }
    }

    /// Only the engine's own no counts as an attempt, as long as the step's gate would wait.
    async fn wait_for_an_answer(&mut self, why: String) {
        let (at, now) = (self.kept.run.at, Instant::now());
        let since = self.unanswered.filter(|(step, _)| *step == at).map_or(now, |(_, since)| since);
        self.unanswered = Some((at, since));
        let waited = now - since;
        sleep((waited / 4).clamp(BETWEEN_ATTEMPTS, LOOKS)).await;
        if waited < self.patience() {
            return self.kept.run.unanswered(&why, self.means.clock.now());
        }
        self.kept.run.answered(Answer::NotDone(why), self.means.clock.now());
    }

    fn forth(&self) -> Work {
        let run = &self.kept.run;
        let step = run.step();
        if is_collecting(&step.method) {
            let leaves = run.plan.leaves.clone();
            return Work::Collect(Collecting {
                id: run.id,
                digest: run.digest,
                operator: run.operator.clone(),
                leaves,
            });
        }
        Work::Call {
            targets: step.target,
            method: step.method,
            json: step.request_json,
            timeout: Duration::from_millis(step.timeout_ms),
            task: run.plan.task.clone(),
        }
    }

    /// Does the work within its time and a little more, and shows how far it is.
    async fn work(&mut self, work: Work) -> Result<(), CallFailed> {
        let step = Duration::from_millis(self.kept.run.step().timeout_ms);
        let limit = (step + connecting(&work)).min(LONGEST) + GRACE;
        let (told, mut progress) = watch::channel((0, 0));
        let tell = Progress::new(move |done, total| {
            told.send_replace((done, total));
        });
        let (executor, mut ticks) = (self.means.executor.clone(), interval(SHOW));
        let call = timeout(limit, executor.call(work, tell));
        tokio::pin!(call);
        loop {
            tokio::select! {
                called = &mut call => {
                    // A call that was quicker than the next look has counted all the same.
                    self.show_progress(&mut progress).await;
                    return called.unwrap_or_else(|_| Err(CallFailed::Lost("No answer in time".to_owned())));
                }
                _ = ticks.tick() => self.show_progress(&mut progress).await,
            }
        }
    }

    async fn show_progress(&mut self, progress: &mut watch::Receiver<(u64, u64)>) {
        // An error says that the call is over, which may have told since the last look.
        let has_told = |_| *progress.borrow() != (0, 0);
        if !progress.has_changed().unwrap_or_else(has_told) {
            return;
        }
        let (done, total) = *progress.borrow_and_update();
        self.kept.run.progress(done, total, self.means.clock.now());
        // Only for people: what cannot be stored is no harm.
        if let Err(error) = self.means.records.save(&mut self.kept).await {
            debug!(error = %chain(&error), "Progress not stored");
        }
        let run = &self.kept.run;
        self.means.board.show(&run.id, |seen| seen.follow(run));
    }

    /// What a call's answer means, after a look where it was a no, or none.
    async fn understand(&self, called: Result<(), CallFailed>) -> Answer {
        let Err(error) = called else { return Answer::Done };
        let why = error.to_string();
        let effect = match error {
            CallFailed::Lost(_) => self.look_for_effect(LOOKS).await.unwrap_or(Effect::Unseen),
            CallFailed::Refused(_) | CallFailed::Ended(_) | CallFailed::Unsent(_) => self.seen_effect().await,
        };
        let can_go_back = self.kept.run.undo().is_some();
        match (effect, error) {
            (Effect::Done, _) => Answer::Done,
            (Effect::NotDone | Effect::Unseen, CallFailed::Ended(_)) => Answer::Partly(why),
            (Effect::NotDone, CallFailed::Lost(_)) => Answer::Partly(why),
            (Effect::NotDone, CallFailed::Refused(_) | CallFailed::Unsent(_)) => Answer::NotDone(why),
            (Effect::Partly | Effect::OnItsWay | Effect::Foreign(_), _) => Answer::Partly(why),
            (Effect::Unseen, CallFailed::Unsent(_)) => Answer::NotDone(why),
            (Effect::Unseen, _) if can_go_back => Answer::Partly(why),
            (Effect::Unseen, CallFailed::Refused(_)) => Answer::NotDone(why),
            (Effect::Unseen, CallFailed::Lost(_)) => {
                Answer::Unknown(format!("{why}, and nothing shows whether it happened"))
            }
        }
    }

    async fn seen_effect(&self) -> Effect {
        self.look().await.map_or(Effect::Unseen, |found| self.effect(&found))
    }

    /// The step's intent, in the audit log; waits as long as the log cannot be written, none if the run is stopped.
    async fn intent(&mut self) -> Option<Entry> {
        loop {
            if let Ok(entry) = self.means.audit.intent(self.step_event()).await {
                return Some(entry);
            }
            self.summarize("Held: the audit log cannot be written; look at this client's disk");
            tokio::select! {
                () = sleep(BETWEEN_ATTEMPTS) => {}
                () = stopped(&mut self.stop) => {}
            }
            if !self.may_go_on().await {
                return None;
            }
        }
    }

    /// Nothing at or below these releases is brought again, whatever becomes of the run; false if it is stopped before
    /// they are written down.
    async fn raise_releases(&mut self) -> bool {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = self.write_releases() => true,
            () = stopped(&mut stop) => false,
        }
    }

    async fn write_releases(&self) {
        while let Err(error) = self.means.releases.raise(&self.kept.run.plan.releases).await {
            warn!(error = %chain(&error), "Releases not written down, and the operation held until they are");
            self.summarize("Held: its releases cannot be written down; look at this client's disk");
            sleep(BETWEEN_ATTEMPTS).await;
        }
    }

    fn step_event(&self) -> Event {
        let run = &self.kept.run;
        let step = run.step();
        let (target, method) = match (run.way, step.undo) {
            (Way::Back, Some(undo)) => (undo.target, undo.method),
            _ => (step.target, step.method),
        };
        Event::Step {
            request: run.id,
            step: run.at + 1,
            title: step.title,
            target,
            method,
            back: run.way == Way::Back,
            late: false,
        }
    }

    fn tell(&self) {
        let run = &self.kept.run;
        // Only for people; the end of the run is told for certain.
        let _ = self.means.words.try_send(run.word(&run.why));
    }
}

/// How long the targets that cannot be reached may take, before the one that gets the call.
fn connecting(work: &Work) -> Duration {
    match work {
        Work::Call { targets, .. } => targets.split(", ").map(|_| CONNECT_DEADLINE).sum(),
        Work::Collect(_) => Duration::ZERO,
    }
}

fn outcome(answer: &Answer) -> Outcome {
    match answer {
        Answer::Done => Outcome::Moved,
        Answer::NotDone(_) => Outcome::Failed,
        Answer::Partly(_) | Answer::Unknown(_) => Outcome::Unknown,
    }
}

/// How often progress is stored and shown.
const SHOW: Duration = Duration::from_secs(1);
/// The executor ends a call by itself; this is for one that does not.
const GRACE: Duration = Duration::from_secs(5);
/// An engine that refused to go back a moment ago.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(2);
