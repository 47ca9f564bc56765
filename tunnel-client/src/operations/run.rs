//! The state machine of one run. Pure: what was written down and what was seen lead to the next act.
//!
//! Invariant: a step is called only from `begin`, which the caller stores first; a run that comes back from the store
//! in the midst of a call must find out before anything else.

mod back;
pub(super) mod stored;
mod telling;

use tunnel_certs::crypto::sha256;
use tunnel_protos::{
    Digest, OperatorName, RequestId, UnixMillis,
    operations::v1::{Event, Plan, Step, StepState, StepStatus, Undo},
};

use super::{
    RunState,
    judge::{Marks, Way},
};

/// One run, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) id: RequestId,
    /// Of the request's envelope.
    pub(super) digest: Digest,
    pub(super) operator: OperatorName,
    /// The plan's own bytes.
    pub(super) bytes: Vec<u8>,
    pub(super) plan: Plan,
    pub(super) state: RunState,
    /// One sentence about where it stands.
    pub(super) why: String,
    phase: Phase,
    pub(super) way: Way,
    /// The step that is about to be called, is called, or is watched.
    pub(super) at: usize,
    /// Why it turned back.
    cause: Option<Cause>,
    /// Of the step that is called; none on the way back.
    pub(super) marks: Marks,
    /// The step whose call nobody saw end, or that came in part: it may take effect later than any look. It counts as
    /// called until it is done.
    unsure: Option<usize>,
    /// How often the step at `at` was to be taken back.
    attempts: u32,
    pub(super) steps: Vec<StepStatus>,
    pub(super) events: Vec<Event>,
    pub(super) started: UnixMillis,
    pub(super) ended: Option<UnixMillis>,
}

/// Where it is within a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Next,
    Called,
    Gate,
    Over,
}

/// Why it goes back, or went.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cause {
    cancelled: bool,
    why: String,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Look whether the step at hand may begin, say `begin`, store, and call it.
    Begin,
    /// Nobody saw the call end: look what became of it.
    FindOut,
    /// Watch the gate.
    Watch,
    /// Nothing.
    Rest,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It took effect.
    Done,
    /// It took none; one sentence.
    NotDone(String),
    /// It may have taken effect, and can be taken back; one sentence.
    Partly(String),
    /// Nobody can tell, or somebody else was there; one sentence.
    Unknown(String),
}

impl Run {
    /// One whose turn has come.
    pub(super) fn new(
        (id, digest, operator): (RequestId, Digest, OperatorName),
        (bytes, plan): (Vec<u8>, Plan),
        now: UnixMillis,
    ) -> Self {
        let waiting = StepStatus { state: StepState::Waiting.into(), ..StepStatus::default() };
        let mut run = Self {
            steps: vec![waiting; plan.steps.len()],
            phase: if plan.steps.is_empty() { Phase::Over } else { Phase::Next },
            state: RunState::Running,
            way: Way::Forth,
            why: String::new(),
            at: 0,
            cause: None,
            marks: Marks::new(),
            unsure: None,
            attempts: 0,
            events: Vec::new(),
            started: now,
            ended: None,
            id,
            digest,
            operator,
            bytes,
            plan,
        };
        run.tell(None, "Started".to_owned(), now);
        if run.plan.steps.is_empty() {
            run.end(RunState::Succeeded, "Nothing was to be done".to_owned(), now);
        }
        run
    }

    /// What to do next.
    pub(super) fn act(&self) -> Act {
        match self.phase {
            Phase::Next => Act::Begin,
            Phase::Called => Act::FindOut,
            Phase::Gate => Act::Watch,
            Phase::Over => Act::Rest,
        }
    }

    /// Its first step is to be called, for the first time or again: nothing showed an effect of it.
    pub(super) fn is_to_begin(&self) -> bool {
        self.way == Way::Forth && self.at == 0 && self.phase == Phase::Next
    }

    /// Of the plan that it carries out.
    pub(super) fn plan_digest(&self) -> Digest {
        Digest::new(sha256(&self.bytes))
    }

    /// The step at hand.
    pub(super) fn step(&self) -> Step {
        self.plan.steps.get(self.at).cloned().unwrap_or_default()
    }

    /// How the step at hand is taken back.
    pub(super) fn undo(&self) -> Option<Undo> {
        self.step().undo
    }

    /// The step at hand is about to be called; to be stored before it is.
    pub(super) fn begin(&mut self, marks: Marks, now: UnixMillis) {
        self.phase = Phase::Called;
        let title = self.step().title;
        match self.way {
            Way::Forth => {
                self.marks = marks;
                self.set(StepState::Calling, format!("Calling: {title}"), now);
            }
            Way::Back => {
                self.attempts += 1;
                self.set(StepState::RollingBack, format!("Taking back: {title}"), now);
            }
        }
    }

    /// The call, or the look at what became of it, is through.
    pub(super) fn answered(&mut self, answer: Answer, now: UnixMillis) {
        match (self.way, answer) {
            (_, Answer::Done) if self.step().gate.is_some() => {
                self.unsure = None;
                self.phase = Phase::Gate;
                let state = if self.way == Way::Forth { StepState::Soaking } else { StepState::RollingBack };
                self.set(state, "Waiting until all is well".to_owned(), now);
            }
            (_, Answer::Done) => self.good(now),
            (Way::Forth, Answer::NotDone(why)) => self.fail(false, why, now),
            (Way::Forth, Answer::Partly(why)) => {
                self.unsure = Some(self.at);
                self.fail(true, why, now);
            }
            (Way::Forth, Answer::Unknown(why)) => self.lose(&why, now),
            (Way::Back, Answer::NotDone(why) | Answer::Partly(why) | Answer::Unknown(why)) => {
                self.failed_back(&why, now);
            }
        }
    }

    /// The step at hand is still to be begun, or once more if a call of it may be under way.
    pub(super) fn begin_again(&mut self, now: UnixMillis) {
        self.phase = Phase::Next;
        if self.way == Way::Forth {
            // What waits is skipped by whoever stops the run.
            let state = if self.is_unsure() { StepState::Calling } else { StepState::Waiting };
            self.set(state, "It had not taken effect yet".to_owned(), now);
        }
    }

    /// Nobody saw the call of the step at hand end, nor its whole effect: until it is done it counts as called.
    pub(super) fn doubt(&mut self) {
        self.unsure = Some(self.at);
    }

    /// It was to be called, and was not: somebody held it up meanwhile.
    pub(super) fn not_called(&mut self, now: UnixMillis) {
        self.attempts = self.attempts.saturating_sub(1);
        self.begin_again(now);
    }

    /// The gate held for its time, or did not in all its time; one sentence.
    pub(super) fn gated(&mut self, held: Result<(), String>, now: UnixMillis) {
        match (held, self.way) {
            (Ok(()), _) => self.good(now),
            (Err(why), Way::Forth) => self.fail(true, why, now),
            (Err(why), Way::Back) => {
                let why = format!("Taken back, yet not well: {why}; a person must look at it");
                self.end(RunState::Failed, self.with_cause(&why), now);
            }
        }
    }

    /// The step at hand cannot begin; one sentence.
    pub(super) fn refuse(&mut self, why: String, now: UnixMillis) {
        match self.way {
            Way::Forth => self.fail(false, why, now),
            Way::Back => {
                let why = format!("{why}, so it was not taken back; a person must look at it");
                self.end(RunState::Failed, self.with_cause(&why), now);
            }
        }
    }

    /// Somebody stops it before its next step: it turns back if the plan says so. Nothing on the way back stops.
    pub(super) fn stop(&mut self, why: &str, now: UnixMillis) {
        if self.way == Way::Back || self.phase == Phase::Over {
            return;
        }
        let (called, unsure) = (self.phase != Phase::Next, self.is_unsure());
        if unsure {
            self.set(StepState::Failed, "Called; it had not taken effect yet".to_owned(), now);
        } else if called && !self.plan_goes_back() {
            self.set(StepState::Done, "Called; its gate was not waited for".to_owned(), now);
        }
        self.turn_back(called, Cause { cancelled: true, why: why.to_owned() }, now);
    }

    /// Nobody can tell what became of it.
    pub(super) fn lose(&mut self, why: &str, now: UnixMillis) {
        self.set(StepState::Failed, why.to_owned(), now);
        self.skip_rest(now);
        self.end(RunState::Indeterminate, format!("{why}; a person must look at it"), now);
    }

    /// The step at hand is done, or taken back.
    fn good(&mut self, now: UnixMillis) {
        match self.way {
            Way::Forth => {
                self.unsure = None;
                self.set(StepState::Done, String::new(), now);
                self.at += 1;
                self.phase = Phase::Next;
                if self.at == self.plan.steps.len() {
                    self.end(RunState::Succeeded, "Every step is done".to_owned(), now);
                }
            }
            Way::Back => {
                self.set(StepState::RolledBack, String::new(), now);
                self.go_back(self.at, now);
            }
        }
    }

    fn fail(&mut self, called: bool, why: String, now: UnixMillis) {
        self.set(StepState::Failed, why.clone(), now);
        self.turn_back(called, Cause { cancelled: false, why }, now);
    }

    /// Ends by its cause.
    fn close(&mut self, state: RunState, left: &str, now: UnixMillis) {
        let cancelled = self.cause.as_ref().is_some_and(|cause| cause.cancelled);
        let state = if cancelled { RunState::Cancelled } else { state };
        self.end(state, self.with_cause(left), now);
    }

    fn with_cause(&self, then: &str) -> String {
        match &self.cause {
            Some(cause) => format!("{}; {then}", cause.why),
            None => then.to_owned(),
        }
    }

    fn end(&mut self, state: RunState, why: String, now: UnixMillis) {
        (self.phase, self.state, self.ended) = (Phase::Over, state, Some(now));
        self.why.clone_from(&why);
        self.tell(None, why, now);
    }

    fn skip_rest(&mut self, now: UnixMillis) {
        let waiting: i32 = StepState::Waiting.into();
        for at in 0..self.steps.len() {
            if self.steps[at].state == waiting {
                self.steps[at] =
                    StepStatus { state: StepState::Skipped.into(), ended_ms: now.0, ..StepStatus::default() };
            }
        }
    }
}

#[cfg(test)]
mod tests;
