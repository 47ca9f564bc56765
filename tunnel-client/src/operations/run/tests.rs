use tunnel_protos::operations::v1::Plan;

use super::{telling::MOST_EVENTS, *};
use crate::operations::testing::{id, restart, upgrade};

const NOW: UnixMillis = UnixMillis(5);

fn run(plan: &Plan) -> Run {
    use prost::Message;
    let about = (id(), Digest::new([1; 32]), "alice".parse().unwrap());
    Run::new(about, (plan.encode_to_vec(), plan.clone()), NOW)
}

fn states(run: &Run) -> Vec<StepState> {
    run.steps.iter().map(StepStatus::state).collect()
}

#[test]
fn nothing_is_called_before_it_is_written_down() {
    let mut run = run(&upgrade());
    assert_eq!(run.act(), Act::Begin);
    run.begin(Marks::new(), NOW);
    // Whoever reads it from the store now cannot know whether it was called.
    assert_eq!(stored::decode(&stored::encode(&run)).unwrap().act(), Act::FindOut);
}

#[test]
fn every_state_survives_the_store() {
    let mut run = run(&upgrade());
    let mut kept = vec![run.clone()];
    let mut step = |change: &dyn Fn(&mut Run), run: &mut Run| {
        change(run);
        kept.push(run.clone());
    };
    step(&|run| run.begin([("start of n1".to_owned(), "1".to_owned())].into(), NOW), &mut run);
    step(&|run| run.answered(Answer::Done, NOW), &mut run);
    step(&|run| run.progress(3, 9, NOW), &mut run);
    step(&|run| run.gated(Err("n1 is not ready".to_owned()), NOW), &mut run);
    step(&|run| run.begin(Marks::new(), NOW), &mut run);
    step(&|run| run.answered(Answer::NotDone("no".to_owned()), NOW), &mut run);
    step(&|run| run.begin(Marks::new(), NOW), &mut run);
    step(&|run| run.answered(Answer::Done, NOW), &mut run);
    step(&|run| run.gated(Ok(()), NOW), &mut run);
    assert_eq!(run.state, RunState::RolledBack);
    for run in kept {
        assert_eq!(stored::decode(&stored::encode(&run)).unwrap(), run);
    }
}

#[test]
fn a_damaged_record_is_refused() {
    assert!(stored::decode(&[0xff]).is_err());
    let run = run(&upgrade());
    let mut fewer = run.clone();
    fewer.steps.pop();
    assert!(stored::decode(&stored::encode(&fewer)).is_err());
    let mut beyond = run;
    beyond.at = 9;
    assert!(stored::decode(&stored::encode(&beyond)).is_err());
}

#[test]
fn a_step_that_took_no_effect_is_not_taken_back() {
    let mut run = run(&upgrade());
    run.begin(Marks::new(), NOW);
    run.answered(Answer::NotDone("It does not want to".to_owned()), NOW);
    assert_eq!((run.state, run.act()), (RunState::Failed, Act::Rest));
    assert_eq!(run.why, "It does not want to; nothing was changed");
    assert_eq!(states(&run), [StepState::Failed, StepState::Skipped, StepState::Skipped]);
}

#[test]
fn a_step_that_may_have_taken_effect_is_taken_back() {
    let mut run = run(&upgrade());
    run.begin(Marks::new(), NOW);
    run.answered(Answer::Partly("The connection broke".to_owned()), NOW);
    assert_eq!((run.way, run.at, run.act()), (Way::Back, 0, Act::Begin));
    assert!(run.is_unsure(), "it may take effect yet");
    assert_eq!(stored::decode(&stored::encode(&run)).unwrap(), run);
    run.begin(Marks::new(), NOW);
    run.answered(Answer::Done, NOW);
    assert!(!run.is_unsure());
}

#[test]
fn nobody_knows_is_said_at_once_and_ends_it() {
    let mut run = run(&upgrade());
    run.begin(Marks::new(), NOW);
    run.answered(Answer::Unknown("The connection broke".to_owned()), NOW);
    assert_eq!((run.state, run.act()), (RunState::Indeterminate, Act::Rest));
}

#[test]
fn stopping_before_the_first_step_changes_nothing() {
    for plan in [upgrade(), restart()] {
        let mut run = run(&plan);
        run.stop("Cancelled by its operator", NOW);
        assert_eq!(run.state, RunState::Cancelled);
        assert_eq!(run.why, "Cancelled by its operator; nothing was changed");
        assert_eq!(states(&run), [StepState::Skipped; 3]);
    }
}

#[test]
fn the_way_back_cannot_be_stopped() {
    let mut run = run(&upgrade());
    run.begin(Marks::new(), NOW);
    run.answered(Answer::Done, NOW);
    run.gated(Err("n1 is not ready".to_owned()), NOW);
    let before = run.clone();
    run.stop("Cancelled by its operator", NOW);
    assert_eq!(run, before);
}

#[test]
fn progress_replaces_progress_and_its_numbers_rise() {
    let mut run = run(&upgrade());
    run.begin(Marks::new(), NOW);
    let before = run.events.len();
    run.progress(1, 9, NOW);
    let first = run.events.last().unwrap().number;
    (2..9).for_each(|done| run.progress(done, 9, NOW));
    assert_eq!(run.events.len(), before + 1);
    assert_eq!(run.events.last().unwrap().text, "8 of 9");
    assert!(run.events.last().unwrap().number > first);
    assert_eq!((run.steps[0].done, run.steps[0].total), (8, 9));
}

#[test]
fn events_are_bounded() {
    let mut run = run(&upgrade());
    (0..3 * MOST_EVENTS).for_each(|_| run.begin_again(NOW));
    assert_eq!(run.events.len(), MOST_EVENTS);
}
