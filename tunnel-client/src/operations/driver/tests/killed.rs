//! A kill after the call went out, and an effect that comes long after the restart: it is never taken for nothing.

use tunnel_protos::operations::v1::Plan;

use super::*;
use crate::operations::run::Run;

/// Longer than any look for the effect.
const LATE: Duration = Duration::from_secs(300);
/// Beyond the effect, far below the end of any wait.
const AFTER: Duration = Duration::from_secs(600);

/// As it is after a kill: the call of the `at`-th node is at the engine, and takes effect `late`.
async fn killed(plan: &Plan, at: usize, late: Duration) -> World {
    let late = Some((plan.steps[at].request_json.clone(), late));
    let world = World::new(Plant::with(Faults { late, ..Faults::default() }));
    let called = async {
        while world.plant.calls().len() <= at {
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = world.begin(plan).drive() => panic!("it is over"),
        () = called => {}
    }
    world.plant.faults(|faults| faults.late = None);
    world.restart()
}

/// What is stored once the effect must have come.
async fn ended(world: &World, run: Task<()>) -> Run {
    timeout(AFTER * 10, run).await.expect("a run ends").unwrap();
    sleep(AFTER).await;
    world.stored().await.unwrap().run
}

fn taken_back(world: &World, run: &Run) {
    assert_eq!(run.state, RunState::Cancelled);
    assert_eq!(run.why, "Cancelled by its operator; what was done was taken back");
    assert_eq!(world.plant.releases(), ["1", "1", "1"]);
}

#[tokio::test(start_paused = true)]
async fn cancelled_after_the_restart_it_takes_the_step_back() {
    // The engine takes one node after the other back, each within the time of its gate.
    for (at, late) in [(0, LATE), (1, Duration::from_secs(30))] {
        let world = killed(&upgrade(), at, late).await;
        let driver = world.resume().await;
        world.board.stop(&id(), "Cancelled by its operator");
        let run = ended(&world, Task::spawn(Span::none(), driver.drive())).await;
        taken_back(&world, &run);
        assert_eq!(run.steps[at].state(), StepState::RolledBack);
    }
}

#[tokio::test(start_paused = true)]
async fn cancelled_during_a_pause_it_takes_the_step_back_after_the_resume() {
    let world = killed(&upgrade(), 0, LATE).await;
    world.paused.send_replace(pause());
    let mut run = Task::spawn(Span::none(), world.resume().await.drive());
    shown(&world, |seen| seen.operation.summary.starts_with("Paused by the customer")).await;
    world.board.stop(&id(), "Cancelled by its operator");
    assert!(timeout(AFTER, &mut run).await.is_err(), "the way back waits, too");
    world.paused.send_replace(None);
    let run = ended(&world, run).await;
    taken_back(&world, &run);
}

#[tokio::test(start_paused = true)]
async fn what_comes_during_a_pause_counts_as_done_after_the_resume() {
    for plan in [upgrade(), upgrade_unseen(), restart()] {
        let world = killed(&plan, 0, LATE).await;
        world.paused.send_replace(pause());
        let mut run = Task::spawn(Span::none(), world.resume().await.drive());
        assert!(timeout(AFTER, &mut run).await.is_err());
        // It has begun: nobody judges it anew.
        world.verdict.send_replace(Some(Err("No".to_owned())));
        world.paused.send_replace(None);
        let run = ended(&world, run).await;
        assert_eq!(run.state, RunState::Succeeded, "{}", run.why);
        assert_eq!(world.plant.calls().len(), 3, "each node once");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_within_the_looks_is_not_called_again() {
    let world = killed(&restart(), 0, LATE).await;
    sleep(LATE - Duration::from_secs(30)).await;
    let run = ended(&world, Task::spawn(Span::none(), world.resume().await.drive())).await;
    assert_eq!((run.state, world.plant.calls().len()), (RunState::Succeeded, 3), "{}", run.why);
}

#[tokio::test(start_paused = true)]
async fn a_no_before_the_first_step_is_called_again_takes_it_back() {
    let world = killed(&upgrade(), 0, LATE).await;
    world.verdict.send_replace(Some(Err("Cancelled by its operator".to_owned())));
    let run = ended(&world, Task::spawn(Span::none(), world.resume().await.drive())).await;
    taken_back(&world, &run);
}

#[tokio::test(start_paused = true)]
async fn of_what_cannot_be_taken_back_it_never_says_that_nothing_was_changed() {
    let world = killed(&restart(), 0, LATE).await;
    let driver = world.resume().await;
    world.board.stop(&id(), "Cancelled by its operator");
    let run = ended(&world, Task::spawn(Span::none(), driver.drive())).await;
    assert_eq!(run.why, "Cancelled by its operator; what was done stays done");
    assert_eq!(states(&run), [StepState::Failed, StepState::Skipped, StepState::Skipped]);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_changed_meanwhile_does_not_hide_the_call() {
    let world = killed(&upgrade(), 0, LATE).await;
    world.plant.change("n3", "7");
    let run = ended(&world, Task::spawn(Span::none(), world.resume().await.drive())).await;
    assert_eq!(run.why, "The release of n3 was 1 and is 7; what was done was taken back");
    assert_eq!(world.plant.releases(), ["1", "1", "7"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_not_shown_after_the_restart_is_taken_back_all_the_same() {
    let world = killed(&upgrade(), 0, LATE).await;
    world.plant.faults(|faults| faults.unlisted = ["n1".to_owned()].into());
    let run = Task::spawn(Span::none(), world.resume().await.drive());
    shown(&world, |seen| seen.operation.steps[0].state() == StepState::Soaking).await;
    world.plant.faults(|faults| faults.unlisted.clear());
    world.board.stop(&id(), "Cancelled by its operator");
    let run = ended(&world, run).await;
    taken_back(&world, &run);
}
