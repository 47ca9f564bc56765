//! The way back of a run: where it turns, which steps it takes back, and how often it tries.

use tunnel_protos::{UnixMillis, operations::v1::StepState};

use super::{Cause, Phase, Run, RunState, Way};

impl Run {
    /// Whether the step at hand has to be called back even if it shows no effect: it may have one later.
    pub(in crate::operations) fn is_unsure(&self) -> bool {
        self.unsure == Some(self.at)
    }

    /// Nobody answered the call that was to take the step at hand back: it is tried again, and does not count.
    pub(in crate::operations) fn unanswered(&mut self, why: &str, now: UnixMillis) {
        self.attempts = self.attempts.saturating_sub(1);
        self.not_back_yet(why, now);
    }

    pub(super) fn failed_back(&mut self, why: &str, now: UnixMillis) {
        if self.attempts < MOST_ATTEMPTS {
            return self.not_back_yet(why, now);
        }
        self.set(StepState::Failed, why.to_owned(), now);
        let why = format!("It could not be taken back: {why}; a person must look at it");
        self.end(RunState::Failed, self.with_cause(&why), now);
    }

    fn not_back_yet(&mut self, why: &str, now: UnixMillis) {
        self.phase = Phase::Next;
        self.set(StepState::RollingBack, format!("Not taken back yet: {why}"), now);
    }

    /// The step at hand counts as called, or not; it always does as long as a call of it may be under way.
    pub(super) fn turn_back(&mut self, called: bool, cause: Cause, now: UnixMillis) {
        self.cause = Some(cause);
        let upto = if called || self.is_unsure() { self.at + 1 } else { self.at };
        self.skip_rest(now);
        if self.plan_goes_back() {
            self.way = Way::Back;
            self.go_back(upto, now);
        } else {
            let left = if upto == 0 { "nothing was changed" } else { "what was done stays done" };
            self.close(RunState::Failed, left, now);
        }
    }

    /// To the last step before `upto` that can be taken back. How nodes were started on the way forth tells nothing of
    /// whether they are back, since to take a step back starts them, too.
    pub(super) fn go_back(&mut self, upto: usize, now: UnixMillis) {
        self.marks.clear();
        match (0..upto).rev().find(|at| self.plan.steps[*at].undo.is_some()) {
            Some(at) => {
                (self.at, self.phase, self.attempts) = (at, Phase::Next, 0);
            }
            None => {
                let rolled: i32 = StepState::RolledBack.into();
                match self.steps.iter().any(|status| status.state == rolled) {
                    true => self.close(RunState::RolledBack, "what was done was taken back", now),
                    false => self.close(RunState::Failed, "nothing was changed", now),
                }
            }
        }
    }

    pub(super) fn plan_goes_back(&self) -> bool {
        self.plan.rollback.as_ref().is_some_and(|rollback| rollback.automatic)
    }
}

/// An engine that refuses more often will go on refusing.
const MOST_ATTEMPTS: u32 = 3;
