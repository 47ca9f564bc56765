//! An operation as it goes on, in lines: pure, from its plan and its events.

use std::time::Duration;

use tunnel_protos::{
    UnixMillis,
    operations::{
        step_state,
        v1::{Event, Operation, StepState, StepStatus},
    },
    time::lasting,
    v1::RequestState,
};

use crate::{
    console::{safe, when},
    requester::{is_over, state_name},
};

/// What is known of a running operation.
#[derive(Debug)]
pub(super) struct View {
    operation: Operation,
    /// The newest event that was told; what has happened before is told, too.
    told: u64,
    /// Since when the step of this number has been watched for its soak time.
    soaking: Option<(usize, UnixMillis)>,
}

impl View {
    /// As it stood when it was looked at.
    pub(super) const fn new(operation: Operation) -> Self {
        Self { operation, told: 0, soaking: None }
    }

    /// Looked at again.
    pub(super) fn replace(&mut self, operation: Operation) {
        self.operation = operation;
    }

    /// Where it stands.
    pub(super) fn state(&self) -> RequestState {
        self.operation.state()
    }

    /// The newest event that was told.
    pub(super) const fn last_event(&self) -> u64 {
        self.told
    }

    /// Takes an event in; false for one that is known.
    pub(super) fn on(&mut self, event: &Event) -> bool {
        if event.number <= self.told {
            return false;
        }
        self.told = event.number;
        // What is over stays so, whatever is told afterwards.
        if !is_over(self.state()) {
            self.operation.state = event.state;
        }
        if event.state() == RequestState::Running {
            self.operation.queued_behind = 0;
        }
        if event.step == 0 {
            self.operation.summary.clone_from(&event.text);
        } else if let Some(status) = &event.status {
            self.step(event, status);
        }
        true
    }

    fn step(&mut self, event: &Event, status: &StepStatus) {
        let index = usize::try_from(event.step).map_or(usize::MAX, |step| step - 1);
        let Some(slot) = self.operation.steps.get_mut(index) else { return };
        let soaked_before = slot.state() == StepState::Soaking;
        *slot = status.clone();
        match (status.state(), soaked_before) {
            (StepState::Soaking, true) => {}
            (StepState::Soaking, false) => self.soaking = Some((index, UnixMillis(event.time_ms))),
            _ => self.soaking = None,
        }
    }

    /// All of it, for a terminal: what it is and how far, then its steps around the present one.
    pub(super) fn lines(&self, now: UnixMillis) -> Vec<String> {
        let steps: Vec<_> = (0..self.operation.steps.len()).map(|index| self.step_line(index, now)).collect();
        let from = self.present().saturating_sub(SHOWN / 2).min(steps.len().saturating_sub(SHOWN));
        let shown = steps.iter().skip(from).take(SHOWN).cloned();
        let left_out = steps.len().saturating_sub(from + SHOWN);
        let more = (left_out > 0).then(|| format!("  … and {left_out} more"));
        std::iter::once(self.head(now)).chain(shown).chain(more).collect()
    }

    /// `Upgrade storage to 2.4.1 · running · 2 of 5 steps · 1m 3s`.
    fn head(&self, now: UnixMillis) -> String {
        let operation = &self.operation;
        let mut parts = vec![self.title(), state_name(operation.state())];
        let done = operation.steps.iter().filter(|step| step.state() == StepState::Done).count();
        match (operation.queued_behind, operation.steps.len()) {
            (0, 0) => {}
            (0, all) => parts.push(format!("{done} of {all} steps")),
            (ahead, _) => parts.push(format!("{ahead} ahead of it")),
        }
        if operation.started_ms > 0 {
            parts.push(elapsed(UnixMillis(operation.started_ms), now));
        }
        parts.join(" · ")
    }

    fn title(&self) -> String {
        self.operation.plan.as_ref().map_or_else(|| "operation".into(), |plan| safe(&plan.title))
    }

    /// The first step that is neither done nor left out.
    fn present(&self) -> usize {
        let passed = |step: &StepStatus| matches!(step.state(), StepState::Done | StepState::Skipped);
        self.operation.steps.iter().position(|step| !passed(step)).unwrap_or(self.operation.steps.len())
    }

    fn step_line(&self, index: usize, now: UnixMillis) -> String {
        let Some(status) = self.operation.steps.get(index) else { return String::new() };
        let mut parts = vec![format!("  {} {}", mark(status.state()), self.step_title(index))];
        match status.state() {
            StepState::Waiting | StepState::Unspecified => {}
            StepState::Done => parts.push(took(status)),
            StepState::Soaking => parts.push(self.soak(index, now)),
            state => parts.push(step_state(state)),
        }
        if status.total > 0 && status.state() != StepState::Done {
            parts.push(format!("{} of {}", status.done, status.total));
        }
        if !status.text.is_empty() && status.state() != StepState::Done {
            parts.push(safe(&status.text));
        }
        parts.retain(|part| !part.is_empty());
        parts.join(" · ")
    }

    fn step_title(&self, index: usize) -> String {
        let step = self.operation.plan.as_ref().and_then(|plan| plan.steps.get(index));
        step.map_or_else(|| format!("step {}", index + 1), |step| safe(&step.title))
    }

    /// How much of the soak time is over; the clocks of both houses may differ, so it never says more than all.
    fn soak(&self, index: usize, now: UnixMillis) -> String {
        let gate = self.operation.plan.as_ref().and_then(|plan| plan.steps.get(index)?.gate.as_ref());
        let Some(gate) = gate else { return "soaking".into() };
        let whole = Duration::from_millis(gate.soak_ms);
        let since = self.soaking.filter(|(step, _)| *step == index);
        let so_far = since.map_or(Duration::ZERO, |(_, since)| now.since(since)).min(whole);
        format!("soaking {} of {}", seconds(so_far), lasting(whole))
    }

    /// One event as a line of a log.
    pub(super) fn line(&self, event: &Event) -> String {
        let at = when::clock(UnixMillis(event.time_ms));
        let status = event.status.clone().unwrap_or_default();
        let text = safe(if event.text.is_empty() { &status.text } else { &event.text });
        let text = if text.is_empty() { text } else { format!(": {text}") };
        let Some(index) = usize::try_from(event.step).ok().and_then(|step| step.checked_sub(1)) else {
            return format!("{at} {}{text}", state_name(event.state()));
        };
        let (number, all) = (event.step, self.operation.steps.len());
        let units =
            if status.total > 0 { format!(" {} of {}", status.done, status.total) } else { String::new() };
        let (title, state) = (self.step_title(index), step_state(status.state()));
        format!("{at} step {number} of {all}, {title}: {state}{units}{text}")
    }
}

const fn mark(state: StepState) -> &'static str {
    match state {
        StepState::Unspecified | StepState::Waiting => "·",
        StepState::Calling | StepState::Soaking => ">",
        StepState::Done => "+",
        StepState::Failed => "!",
        StepState::RollingBack | StepState::RolledBack => "<",
        StepState::Skipped => "-",
    }
}

fn took(status: &StepStatus) -> String {
    match (status.started_ms, status.ended_ms) {
        (0, _) | (_, 0) => String::new(),
        (started, ended) => elapsed(UnixMillis(started), UnixMillis(ended)),
    }
}

fn elapsed(since: UnixMillis, until: UnixMillis) -> String {
    lasting(seconds_of(until.since(since)))
}

fn seconds(time: Duration) -> String {
    lasting(seconds_of(time))
}

/// Fractions would only flicker.
fn seconds_of(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

/// As many steps as fit beside everything else on a small terminal.
const SHOWN: usize = 12;

#[cfg(test)]
mod tests;
