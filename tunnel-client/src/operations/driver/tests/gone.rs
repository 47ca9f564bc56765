//! Nodes that go and come: a gate waits for each that was planned with, and for those that nobody planned to go.

use super::*;
use crate::operations::run::Run;

/// Takes `node` out of the list once the step at `at` is watched, and puts it back after `lasting`, if at all.
async fn goes(
    faults: Faults,
    plan: &Plan,
    (node, at): (&str, usize),
    lasting: Option<Duration>,
) -> (World, Run) {
    let world = World::new(Plant::with(faults));
    let run = Task::spawn(Span::none(), world.begin(plan).drive());
    shown(&world, |seen| seen.operation.steps[at].state() == StepState::Soaking).await;
    world.plant.faults(|faults| faults.unlisted = [node.to_owned()].into());
    if let Some(lasting) = lasting {
        sleep(lasting).await;
        world.plant.faults(|faults| faults.unlisted.clear());
    }
    run.await.unwrap();
    let run = world.stored().await.unwrap().run;
    (world, run)
}

#[tokio::test(start_paused = true)]
async fn a_restart_whose_last_node_never_comes_back_fails() {
    let (world, run) = goes(Faults::default(), &restart(), ("n3", 2), None).await;
    assert_eq!(run.state, RunState::Failed);
    assert_eq!(run.why, "Not well within 1m: Not all nodes of storage are shown; what was done stays done");
    assert_eq!(states(&run), [StepState::Done, StepState::Done, StepState::Failed]);
    assert_eq!(world.plant.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_goes_while_it_is_started_is_waited_for() {
    for hides_starts in [false, true] {
        for plan in [restart(), upgrade(), upgrade_unseen()] {
            let faults = Faults { hides_starts, ..Faults::default() };
            let (world, run) = goes(faults, &plan, ("n1", 0), Some(Duration::from_secs(20))).await;
            assert_eq!(run.state, RunState::Succeeded, "{}", run.why);
            assert_eq!(world.plant.calls().len(), 3);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_goes_on_the_way_back_is_waited_for() {
    let world = World::new(Plant::with(Faults { bad_release: Some("2".to_owned()), ..Faults::default() }));
    let run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
    shown(&world, |seen| seen.operation.steps[0].state() == StepState::RollingBack).await;
    world.plant.faults(|faults| faults.unlisted = ["n3".to_owned()].into());
    run.await.unwrap();
    let run = world.stored().await.unwrap().run;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.why.contains("Taken back, yet not well") && run.why.contains("Not all nodes"), "{}", run.why);
    assert_eq!(world.plant.releases(), ["1", "1", "1"]);
}
