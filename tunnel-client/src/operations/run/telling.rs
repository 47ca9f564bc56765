//! What is told of a run: one event for each thing that happened, numbered from 1, the newest kept.

use tunnel_protos::{
    UnixMillis,
    operations::v1::{Event, StepState},
};

use super::{super::Word, Run};

impl Run {
    /// What the clerk is told of it.
    pub(in crate::operations) fn word(&self, why: &str) -> Word {
        Word::Moved { id: self.id, plan: self.plan_digest(), state: self.state, why: why.to_owned() }
    }

    /// The step at hand stands there now.
    pub(super) fn set(&mut self, state: StepState, text: String, now: UnixMillis) {
        let at = self.at;
        let Some(status) = self.steps.get_mut(at) else { return };
        status.state = state.into();
        status.text.clone_from(&text);
        if status.started_ms == 0 && state != StepState::Waiting {
            status.started_ms = now.0;
        }
        if matches!(state, StepState::Done | StepState::Failed | StepState::RolledBack) {
            status.ended_ms = now.0;
        }
        self.why = format!("Step {} of {}: {}", at + 1, self.plan.steps.len(), self.plan.steps[at].title);
        self.tell(Some(at), text, now);
    }

    /// How far the step at hand is, as the engine counts; replaces what was told of it before.
    pub(in crate::operations) fn progress(&mut self, done: u64, total: u64, now: UnixMillis) {
        let Some(status) = self.steps.get_mut(self.at) else { return };
        (status.done, status.total) = (done, total);
        let number = self.events.last().map_or(0, |event| event.number);
        let at = u32::try_from(self.at + 1).unwrap_or_default();
        let counts =
            |event: &Event| event.status.as_ref().is_some_and(|status| status.total > 0 || status.done > 0);
        let same = |event: &Event| event.step == at && counts(event);
        if self.events.last().is_some_and(same) {
            self.events.pop();
        }
        self.tell_as(number + 1, Some(self.at), format!("{done} of {total}"), now);
    }

    pub(super) fn tell(&mut self, step: Option<usize>, text: String, now: UnixMillis) {
        let number = self.events.last().map_or(0, |event| event.number) + 1;
        self.tell_as(number, step, text, now);
    }

    fn tell_as(&mut self, number: u64, step: Option<usize>, text: String, now: UnixMillis) {
        self.events.push(Event {
            number,
            time_ms: now.0,
            state: self.state.to_message().into(),
            step: step.and_then(|at| u32::try_from(at + 1).ok()).unwrap_or_default(),
            status: step.and_then(|at| self.steps.get(at).cloned()),
            text,
        });
        if self.events.len() > MOST_EVENTS {
            self.events.remove(0);
        }
    }
}

/// Some for each step of the longest plan.
pub(super) const MOST_EVENTS: usize = 1024;
