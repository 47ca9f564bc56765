//! Runs against an engine made of numbers: what goes well, each thing that goes wrong, and a death at every write.

mod audited;
mod back;
mod cuts;
mod gone;
mod held;
mod hostile;
mod killed;

use std::time::Duration;

use tokio::time::timeout;
use tracing::Span;
use tunnel_protos::operations::v1::{Precondition, StepState};
use tunnel_runtime::tasks::Task;

use super::*;
use crate::operations::{
    RunState,
    testing::{
        Deed, Faults, Plant, World, configure, debug, id, pause, restart, scale, task, upgrade,
        upgrade_unseen, walk,
    },
};

fn states(run: &super::super::run::Run) -> Vec<StepState> {
    run.steps.iter().map(tunnel_protos::operations::v1::StepStatus::state).collect()
}

/// Until something shows on the board.
async fn shown(world: &World, wanted: impl Fn(&crate::operations::board::Seen) -> bool) {
    let mut tries = 0;
    while !world.board.seen(&id()).is_some_and(|seen| wanted(&seen)) {
        tries += 1;
        assert!(tries < 100_000, "never shown: {:?}", world.board.seen(&id()));
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_upgrade_goes_from_node_to_node_and_soaks_at_each() {
    let world = World::new(Plant::new());
    let started = tokio::time::Instant::now();
    let run = world.finish(&upgrade()).await;
    assert_eq!((run.state, run.why.as_str()), (RunState::Succeeded, "Every step is done"));
    assert_eq!(states(&run), [StepState::Done; 3]);
    assert_eq!(world.plant.releases(), ["2", "2", "2"]);
    assert_eq!(world.plant.calls().len(), 3);
    assert!(started.elapsed() >= Duration::from_secs(9), "three soaks of 3 s: {:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn every_call_is_preceded_by_a_look() {
    let world = World::new(Plant::new());
    world.finish(&upgrade()).await;
    let deeds = world.plant.deeds();
    let blind = deeds.windows(2).any(|pair| matches!(pair, [Deed::Call(_), Deed::Call(_)]));
    assert!(!blind && deeds[0] == Deed::Look, "{deeds:?}");
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_fails_takes_everything_back() {
    let world = World::new(Plant::with(Faults { bad_release: Some("2".to_owned()), ..Faults::default() }));
    let run = world.finish(&upgrade()).await;
    assert_eq!(run.state, RunState::RolledBack);
    assert_eq!(run.why, "Not well within 1m: n1 is not ready; what was done was taken back");
    assert_eq!(states(&run), [StepState::RolledBack, StepState::Skipped, StepState::Skipped]);
    assert_eq!(world.plant.releases(), ["1", "1", "1"]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_at_the_last_node_takes_the_first_ones_back_too() {
    let world = World::new(Plant::with(Faults {
        refuses: Some(r#""n3","release":"2""#.to_owned()),
        ..Faults::default()
    }));
    let run = world.finish(&upgrade()).await;
    assert_eq!(run.state, RunState::RolledBack);
    assert_eq!(states(&run), [StepState::RolledBack, StepState::RolledBack, StepState::Failed]);
    assert_eq!(world.plant.releases(), ["1", "1", "1"]);
    let nodes: Vec<_> = world.plant.calls().iter().map(|call| call[9..11].to_owned()).collect();
    assert_eq!(nodes, ["n1", "n2", "n3", "n2", "n1"]);
}

#[tokio::test(start_paused = true)]
async fn of_nodes_that_show_only_their_starts_a_refused_step_takes_the_ones_before_back() {
    let refuses = Some(r#""n2","release":"2""#.to_owned());
    let world = World::new(Plant::with(Faults { refuses, hides_releases: true, ..Faults::default() }));
    let run = world.finish(&upgrade_unseen()).await;
    assert_eq!(run.state, RunState::RolledBack, "{}", run.why);
    assert_eq!(states(&run), [StepState::RolledBack, StepState::Failed, StepState::Skipped]);
    let nodes: Vec<_> = world.plant.calls().iter().map(|call| call[9..11].to_owned()).collect();
    assert_eq!(nodes, ["n1", "n2", "n1"]);
    assert_eq!(world.plant.releases(), ["1", "1", "1"]);
}

#[tokio::test(start_paused = true)]
async fn of_nodes_that_show_only_their_starts_a_failed_gate_takes_all_back() {
    for bad in ["2", "n2 at 2"] {
        let bad_release = Some(bad.to_owned());
        let world =
            World::new(Plant::with(Faults { bad_release, hides_releases: true, ..Faults::default() }));
        let run = world.finish(&upgrade_unseen()).await;
        assert_eq!(run.state, RunState::RolledBack, "{}", run.why);
        assert_eq!(world.plant.releases(), ["1", "1", "1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_fails_stops_and_leaves_the_rest_alone() {
    let world = World::new(Plant::with(Faults { broken: ["n2".to_owned()].into(), ..Faults::default() }));
    let run = world.finish(&restart()).await;
    assert_eq!(run.state, RunState::Failed);
    assert_eq!(run.why, "Not well within 1m: n2 is not ready; what was done stays done");
    assert_eq!(states(&run), [StepState::Failed, StepState::Skipped, StepState::Skipped]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_mends_a_target_that_was_not_well_before() {
    let world = World::new(Plant::with(Faults { unwell: ["n2".to_owned()].into(), ..Faults::default() }));
    let mut plan = restart();
    plan.preconditions.push(Precondition { what: "health of n2".to_owned(), value: "not well".to_owned() });
    let run = world.finish(&plan).await;
    assert_eq!(run.state, RunState::Succeeded, "{}", run.why);
    assert_eq!(world.plant.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_task_soaks_between_its_targets_and_stops_where_one_is_not_well() {
    let world = World::new(Plant::new());
    let started = tokio::time::Instant::now();
    let run = world.finish(&walk()).await;
    assert_eq!((run.state, states(&run)), (RunState::Succeeded, vec![StepState::Done; 3]));
    assert!(started.elapsed() >= Duration::from_secs(9), "three soaks of 3 s: {:?}", started.elapsed());
    let world = World::new(Plant::with(Faults { broken: ["n2".to_owned()].into(), ..Faults::default() }));
    let run = world.finish(&walk()).await;
    assert_eq!(run.why, "Not well within 1m: n2 is not ready; what was done stays done");
    assert_eq!(states(&run), [StepState::Failed, StepState::Skipped, StepState::Skipped]);
    assert_eq!(world.plant.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_world_that_moved_on_between_steps_is_not_touched() {
    let world = World::new(Plant::new());
    let driver = world.begin(&upgrade());
    let run = Task::spawn(Span::none(), driver.drive());
    shown(&world, |seen| seen.operation.steps[0].state() == StepState::Soaking).await;
    // Somebody else changes a node that is still to come.
    world.plant.change("n3", "7");
    run.await.unwrap();
    let run = world.stored().await.unwrap().run;
    assert_eq!(run.state, RunState::RolledBack);
    assert_eq!(run.why, "The release of n3 was 1 and is 7; what was done was taken back");
    assert_eq!(world.plant.releases(), ["1", "1", "7"]);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_changed_meanwhile_is_not_taken_back() {
    let world = World::new(Plant::with(Faults { bad_release: Some("2".to_owned()), ..Faults::default() }));
    let run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
    shown(&world, |seen| seen.operation.steps[0].state() == StepState::Soaking).await;
    world.plant.change("n1", "7");
    run.await.unwrap();
    let run = world.stored().await.unwrap().run;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.why.ends_with("so it was not taken back; a person must look at it"), "{}", run.why);
    assert_eq!(world.plant.releases(), ["7", "1", "1"]);
}

#[tokio::test(start_paused = true)]
async fn cancelled_it_takes_no_next_step_and_goes_back() {
    let world = World::new(Plant::new());
    let run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
    shown(&world, |seen| seen.operation.steps[1].state() == StepState::Soaking).await;
    assert!(world.board.stop(&id(), "Cancelled by its operator"));
    run.await.unwrap();
    let run = world.stored().await.unwrap().run;
    assert_eq!(run.state, RunState::Cancelled);
    assert_eq!(run.why, "Cancelled by its operator; what was done was taken back");
    assert_eq!(states(&run), [StepState::RolledBack, StepState::RolledBack, StepState::Skipped]);
    assert_eq!(world.plant.releases(), ["1", "1", "1"]);
    assert!(!world.board.stop(&id(), "again"), "it is over");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_restart_stops_where_it_is() {
    let world = World::new(Plant::new());
    let run = Task::spawn(Span::none(), world.begin(&restart()).drive());
    shown(&world, |seen| seen.operation.steps[0].state() == StepState::Soaking).await;
    world.board.stop(&id(), "Cancelled by its operator");
    run.await.unwrap();
    let run = world.stored().await.unwrap().run;
    assert_eq!(run.state, RunState::Cancelled);
    assert_eq!(states(&run), [StepState::Done, StepState::Skipped, StepState::Skipped]);
    assert_eq!(world.plant.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn paused_it_begins_no_step_until_somebody_resumes() {
    let world = World::new(Plant::new());
    world.paused.send_replace(pause());
    let mut run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
    assert!(timeout(Duration::from_secs(3_600), &mut run).await.is_err());
    assert!(world.plant.calls().is_empty());
    let seen = world.board.seen(&id()).unwrap();
    assert_eq!(seen.operation.summary, "Paused by the customer; it goes on once somebody resumes");
    world.paused.send_replace(None);
    run.await.unwrap();
    assert_eq!(world.plant.releases(), ["2", "2", "2"]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_between_steps_holds_the_next_one() {
    let world = World::new(Plant::new());
    let mut run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
    shown(&world, |seen| seen.operation.steps[0].state() == StepState::Soaking).await;
    world.paused.send_replace(pause());
    assert!(timeout(Duration::from_secs(3_600), &mut run).await.is_err());
    assert_eq!(world.plant.calls().len(), 1);
    // Even paused, it can be cancelled; the way back waits for the resume.
    world.board.stop(&id(), "Cancelled");
    assert!(timeout(Duration::from_secs(3_600), &mut run).await.is_err());
    assert_eq!(world.plant.calls().len(), 1);
    world.paused.send_replace(None);
    run.await.unwrap();
    assert_eq!(world.plant.releases(), ["1", "1", "1"]);
}

#[tokio::test(start_paused = true)]
async fn events_are_numbered_without_a_gap_and_end_with_the_outcome() {
    let world = World::new(Plant::new());
    let run = world.finish(&upgrade()).await;
    let numbers: Vec<_> = run.events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!(run.events.last().unwrap().text, "Every step is done");
    let mut watching = world.board.watch(&id(), 0).unwrap();
    assert_eq!(watching.next().await.unwrap(), run.events);
    assert_eq!(watching.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn the_clerk_hears_of_the_end() {
    let mut world = World::new(Plant::new());
    world.finish(&scale()).await;
    let ended = async {
        while let Some(word) = world.words.recv().await {
            if matches!(word, Word::Moved { state: RunState::Succeeded, .. }) {
                break;
            }
        }
        world.words.try_recv().is_err()
    };
    assert!(timeout(Duration::from_secs(60), ended).await.unwrap(), "nothing follows");
}
