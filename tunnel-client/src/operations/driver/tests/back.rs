//! The way back from a change that came half way, or that took a node out of what the engine lists.

use super::*;
use crate::operations::run::Run;

async fn finish(faults: Faults, plan: &Plan) -> (World, Run) {
    let world = World::new(Plant::with(faults));
    let run = world.finish(plan).await;
    (world, run)
}

#[tokio::test(start_paused = true)]
async fn a_scale_that_stops_half_way_is_taken_back() {
    let half = Faults { most: Some(4), ..Faults::default() };
    let loses = Some("5".to_owned());
    for (faults, why) in [
        (half.clone(), "Not well within 1m: storage does not show the change yet"),
        (Faults { loses, ..half }, "The connection broke"),
    ] {
        let (world, run) = finish(faults, &scale()).await;
        assert_eq!(run.state, RunState::RolledBack, "{}", run.why);
        assert_eq!(run.why, format!("{why}; what was done was taken back"));
        assert_eq!(world.plant.nodes().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_scale_that_is_cancelled_half_way_is_taken_back() {
    let world = World::new(Plant::with(Faults { most: Some(4), ..Faults::default() }));
    let run = Task::spawn(Span::none(), world.begin(&scale()).drive());
    shown(&world, |seen| seen.operation.steps[0].state() == StepState::Soaking).await;
    world.board.stop(&id(), "Cancelled by its operator");
    run.await.unwrap();
    let run = world.stored().await.unwrap().run;
    assert_eq!(run.state, RunState::Cancelled);
    assert_eq!(run.why, "Cancelled by its operator; what was done was taken back");
    assert_eq!(world.plant.nodes().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_a_bad_release_takes_out_of_the_list_is_taken_back() {
    for bad in ["2", "n2 at 2"] {
        let bad_release = Some(bad.to_owned());
        let faults = Faults { bad_release, hides_bad: true, ..Faults::default() };
        let (world, run) = finish(faults, &upgrade()).await;
        assert_eq!(run.state, RunState::RolledBack, "{}", run.why);
        assert_eq!(world.plant.releases(), ["1", "1", "1"]);
    }
}
