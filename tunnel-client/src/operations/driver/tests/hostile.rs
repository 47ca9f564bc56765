//! An engine that hangs, lies, flaps or says nothing: every run ends, and says what is known.

use tunnel_protos::operations::v1::Plan;

use super::*;
use crate::operations::run::Run;

/// Far beyond every deadline of a plan here, far below forever.
const DAY: Duration = Duration::from_secs(24 * 3_600);

async fn ends(faults: Faults, plan: &Plan) -> (World, Run) {
    let world = World::new(Plant::with(faults));
    let run = timeout(DAY, world.finish(plan)).await.expect("a run ends");
    (world, run)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_answered_is_given_up_and_looked_after() {
    let faults = Faults { hangs: Some(r#""n2","release":"2""#.to_owned()), ..Faults::default() };
    let (world, run) = ends(faults, &upgrade()).await;
    assert_eq!(run.state, RunState::RolledBack);
    assert_eq!(run.why, "No answer in time; what was done was taken back");
    assert_eq!(world.plant.releases(), ["1", "1", "1"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_after_the_effect_counts_as_done() {
    let faults = Faults { loses: Some("n2".to_owned()), ..Faults::default() };
    let (world, run) = ends(faults, &upgrade()).await;
    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!(world.plant.calls().len(), 3, "not called again");
}

fn late(seconds: u64) -> Faults {
    let late = Some((r#""n2","release":"2""#.to_owned(), Duration::from_secs(seconds)));
    Faults { late, ..Faults::default() }
}

#[tokio::test(start_paused = true)]
async fn an_effect_that_comes_after_its_lost_answer_counts_as_done() {
    let (world, run) = ends(late(5), &upgrade()).await;
    assert_eq!(run.state, RunState::Succeeded, "{}", run.why);
    assert_eq!((world.plant.releases(), world.plant.calls().len()), (vec!["2".to_owned(); 3], 3));
}

#[tokio::test(start_paused = true)]
async fn an_effect_that_comes_after_every_look_is_called_back_all_the_same() {
    for (cancelled, seconds) in [(false, 90), (true, 30)] {
        let world = World::new(Plant::with(late(seconds)));
        let run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
        shown(&world, |seen| seen.operation.steps[1].state() == StepState::Calling).await;
        if cancelled {
            world.board.stop(&id(), "Cancelled by its operator");
        }
        timeout(DAY, run).await.expect("a run ends").unwrap();
        let run = world.stored().await.unwrap().run;
        assert_eq!(run.state, RunState::RolledBack, "{}", run.why);
        sleep(Duration::from_secs(90)).await;
        assert_eq!(world.plant.releases(), ["1", "1", "1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_answer_is_lost_is_indeterminate_and_says_so() {
    let faults = Faults { loses: Some("compact".to_owned()), ..Faults::default() };
    let (world, run) = ends(faults, &task()).await;
    assert_eq!(run.state, RunState::Indeterminate);
    assert_eq!(
        run.why,
        "The connection broke, and nothing shows whether it happened; a person must look at it"
    );
    assert_eq!(world.plant.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ran_and_ended_badly_is_not_said_to_have_changed_nothing() {
    let (_, run) = ends(Faults { spoils: Some("compact".to_owned()), ..Faults::default() }, &task()).await;
    let ended = (run.state, run.why.as_str());
    assert_eq!(ended, (RunState::Failed, "The task ended, but not well; what was done stays done"));
    let (_, run) = ends(Faults { refuses: Some("compact".to_owned()), ..Faults::default() }, &task()).await;
    let ended = (run.state, run.why.as_str());
    assert_eq!(ended, (RunState::Failed, "It does not want to; nothing was changed"));
}

#[tokio::test(start_paused = true)]
async fn targets_that_take_no_connection_leave_the_call_its_time() {
    let mut plan = upgrade();
    for step in &mut plan.steps {
        step.target = "a, b, c, d, default".to_owned();
    }
    let (world, run) = ends(Faults { dead: 4, ..Faults::default() }, &plan).await;
    assert_eq!(run.state, RunState::Succeeded, "{}", run.why);
    assert_eq!(world.plant.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_flaps_never_passes_its_gate() {
    let (world, run) = ends(Faults { flaps: true, ..Faults::default() }, &upgrade()).await;
    // It flaps on the way back, too, so nobody can say that all is well again.
    assert_eq!(run.state, RunState::Failed);
    assert!(run.why.contains("Taken back, yet not well"), "{}", run.why);
    assert_eq!(world.plant.releases(), ["1", "1", "1"]);
}

#[tokio::test(start_paused = true)]
async fn a_lie_does_not_pass_the_gate() {
    let (world, run) = ends(Faults { lies: true, ..Faults::default() }, &upgrade()).await;
    assert_eq!(run.state, RunState::RolledBack);
    assert_eq!(run.why, "Not well within 1m: n1 does not show the change yet; what was done was taken back");
    assert_eq!(world.plant.calls().len(), 1, "nothing was there to be taken back");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_shows_nothing_is_not_touched() {
    for faults in [Faults { mute: true, ..Faults::default() }, Faults { stares: true, ..Faults::default() }] {
        let (world, run) = ends(faults, &upgrade()).await;
        assert_eq!(run.state, RunState::Failed);
        assert!(run.why.ends_with("; nothing was changed"), "{}", run.why);
        assert!(run.why.starts_with("It cannot be seen what is there"), "{}", run.why);
        assert!(world.plant.calls().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_refuses_the_way_back_is_asked_three_times_and_left_to_a_person() {
    let faults = Faults {
        bad_release: Some("2".to_owned()),
        refuses: Some(r#""release":"1""#.to_owned()),
        ..Faults::default()
    };
    let (world, run) = ends(faults, &upgrade()).await;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.why.ends_with("a person must look at it"), "{}", run.why);
    assert_eq!(world.plant.calls().len(), 4, "once forth, three times back");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_goes_silent_in_the_midst_fails_its_gate() {
    let world = World::new(Plant::new());
    let run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
    shown(&world, |seen| seen.operation.steps[0].state() == StepState::Soaking).await;
    world.plant.faults(|faults| faults.stares = true);
    timeout(DAY, run).await.expect("a run ends").unwrap();
    let run = world.stored().await.unwrap().run;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.why.contains("No answer in time"), "{}", run.why);
}

/// Nobody listens for a while, then it goes on.
async fn is_away(world: &World, lasting: Duration) {
    world.plant.faults(|faults| faults.away = true);
    sleep(lasting).await;
    world.plant.faults(|faults| faults.away = false);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_a_bad_step_broke_for_a_while_is_taken_back() {
    for minutes in [1, 4] {
        let bad_release = Some("2".to_owned());
        let world = World::new(Plant::with(Faults { bad_release, ..Faults::default() }));
        let run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
        shown(&world, |seen| seen.operation.steps[0].state() == StepState::Soaking).await;
        // Its gate fails meanwhile.
        is_away(&world, Duration::from_secs(60 + 60 * minutes)).await;
        timeout(DAY, run).await.expect("a run ends").unwrap();
        let run = world.stored().await.unwrap().run;
        assert_eq!(run.state, RunState::RolledBack, "{}", run.why);
        assert_eq!(world.plant.releases(), ["1", "1", "1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_a_bad_step_keeps_from_taking_calls_is_waited_for() {
    let broken = |faults: &mut Faults, at: usize, is: bool| match at {
        0 => faults.deaf = is,
        _ => faults.silent = is,
    };
    for at in [0, 1] {
        let bad_release = Some("2".to_owned());
        let world = World::new(Plant::with(Faults { bad_release, ..Faults::default() }));
        let run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
        shown(&world, |seen| seen.operation.steps[0].state() == StepState::Soaking).await;
        world.plant.faults(|faults| broken(faults, at, true));
        shown(&world, |seen| seen.operation.steps[0].state() == StepState::RollingBack).await;
        sleep(Duration::from_secs(55)).await;
        world.plant.faults(|faults| broken(faults, at, false));
        timeout(DAY, run).await.expect("a run ends").unwrap();
        let run = world.stored().await.unwrap().run;
        assert_eq!(run.state, RunState::RolledBack, "{}", run.why);
        assert_eq!(world.plant.releases(), ["1", "1", "1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_never_takes_a_call_again_is_left_to_a_person() {
    let world = World::new(Plant::with(Faults { bad_release: Some("2".to_owned()), ..Faults::default() }));
    let run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
    shown(&world, |seen| seen.operation.steps[0].state() == StepState::Soaking).await;
    world.plant.faults(|faults| faults.silent = true);
    timeout(DAY, run).await.expect("a run ends").unwrap();
    let run = world.stored().await.unwrap().run;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.why.contains("could not be taken back: No quorum; a person must"), "{}", run.why);
    assert!(world.plant.calls().len() < 40, "at a bounded rate: {:?}", world.plant.calls());
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_away_when_we_come_back_is_waited_for() {
    // At its first call, and at the first call back.
    for (at, kept, ended) in [(1, true, RunState::Succeeded), (5, true, RunState::RolledBack)] {
        let bad_release = (ended == RunState::RolledBack).then(|| "2".to_owned());
        let world = World::new(Plant::with(Faults { bad_release, ..Faults::default() }));
        world.store.dies(Some(crate::operations::testing::Death { at, kept }));
        tokio::select! {
            () = world.begin(&upgrade()).drive() => panic!("it is over"),
            () = world.store.died() => {}
        }
        let world = world.restart();
        let run = Task::spawn(Span::none(), world.resume().await.drive());
        is_away(&world, Duration::from_secs(55)).await;
        timeout(DAY, run).await.expect("a run ends").unwrap();
        let run = world.stored().await.unwrap().run;
        assert_eq!(run.state, ended, "{}", run.why);
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_stays_away_is_left_to_a_person() {
    let world = World::new(Plant::with(Faults { bad_release: Some("2".to_owned()), ..Faults::default() }));
    let run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
    shown(&world, |seen| seen.operation.steps[0].state() == StepState::Soaking).await;
    world.plant.faults(|faults| faults.away = true);
    timeout(DAY, run).await.expect("a run ends").unwrap();
    let run = world.stored().await.unwrap().run;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.why.ends_with("a person must look at it"), "{}", run.why);
}
