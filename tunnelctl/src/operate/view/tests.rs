//! Lines of an operation that goes on.

use tunnel_protos::operations::v1::{Gate, Plan, Step};

use super::*;

const START: UnixMillis = UnixMillis(1_790_000_000_000);

fn operation(steps: usize) -> Operation {
    let gate = || Some(Gate { soak_ms: 30_000, deadline_ms: 60_000, ..Gate::default() });
    let step = |n: usize| Step { title: format!("Restart n{}", n + 1), gate: gate(), ..Step::default() };
    Operation {
        state: RequestState::Running.into(),
        plan: Some(Plan {
            title: "Restart storage".into(),
            steps: (0..steps).map(step).collect(),
            ..Plan::default()
        }),
        steps: vec![StepStatus { state: StepState::Waiting.into(), ..StepStatus::default() }; steps],
        started_ms: START.0,
        ..Operation::default()
    }
}

fn event(number: u64, step: u32, status: StepStatus) -> Event {
    let time_ms = START.plus(Duration::from_secs(number)).0;
    let state = RequestState::Running.into();
    Event { number, time_ms, state, step, status: Some(status), text: String::new() }
}

fn status(state: StepState) -> StepStatus {
    StepStatus { state: state.into(), ..StepStatus::default() }
}

#[test]
fn each_step_says_how_far_it_is() {
    let mut view = View::new(operation(3));
    let done = StepStatus { started_ms: START.0, ended_ms: START.0 + 12_000, ..status(StepState::Done) };
    view.on(&event(1, 1, done));
    view.on(&event(2, 2, StepStatus { done: 40, total: 100, ..status(StepState::Calling) }));
    let lines = view.lines(START.plus(Duration::from_secs(63)));
    assert_eq!(
        lines,
        [
            "Restart storage · running · 1 of 3 steps · 1m 3s",
            "  + Restart n1 · 12s",
            "  > Restart n2 · calling · 40 of 100",
            "  · Restart n3",
        ]
    );
}

#[test]
fn the_soak_time_runs_from_its_beginning_and_never_beyond_its_end() {
    let mut view = View::new(operation(1));
    view.on(&event(1, 1, status(StepState::Soaking)));
    view.on(&event(3, 1, StepStatus { text: "healthy".into(), ..status(StepState::Soaking) }));
    let at = |seconds| view.lines(START.plus(Duration::from_secs(seconds)))[1].clone();
    assert_eq!(at(9), "  > Restart n1 · soaking 8s of 30s · healthy");
    assert_eq!(at(500), "  > Restart n1 · soaking 30s of 30s · healthy");
    assert_eq!(at(0), "  > Restart n1 · soaking 0s of 30s · healthy");
}

#[test]
fn a_soak_that_begins_again_is_counted_anew() {
    let mut view = View::new(operation(1));
    view.on(&event(1, 1, status(StepState::Soaking)));
    view.on(&event(5, 1, status(StepState::Calling)));
    view.on(&event(10, 1, status(StepState::Soaking)));
    assert_eq!(view.lines(START.plus(Duration::from_secs(12)))[1], "  > Restart n1 · soaking 2s of 30s");
}

#[test]
fn many_steps_are_shown_around_the_present_one() {
    let mut view = View::new(operation(40));
    for step in 1..=20 {
        view.on(&event(u64::from(step), step, status(StepState::Done)));
    }
    let lines = view.lines(START);
    assert_eq!(lines.len(), 1 + SHOWN + 1);
    assert!(lines.iter().any(|line| line == "  · Restart n21"), "{lines:?}");
    assert_eq!(lines.last().unwrap(), "  … and 14 more");
}

#[test]
fn events_come_once_and_in_order() {
    let mut view = View::new(operation(1));
    assert!(view.on(&event(2, 1, status(StepState::Done))));
    assert!(!view.on(&event(2, 1, status(StepState::Calling))));
    assert!(!view.on(&event(1, 1, status(StepState::Calling))));
    assert_eq!((view.last_event(), view.lines(START)[1].as_str()), (2, "  + Restart n1"));
}

#[test]
fn what_is_over_stays_over() {
    let mut view = View::new(operation(1));
    let over = Event { state: RequestState::RolledBack.into(), ..event(1, 0, StepStatus::default()) };
    view.on(&over);
    view.on(&event(2, 1, status(StepState::Calling)));
    assert_eq!(view.state(), RequestState::RolledBack);
}

#[test]
fn steps_that_no_plan_has_are_ignored() {
    let mut view = View::new(operation(1));
    assert!(view.on(&event(1, 7, status(StepState::Done))));
    assert!(view.on(&event(2, u32::MAX, status(StepState::Done))));
    assert_eq!(view.lines(START).len(), 2);
}

#[test]
fn a_log_has_one_line_for_each_event() {
    let view = View::new(operation(2));
    let evil = StepStatus { text: "ok\n\u{1b}[2J".into(), ..status(StepState::Soaking) };
    let line = view.line(&event(1, 2, evil));
    assert!(line.ends_with(" step 2 of 2, Restart n2: soaking: ok\\u{a}\\u{1b}[2J"), "{line}");
    let whole = Event { text: "waits for its turn".into(), ..event(2, 0, StepStatus::default()) };
    assert!(view.line(&whole).ends_with(" running: waits for its turn"));
}

#[test]
fn one_that_waits_says_behind_how_many() {
    let view = View::new(Operation { queued_behind: 2, started_ms: 0, ..operation(1) });
    assert_eq!(view.lines(START)[0], "Restart storage · running · 2 ahead of it");
}
