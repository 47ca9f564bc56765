//! Ends that were not in order, and what the next start makes of them.

use std::{fs, time::Duration};

use super::world::{GRANT, World, call, called, pause, step};
use crate::audit::{Outcome, head::Head, line::Chain};

#[tokio::test]
async fn a_restart_continues_the_chain() {
    let world = World::written().await;
    let before = world.verify().unwrap().last;
    let (audit, log) = world.open();
    assert_eq!(audit.start().last_record, before);
    assert_eq!(audit.start().damage, None);
    audit.record(pause()).await.unwrap();
    log.close().await;
    assert_eq!(world.verify().unwrap().last, before + 2);
}

#[tokio::test]
async fn a_kill_at_any_byte_of_the_last_lines_is_survived_and_noted() {
    let world = World::new();
    let (audit, log) = world.open();
    audit.record(pause()).await.unwrap();
    let file = world.segments().remove(0);
    let durable = fs::metadata(&file).unwrap().len();
    let head = fs::read(world.folder().join("head")).unwrap();
    let entry = audit.intent(call("Set")).await.unwrap();
    audit.outcome(entry, Outcome::Called(called()));
    log.close().await;
    let bytes = fs::read(&file).unwrap();
    for end in usize::try_from(durable).unwrap()..=bytes.len() {
        let killed = world.copy();
        let file = killed.segments().remove(0);
        fs::write(&file, &bytes[..end]).unwrap();
        fs::write(killed.folder().join("head"), &head).unwrap();
        killed.verify().unwrap();
        let (audit, log) = killed.open();
        assert_eq!(audit.start().damage, None, "at byte {end}");
        log.close().await;
        let whole = killed.verify().unwrap();
        assert!(!whole.unfinished);
        let kinds = killed.kinds();
        let torn = bytes[..end].last() != Some(&b'\n');
        assert_eq!(kinds.contains(&"torn".to_owned()), torn, "at byte {end}: {kinds:?}");
        let ended =
            kinds.iter().filter(|kind| ["callEnded", "indeterminate"].contains(&kind.as_str())).count();
        assert_eq!(ended, kinds.iter().filter(|kind| *kind == "call").count(), "at byte {end}: {kinds:?}");
    }
}

#[tokio::test]
async fn a_kill_before_the_first_sync_leaves_a_whole_log() {
    let mut begun = World::new();
    begun.settings.sync_delay = Duration::from_secs(3600);
    let (_audit, _log) = begun.open();
    let head = fs::read(begun.folder().join("head")).unwrap();
    let killed = World::written().await;
    fs::write(killed.folder().join("head"), head).unwrap();
    killed.verify().unwrap();
    let (audit, log) = killed.open();
    assert_eq!(audit.start().damage, None);
    log.close().await;
    killed.verify().unwrap();
}

#[tokio::test]
async fn a_log_behind_its_head_is_noticed_at_start() {
    let world = World::written().await;
    let file = world.segments().remove(0);
    let bytes = fs::read(&file).unwrap();
    let cut = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    fs::write(&file, &bytes[..cut]).unwrap();
    let (audit, log) = world.open();
    assert!(audit.start().damage.is_some());
    log.close().await;
    assert!(world.kinds().contains(&"damaged".to_owned()));
}

#[tokio::test]
async fn an_edited_log_is_noticed_at_start_and_kept_as_it_is() {
    let world = World::written().await;
    let file = world.segments().remove(0);
    let edited = fs::read_to_string(&file).unwrap().replace("e.Engine/Set", "e.Engine/Get");
    fs::write(&file, &edited).unwrap();
    let (audit, log) = world.open();
    assert!(audit.start().damage.is_some());
    audit.record(pause()).await.unwrap();
    log.close().await;
    assert_eq!(fs::read_to_string(&file).unwrap(), edited, "evidence is not touched");
    assert!(world.verify().is_err());
}

#[tokio::test]
async fn indeterminate_is_said_once() {
    let world = World::new();
    let (audit, log) = world.open();
    std::mem::forget(audit.intent(call("Set")).await.unwrap());
    log.close().await;
    for _ in 0..2 {
        let (audit, log) = world.open();
        audit.record(pause()).await.unwrap();
        log.close().await;
    }
    assert_eq!(world.kinds().iter().filter(|kind| *kind == "indeterminate").count(), 1);
}

#[tokio::test]
async fn a_step_without_an_outcome_is_indeterminate_and_no_call() {
    let world = World::new();
    let (audit, log) = world.open();
    std::mem::forget(audit.intent(step()).await.unwrap());
    // Called all the same, and noted when there was space again: nothing is owed to it.
    audit.note(step().late());
    log.close().await;
    let (audit, log) = world.open();
    assert_eq!(audit.status().indeterminate, 1);
    log.close().await;
    let lines = world.lines();
    let ends: Vec<_> = lines.iter().filter(|line| line.kind == "indeterminate").collect();
    assert_eq!(ends.len(), 1);
    assert_eq!((ends[0].number("of"), ends[0].text("request")), (Some(2), GRANT));
    assert!(!ends[0].fields.contains_key("method") && !ends[0].fields.contains_key("target"));
}

#[tokio::test]
async fn a_step_of_a_version_that_recorded_no_outcomes_owes_none() {
    let world = World::new();
    fs::create_dir(world.folder()).unwrap();
    let (mut chain, mut bytes) = (Chain::START, Vec::new());
    for body in [
        serde_json::json!({ "kind": "origin", "origin": "00", "cluster": "acme/prod", "label": "aaaaaaaaaa" }),
        serde_json::json!({
            "kind": "step", "request": GRANT, "step": 1, "title": "Compact", "target": "default",
            "method": "e.Engine/Compact", "back": false
        }),
    ] {
        chain.append(&mut bytes, crate::clock::wall(), &body).unwrap();
    }
    fs::write(world.folder().join("00000000000000000001.jsonl"), bytes).unwrap();
    Head::before(&chain).write(world.folder()).unwrap();
    let (audit, log) = world.open();
    assert_eq!((audit.status().indeterminate, audit.start().damage), (0, None));
    audit.record(pause()).await.unwrap();
    log.close().await;
    assert_eq!(world.kinds(), ["origin", "step", "pause", "stopped"]);
    world.verify().unwrap();
}
