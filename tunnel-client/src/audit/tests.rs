//! The log as its callers and its readers see it.

mod broken;
mod damaged;
mod disks;
mod exported;
mod restart;
mod world;

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use tracing::Span;
use tunnel_runtime::{eventually::eventually, tasks::Task};

use self::world::{World, call, called, moved, pause, read, step};
use super::{Outcome, Unwritable};

#[tokio::test]
async fn what_was_acknowledged_is_in_the_file_in_one_chain() {
    let world = World::new();
    let (audit, log) = world.open();
    let entry = audit.intent(call("Set")).await.unwrap();
    assert!(world.kinds().contains(&"call".to_owned()), "before anything else happens");
    audit.outcome(entry, Outcome::Called(called()));
    audit.note(read("Get"));
    audit.record(pause()).await.unwrap();
    log.close().await;
    assert_eq!(world.kinds(), ["origin", "call", "callEnded", "read", "pause", "stopped"]);
    assert_eq!(world.verify().unwrap().last, 6);
    let ended = &world.lines()[2];
    assert_eq!((ended.number("of"), ended.text("method")), (Some(2), "e.Engine/Set"));
}

#[tokio::test]
async fn an_intent_whose_answer_nobody_takes_is_indeterminate() {
    let world = World::new();
    let (audit, log) = world.open();
    let mut intent = Box::pin(audit.intent(call("Set")));
    tokio::select! {
        biased;
        _ = &mut intent => unreachable!("before the sync"),
        () = std::future::ready(()) => {}
    }
    eventually("told", Duration::from_secs(10), async || audit.status().last_record == 2).await;
    drop(intent);
    log.close().await;
    assert_eq!(world.kinds(), ["origin", "call", "indeterminate", "stopped"]);
}

#[tokio::test]
async fn everything_is_private_to_the_client() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let (audit, log) = world.open();
    audit.record(pause()).await.unwrap();
    log.close().await;
    for entry in std::fs::read_dir(world.folder()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }
    assert_eq!(std::fs::metadata(world.folder()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn concurrent_calls_share_syncs_and_none_is_lost() {
    let mut world = World::new();
    world.settings.sync_delay = Duration::from_millis(5);
    let (disk, seen) = disks::counting();
    let (audit, log) = world.open_on(disk);
    let one = |number: usize| {
        let audit = audit.clone();
        async move {
            for _ in 0..10 {
                let entry = audit.intent(call(&format!("Set{number}"))).await.unwrap();
                audit.outcome(entry, Outcome::Called(called()));
            }
        }
    };
    join_all((0..64).map(one)).await;
    log.close().await;
    let kinds = world.kinds();
    assert_eq!(kinds.iter().filter(|kind| *kind == "call").count(), 640);
    assert_eq!(kinds.iter().filter(|kind| *kind == "callEnded").count(), 640);
    let syncs = seen.syncs();
    assert!(syncs <= 40, "640 calls took {syncs} syncs");
    world.verify().unwrap();
}

#[tokio::test]
async fn an_intent_whose_caller_went_away_is_abandoned() {
    let mut world = World::new();
    world.settings.sync_delay = Duration::from_millis(50);
    let (audit, log) = world.open();
    for event in [call("Set"), step()] {
        let hasty = tokio::time::timeout(Duration::from_millis(5), audit.intent(event)).await;
        assert!(hasty.is_err());
        audit.record(pause()).await.unwrap();
    }
    log.close().await;
    let kinds = world.kinds();
    assert_eq!(kinds.iter().filter(|kind| *kind == "abandoned").count(), 2, "{kinds:?}");
}

#[tokio::test]
async fn an_entry_dropped_without_an_outcome_is_indeterminate() {
    let world = World::new();
    let (audit, log) = world.open();
    drop(audit.intent(call("Set")).await.unwrap());
    log.close().await;
    assert!(world.kinds().contains(&"indeterminate".to_owned()));
}

#[tokio::test]
async fn a_closed_log_refuses() {
    let world = World::new();
    let (audit, log) = world.open();
    log.close().await;
    assert_eq!(audit.intent(call("Set")).await.unwrap_err(), Unwritable);
}

#[tokio::test]
async fn two_writers_of_one_log_are_refused() {
    let world = World::new();
    let (_audit, _log) = world.open();
    assert!(super::Audit::open(world.settings.clone()).is_err());
}

#[tokio::test]
async fn segments_follow_each_other_in_one_chain_and_carry_open_intents() {
    let mut world = World::new();
    world.settings.segment_bytes = 2_000;
    let (audit, log) = world.open();
    let long = audit.intent(call("Watch")).await.unwrap();
    for _ in 0..40 {
        let entry = audit.intent(call("Set")).await.unwrap();
        audit.outcome(entry, Outcome::Called(called()));
    }
    assert!(world.segments().len() > 3, "{:?}", world.segments());
    std::mem::forget(long);
    log.close().await;
    world.verify().unwrap();
    let (_audit, log) = world.open();
    log.close().await;
    let found: Vec<_> = world.lines().into_iter().filter(|line| line.kind == "indeterminate").collect();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].number("of"), found[0].text("method")), (Some(2), "e.Engine/Watch"));
}

#[tokio::test]
async fn what_is_older_than_the_retention_goes_and_is_said() {
    let mut world = World::new();
    world.settings.segment_bytes = 1_000;
    let (audit, log) = world.open();
    for _ in 0..30 {
        audit.record(moved()).await.unwrap();
    }
    log.close().await;
    let before = world.segments().len();
    let export: Vec<u8> = world.segments().iter().flat_map(|file| std::fs::read(file).unwrap()).collect();
    super::mark::mark(world.folder(), &*export).unwrap();
    world.settings.retention = Duration::ZERO;
    let (_audit, log) = world.open();
    eventually("removed", Duration::from_secs(5), async || world.segments().len() < before).await;
    log.close().await;
    let whole = world.verify().unwrap();
    assert!(whole.first > 1, "{whole:?}");
    assert!(world.kinds().contains(&"retention".to_owned()));
    // Without its record, the same removal is a fault.
    let first = world.segments().remove(0);
    std::fs::remove_file(first).unwrap();
    assert!(world.verify().is_err());
}

#[tokio::test]
async fn reads_that_find_no_room_are_counted_and_mutations_are_not_lost() {
    let world = World::new();
    let (disk, gate) = disks::stalling();
    let (audit, log) = world.open_on(disk);
    gate.stall();
    let waiting = {
        let audit = audit.clone();
        Task::spawn(Span::none(), async move { audit.record(pause()).await })
    };
    eventually("the writer hangs", Duration::from_secs(5), async || gate.is_waiting()).await;
    for _ in 0..super::queue::MAX_NOTES + 100 {
        audit.note(read("Get"));
    }
    gate.go_on();
    waiting.await.unwrap().unwrap();
    log.close().await;
    let lines = world.lines();
    let dropped: Vec<_> =
        lines.iter().filter(|line| line.kind == "dropped").map(|line| line.number("records")).collect();
    assert_eq!(dropped, [Some(100)]);
    let kinds: BTreeSet<_> = lines.iter().map(|line| line.kind.as_str()).collect();
    assert!(kinds.contains("pause"), "{kinds:?}");
}

/// Not a rule but a figure: `cargo test … -- --ignored --nocapture how_many`.
#[tokio::test]
#[ignore = "a measurement"]
async fn how_many_calls_a_second_64_callers_get() {
    for delay in [0, 5] {
        let mut world = World::new();
        world.settings.sync_delay = Duration::from_millis(delay);
        let (disk, seen) = disks::counting();
        let (audit, log) = world.open_on(disk);
        let began = tokio::time::Instant::now();
        let one = || async {
            let mut calls = 0;
            while began.elapsed() < Duration::from_secs(3) {
                let entry = audit.intent(call("Set")).await.unwrap();
                audit.outcome(entry, Outcome::Called(called()));
                calls += 1;
            }
            calls
        };
        let calls: usize = join_all((0..64).map(|_| one())).await.into_iter().sum();
        let seconds = began.elapsed().as_secs_f64();
        log.close().await;
        let (records, syncs) = (world.verify().unwrap().last, seen.syncs());
        println!(
            "{delay} ms: {:.0} calls/s, {:.0} records/s, {:.1} calls a sync",
            calls as f64 / seconds,
            records as f64 / seconds,
            calls as f64 / syncs as f64
        );
    }
}
