//! A death at every write, before it and after it: what comes back goes on, and does nothing twice.

use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use tunnel_protos::operations::v1::Plan;

use super::*;
use crate::operations::{
    run::Run,
    testing::{Death, Machine},
};

/// Runs `plan`, dies as told, goes on, and so on until it is over; and how many of the deaths it came to.
async fn run_through(plant: Plant, plan: &Plan, deaths: &[Death]) -> (World, Run, usize) {
    let (mut world, mut hits) = (World::new(plant), 0);
    for death in deaths {
        world.store.dies(Some(*death));
        let driver = go_on(&world, plan).await;
        let ended = tokio::select! {
            () = driver.drive() => true,
            () = world.store.died() => false,
        };
        world = world.restart();
        if ended {
            break;
        }
        hits += 1;
    }
    go_on(&world, plan).await.drive().await;
    let run = world.stored().await.unwrap().run;
    (world, run, hits)
}

async fn go_on(world: &World, plan: &Plan) -> Driver<crate::operations::testing::Memory, Plant> {
    match world.stored().await {
        Some(_) => world.resume().await,
        None => world.begin(plan),
    }
}

async fn writes_of(plant: Plant, plan: &Plan) -> (usize, Run) {
    let world = World::new(plant);
    let run = world.finish(plan).await;
    (world.store.writes(), run)
}

/// Dies once at each write, in both ways, and compares with the run that never died.
async fn each_cut(faults: &Faults, plan: &Plan, check: impl Fn(&World, &Run, &Run, Death)) {
    let (writes, whole) = writes_of(Plant::with(faults.clone()), plan).await;
    for at in 0..writes {
        for kept in [false, true] {
            let death = Death { at, kept };
            let (world, run, hits) = run_through(Plant::with(faults.clone()), plan, &[death]).await;
            assert_eq!(hits, 1, "it never came to {death:?}");
            check(&world, &run, &whole, death);
        }
    }
}

/// No node was started more often than that.
fn starts(world: &World, most: u32) -> bool {
    world.plant.nodes().values().all(|Machine { starts, .. }| *starts <= most)
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_dies_at_any_write_ends_as_if_it_had_not() {
    each_cut(&Faults::default(), &upgrade(), |world, run, whole, death| {
        assert_eq!((run.state, states(run)), (whole.state, states(whole)), "{death:?}: {}", run.why);
        assert_eq!(world.plant.releases(), ["2", "2", "2"], "{death:?}");
        assert!(starts(world, 2), "{death:?}: a node was brought twice: {:?}", world.plant.calls());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_dies_at_any_write_is_finished() {
    let faults = Faults { refuses: Some(r#""n3","release":"2""#.to_owned()), ..Faults::default() };
    each_cut(&faults, &upgrade(), |world, run, whole, death| {
        // Killed during the call, nobody knows that the first one was refused, too.
        let is_whole = states(run) == states(whole) || states(run) == [StepState::RolledBack; 3];
        assert!(run.state == whole.state && is_whole, "{death:?}: {:?}: {}", states(run), run.why);
        assert_eq!(world.plant.releases(), ["1", "1", "1"], "{death:?}");
        assert!(starts(world, 3), "{death:?}: {:?}", world.plant.calls());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_scale_that_stops_half_way_is_taken_back_after_a_death_at_any_write() {
    let faults = Faults { most: Some(4), ..Faults::default() };
    each_cut(&faults, &scale(), |world, run, _, death| {
        let ended = (run.state, world.plant.nodes().len());
        assert_eq!(ended, (RunState::RolledBack, 3), "{death:?}: {}", run.why);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn scaling_and_restarting_survive_a_death_at_any_write() {
    each_cut(&Faults::default(), &scale(), |world, run, _, death| {
        assert_eq!(
            (run.state, world.plant.nodes().len()),
            (RunState::Succeeded, 5),
            "{death:?}: {}",
            run.why
        );
        assert_eq!(world.plant.calls().len(), 1, "{death:?}");
    })
    .await;
    each_cut(&Faults::default(), &restart(), |world, run, _, death| {
        assert_eq!(run.state, RunState::Succeeded, "{death:?}: {}", run.why);
        assert_eq!(world.plant.calls().len(), 3, "{death:?}: each node once");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_setting_and_a_bundle_survive_a_death_at_any_write() {
    each_cut(&Faults::default(), &configure(), |world, run, _, death| {
        assert_eq!(run.state, RunState::Succeeded, "{death:?}: {}", run.why);
        let settings = world.plant.settings();
        assert_eq!((settings["level"].as_str(), world.plant.calls().len()), ("high", 1), "{death:?}");
    })
    .await;
    let faults = Faults { refuses: Some("high".to_owned()), ..Faults::default() };
    each_cut(&faults, &configure(), |world, run, whole, death| {
        let (ended, called_back) =
            ((run.state, states(run)), (RunState::RolledBack, vec![StepState::RolledBack]));
        let is_whole = ended == (whole.state, states(whole));
        assert!(is_whole || ended == called_back, "{death:?}: {ended:?}: {}", run.why);
        assert_eq!(world.plant.settings()["level"], "low", "{death:?}");
    })
    .await;
    each_cut(&Faults::default(), &debug(), |world, run, _, death| {
        assert_eq!(run.state, RunState::Succeeded, "{death:?}: {}", run.why);
        // It only reads: once more after a death at most.
        assert!((1..=2).contains(&world.plant.calls().len()), "{death:?}: {:?}", world.plant.calls());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_see_is_never_called_again() {
    for (plan, faults) in [
        (task(), Faults::default()),
        (walk(), Faults::default()),
        (restart(), Faults { hides_starts: true, ..Faults::default() }),
    ] {
        let mut lost = 0;
        let (writes, _) = writes_of(Plant::with(faults.clone()), &plan).await;
        for at in 0..writes {
            for kept in [false, true] {
                let (world, run, hits) =
                    run_through(Plant::with(faults.clone()), &plan, &[Death { at, kept }]).await;
                assert_eq!(hits, 1, "it never came to {at}");
                let calls = world.plant.calls();
                let mut once = calls.clone();
                once.dedup();
                assert_eq!(calls, once, "at {at}: called again");
                lost += usize::from(run.state == RunState::Indeterminate);
                assert!(matches!(run.state, RunState::Succeeded | RunState::Indeterminate), "{}", run.why);
            }
        }
        assert!(lost > 0, "a death during a call leaves nobody who knows");
    }
}

/// Any faults.
fn any_faults() -> impl Strategy<Value = Faults> {
    let part = prop_oneof![
        Just(None),
        Just(Some("n2".to_owned())),
        Just(Some(r#""n3","release":"2""#.to_owned())),
        Just(Some("replicas".to_owned())),
    ];
    let bad = prop_oneof![Just(None), Just(Some("2".to_owned()))];
    (part.clone(), part, any::<bool>(), any::<bool>(), bad).prop_map(
        |(refuses, loses, broken, hides_starts, bad_release)| Faults {
            broken: broken.then(|| "n2".to_owned()).into_iter().collect(),
            refuses,
            loses,
            hides_starts,
            bad_release,
            ..Faults::default()
        },
    )
}

fn blind(deeds: &[Deed]) -> bool {
    deeds.windows(2).any(|pair| matches!(pair, [Deed::Call(_), Deed::Call(_)]))
}

#[test]
fn whatever_fails_and_however_often_it_dies_it_ends_and_never_calls_blindly() {
    let death = (0..6_usize, any::<bool>()).prop_map(|(at, kept)| Death { at, kept });
    let case = (0..5_usize, any_faults(), vec(death, 0..6));
    let mut runner = TestRunner::new(ProptestConfig { cases: 400, ..ProptestConfig::default() });
    let test = |(plan, faults, deaths): (usize, Faults, Vec<Death>)| {
        let hides_releases = plan == 4;
        let faults = Faults { hides_releases, ..faults };
        let plan = [upgrade(), scale(), restart(), task(), upgrade_unseen()][plan].clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let end =
                timeout(Duration::from_secs(24 * 3_600), run_through(Plant::with(faults), &plan, &deaths));
            let (world, run, _) = end.await.expect("a run ends");
            prop_assert!(run.state.is_over());
            let deeds = world.plant.deeds();
            prop_assert!(!blind(&deeds), "two calls without a look between: {deeds:?}");
            let releases = world.plant.releases();
            match run.state {
                RunState::Succeeded if plan.operation == "upgrade" => {
                    prop_assert_eq!(releases, ["2", "2", "2"]);
                }
                RunState::RolledBack => prop_assert!(releases.iter().all(|release| release == "1")),
                _ => {}
            }
            Ok(())
        })
    };
    runner.run(&case, test).unwrap();
}
