//! What people say while a step is on its way to its call holds that call, however long disk and engine take.

use tunnel_protos::operations::v1::PlannedRelease;

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

/// The writes before the one that says that the first step is about to be called.
const BEFORE_CALL: usize = 1;

fn stopped_before_anything(run: &crate::operations::run::Run) {
    let ended = (run.state, run.why.as_str());
    assert_eq!(ended, (RunState::Cancelled, "Cancelled by its operator; nothing was changed"));
}

async fn held_by(world: &World, sentence: &str) {
    shown(world, |seen| seen.operation.summary.starts_with(sentence)).await;
}

#[tokio::test(start_paused = true)]
async fn cancelled_while_the_disk_is_sick_it_is_not_called() {
    let world = World::new(Plant::new());
    world.store.sickens(Some(BEFORE_CALL));
    let run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
    held_by(&world, "Held: it cannot be written down").await;
    world.board.stop(&id(), "Cancelled by its operator");
    sleep(Duration::from_secs(60)).await;
    world.store.sickens(None);
    run.await.unwrap();
    stopped_before_anything(&world.stored().await.unwrap().run);
    assert!(world.plant.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn cancelled_while_the_disk_hangs_it_is_not_called() {
    let world = World::new(Plant::new());
    world.store.dies(Some(crate::operations::testing::Death { at: BEFORE_CALL, kept: true }));
    let run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
    world.store.died().await;
    world.store.dies(None);
    world.board.stop(&id(), "Cancelled by its operator");
    timeout(HOUR, run).await.expect("nobody waits for that write").unwrap();
    stopped_before_anything(&world.stored().await.unwrap().run);
    assert!(world.plant.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn paused_while_the_disk_is_sick_it_is_not_called_until_somebody_resumes() {
    let world = World::new(Plant::new());
    world.store.sickens(Some(BEFORE_CALL));
    let mut run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
    held_by(&world, "Held: it cannot be written down").await;
    world.paused.send_replace(pause());
    world.store.sickens(None);
    assert!(timeout(HOUR, &mut run).await.is_err());
    assert!(world.plant.calls().is_empty());
    world.paused.send_replace(None);
    run.await.unwrap();
    assert_eq!((world.plant.releases(), world.plant.calls().len()), (vec!["2".to_owned(); 3], 3));
}

#[tokio::test(start_paused = true)]
async fn cancelled_or_paused_while_the_engine_stares_it_is_not_called() {
    let stares = || Plant::with(Faults { stares: true, ..Faults::default() });
    let world = World::new(stares());
    let run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
    sleep(Duration::from_secs(10)).await;
    world.board.stop(&id(), "Cancelled by its operator");
    world.plant.faults(|faults| faults.stares = false);
    run.await.unwrap();
    stopped_before_anything(&world.stored().await.unwrap().run);
    assert!(world.plant.calls().is_empty());

    let world = World::new(stares());
    let mut run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
    sleep(Duration::from_secs(10)).await;
    world.paused.send_replace(pause());
    world.plant.faults(|faults| faults.stares = false);
    assert!(timeout(HOUR, &mut run).await.is_err());
    assert!(world.plant.calls().is_empty());
    world.paused.send_replace(None);
    run.await.unwrap();
    assert_eq!(world.plant.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_pause_during_a_look_on_the_way_back_holds_it() {
    let world = World::new(Plant::with(Faults { bad_release: Some("2".to_owned()), ..Faults::default() }));
    let mut run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
    shown(&world, |seen| seen.operation.steps[0].state() == StepState::Soaking).await;
    world.plant.faults(|faults| faults.stares = true);
    shown(&world, |seen| seen.operation.steps[0].state() == StepState::Failed).await;
    world.paused.send_replace(pause());
    world.plant.faults(|faults| faults.stares = false);
    assert!(timeout(HOUR, &mut run).await.is_err());
    assert_eq!(world.plant.calls().len(), 1);
    world.paused.send_replace(None);
    run.await.unwrap();
    assert_eq!(world.stored().await.unwrap().run.state, RunState::RolledBack);
}

#[tokio::test(start_paused = true)]
async fn cancelled_while_its_releases_cannot_be_written_it_ends() {
    let world = World::new(Plant::new());
    let mut plan = upgrade();
    let component = "storage".to_owned();
    plan.releases.push(PlannedRelease { component, release_seq: 2, ..PlannedRelease::default() });
    std::fs::remove_dir_all(world.folder.path()).unwrap();
    let run = Task::spawn(Span::none(), world.begin(&plan).drive());
    held_by(&world, "Held: its releases cannot be written down").await;
    world.board.stop(&id(), "Cancelled by its operator");
    timeout(HOUR, run).await.expect("nobody waits for the disk").unwrap();
    stopped_before_anything(&world.stored().await.unwrap().run);
    assert!(world.plant.calls().is_empty());
}

fn says_no(world: &World) {
    world.verdict.send_replace(Some(Err("Cancelled by its operator".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn what_a_pause_held_before_its_first_step_is_judged_anew() {
    let world = World::new(Plant::with(Faults { stares: true, ..Faults::default() }));
    let mut run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
    sleep(Duration::from_secs(10)).await;
    world.paused.send_replace(pause());
    world.plant.faults(|faults| faults.stares = false);
    assert!(timeout(HOUR, &mut run).await.is_err());
    says_no(&world);
    world.paused.send_replace(None);
    run.await.unwrap();
    stopped_before_anything(&world.stored().await.unwrap().run);
    assert!(world.plant.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_before_its_first_step_is_judged_anew_and_what_has_begun_is_not() {
    for (at, calls) in [(BEFORE_CALL, 0), (BEFORE_CALL + 3, 3)] {
        let world = World::new(Plant::new());
        world.store.dies(Some(crate::operations::testing::Death { at, kept: false }));
        tokio::select! {
            () = world.begin(&upgrade()).drive() => panic!("it is over"),
            () = world.store.died() => {}
        }
        let world = world.restart();
        says_no(&world);
        world.resume().await.drive().await;
        let run = world.stored().await.unwrap().run;
        assert_eq!(world.plant.calls().len(), calls, "{}", run.why);
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_nothing_begins() {
    let world = World::new(Plant::new());
    world.verdict.send_replace(None);
    let mut run = Task::spawn(Span::none(), world.begin(&upgrade()).drive());
    assert!(timeout(HOUR, &mut run).await.is_err());
    assert!(world.plant.calls().is_empty());
    world.verdict.send_replace(Some(Ok(())));
    run.await.unwrap();
    assert_eq!(world.plant.calls().len(), 3);
}
