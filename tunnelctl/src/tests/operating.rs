//! Operations from the command line to their end, over a real session to their own door.

use std::{future::pending, os::unix::fs::PermissionsExt, path::Path};

use tunnel_certs::statement::request::{Kind, operation::Start};
use tunnel_protos::{TargetName, operations::v1::StepState, v1::RequestState};
use tunnel_runtime::exit::Exit;

use super::stage::{Done, Stage, stage};
use crate::Ending;

const SCALE: [&str; 11] = [
    "request",
    "scale",
    "acme/prod",
    "storage",
    "--expect",
    "3",
    "--replicas",
    "5",
    "--reason",
    "more load",
    "--output",
];

/// A stage whose operations are answered with `state`, and stand so behind their door.
async fn ready(state: RequestState) -> Stage {
    let stage = stage(state).await;
    *stage.cluster.target.lock() = TargetName::operations();
    stage.operation.change(|play| play.operation.state = state.into());
    stage.login("tunnel.example").await;
    stage
}

fn scale<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SCALE[..], &["text"], more].concat()
}

/// Asks without waiting and gives the id.
async fn asked(stage: &Stage, more: &[&str]) -> String {
    let asked = stage.run(&scale(&[&["--no-wait"][..], more].concat())).await;
    assert_eq!(asked.ending, Ending::OK, "{}", asked.err);
    asked.out.trim().to_owned()
}

fn json(done: &Done) -> Vec<serde_json::Value> {
    done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_operation_is_followed_from_the_ask_to_its_end() {
    let stage = ready(RequestState::Pending).await;
    let mut running = stage.start(&scale(&[]), Box::pin(pending()));
    running.until("waiting: 0 of 1 approvals").await;
    stage.operation.moves(RequestState::Running, "started");
    stage.say(RequestState::Running, "");
    running.until("running: started").await;
    stage.operation.step(1, StepState::Calling);
    running.until("step 1 of 2, Add n4: calling").await;
    stage.operation.step(1, StepState::Done);
    stage.operation.step(2, StepState::Done);
    stage.operation.moves(RequestState::Succeeded, "storage has 5 replicas");
    stage.say(RequestState::Succeeded, "storage has 5 replicas");
    let done = running.end().await;
    assert_eq!(done.ending, Ending::OK, "{}", done.err);
    assert_eq!(done.out, "succeeded: storage has 5 replicas\n");
    assert!(done.err.contains("step 2 of 2, Add n5: done"), "{}", done.err);
    assert_eq!(stage.run(&["requests"]).await.out, "no open requests\n");
    let all = stage.run(&["requests", "--all"]).await;
    assert!(
        all.out.contains("succeeded") && all.out.contains("scale storage from 3 to 5 replicas"),
        "{}",
        all.out
    );
}

#[tokio::test]
async fn scripts_get_every_step_and_the_whole_operation_as_json() {
    let stage = ready(RequestState::Running).await;
    stage.operation.step(1, StepState::Done);
    stage.operation.moves(RequestState::Succeeded, "done");
    let done = stage.run(&[&SCALE[..], &["json"]].concat()).await;
    assert_eq!(done.ending, Ending::OK, "{}", done.err);
    let last = json(&done).pop().unwrap();
    assert_eq!((&last["event"], &last["state"]), (&"operation".into(), &"succeeded".into()));
    assert_eq!(last["plan"]["diff"][0]["new"], "5");
}

#[tokio::test]
async fn every_end_has_its_exit_code() {
    for (state, exit) in [
        (RequestState::Succeeded, Exit::Ok),
        (RequestState::Failed, Exit::Failed),
        (RequestState::RolledBack, Exit::Failed),
        (RequestState::Cancelled, Exit::Failed),
        (RequestState::Indeterminate, Exit::Failed),
        (RequestState::Denied, Exit::Denied),
        (RequestState::Expired, Exit::Expired),
        (RequestState::Revoked, Exit::Denied),
    ] {
        let stage = ready(state).await;
        let done = stage.run(&scale(&[])).await;
        assert_eq!(done.ending, exit.into(), "{state:?}: {}", done.err);
        let again = "tunnelctl request scale acme/prod storage --expect 3 --replicas 5 --reason 'more load'";
        assert_eq!(done.err.contains(again), state != RequestState::Succeeded, "{state:?}: {}", done.err);
    }
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_starts_nothing() {
    let stage = ready(RequestState::Approved).await;
    let done = stage.run(&scale(&["--dry-run"])).await;
    assert_eq!(done.ending, Ending::OK, "{}", done.err);
    assert!(
        done.out.contains("- replicas: 3\n    + replicas: 5\n") && done.out.contains("State: approved"),
        "{}",
        done.out
    );
    assert_eq!((stage.operation.look().starts, stage.operation.look().watches), (0, 0));
    let Kind::Operation(asked) = stage.asked() else { panic!("no operation") };
    assert!(asked.dry_run);
}

#[tokio::test]
async fn one_that_waits_for_its_operator_starts_when_told() {
    let stage = ready(RequestState::Approved).await;
    let done = stage.run(&scale(&["--start", "on-call"])).await;
    assert_eq!(done.ending, Ending::OK, "{}", done.err);
    assert!(done.out.contains("+ replicas: 5") && done.err.contains("tunnelctl start "), "{}", done.err);
    let Kind::Operation(asked) = stage.asked() else { panic!("no operation") };
    assert_eq!(asked.start, Start::OnCall);
    let id = stage.only_request().await;
    let mut running = stage.start(&["start", &id], Box::pin(pending()));
    running.until("running: started").await;
    stage.operation.moves(RequestState::Succeeded, "done");
    assert_eq!(running.end().await.ending, Ending::OK);
    assert_eq!(stage.operation.look().starts, 1);
}

#[tokio::test]
async fn watching_goes_on_where_a_broken_stream_ended() {
    let stage = ready(RequestState::Running).await;
    let id = asked(&stage, &[]).await;
    stage.operation.change(|play| play.breaks = 2);
    stage.operation.step(1, StepState::Calling);
    let mut running = stage.start(&["watch", &id], Box::pin(pending()));
    running.until("trying again").await;
    stage.operation.step(1, StepState::Done);
    running.until("Add n4: done").await;
    stage.operation.moves(RequestState::Succeeded, "done");
    let done = running.end().await;
    assert_eq!(done.ending, Ending::OK, "{}", done.err);
    assert_eq!(done.err.matches("Add n4: calling").count(), 1, "{}", done.err);
    assert_eq!(done.err.matches("Add n4: done").count(), 1, "{}", done.err);
    assert_eq!(stage.operation.look().watches, 3);
}

#[tokio::test]
async fn the_clusters_signed_word_ends_what_nobody_can_look_at() {
    let stage = ready(RequestState::Running).await;
    let id = asked(&stage, &[]).await;
    let mut running = stage.start(&["watch", &id], Box::pin(pending()));
    stage.operation.step(1, StepState::Calling);
    running.until("Add n4: calling").await;
    stage.refusal.store(16, std::sync::atomic::Ordering::Relaxed);
    stage.say(RequestState::RolledBack, "n5 did not come up");
    let done = running.end().await;
    assert_eq!(done.ending, Exit::Failed.into());
    assert!(done.err.contains("it failed and was rolled back: n5 did not come up"), "{}", done.err);
}

#[tokio::test]
async fn whoever_stops_watching_is_told_that_it_goes_on() {
    let stage = ready(RequestState::Running).await;
    let done = stage.run(&scale(&["--wait", "3s"])).await;
    assert_eq!(done.ending, Exit::Waiting.into(), "{}", done.err);
    assert!(
        done.err.contains("the operation goes on") && done.err.contains("tunnelctl cancel "),
        "{}",
        done.err
    );
    let list = stage.run(&["requests"]).await;
    assert!(list.out.contains("running") && list.out.contains("tunnelctl watch "), "{}", list.out);
}

#[tokio::test]
async fn a_running_one_is_cancelled_through_its_session() {
    let stage = ready(RequestState::Running).await;
    let id = asked(&stage, &[]).await;
    let done = stage.run(&["cancel", &id]).await;
    assert_eq!(done.ending, Ending::OK, "{}", done.err);
    assert!(done.err.contains("it was cancelled: stopped by its operator"), "{}", done.err);
    assert_eq!(stage.operation.look().cancels, 1);
}

#[tokio::test]
async fn one_that_is_over_cannot_be_cancelled_any_more() {
    let stage = ready(RequestState::Failed).await;
    let id = asked(&stage, &[]).await;
    assert_eq!(stage.run(&["cancel", &id]).await.ending, Exit::Failed.into());
}

#[tokio::test]
async fn one_that_nobody_approved_yet_is_withdrawn() {
    let stage = ready(RequestState::Pending).await;
    let id = asked(&stage, &[]).await;
    let done = stage.run(&["cancel", &id]).await;
    assert_eq!(done.ending, Ending::OK, "{}", done.err);
    assert!(done.out.contains(&format!("withdrawn {id}")), "{}", done.out);
    assert_eq!(stage.operation.look().cancels, 0);
}

#[tokio::test]
async fn the_plan_can_be_looked_at_after_the_end() {
    let stage = ready(RequestState::Succeeded).await;
    assert_eq!(stage.run(&scale(&[])).await.ending, Ending::OK);
    let all = stage.run(&["requests", "--all", "--output", "json"]).await;
    let id = json(&all)[0]["id"].as_str().unwrap().to_owned();
    let plan = stage.run(&["plan", &id]).await;
    assert_eq!(plan.ending, Ending::OK, "{}", plan.err);
    assert!(
        plan.out.starts_with("Scale storage to 5\n") && plan.out.contains("State: succeeded"),
        "{}",
        plan.out
    );
    assert_eq!(stage.run(&["requests"]).await.out, "no open requests\n", "looking opens nothing again");
}

#[tokio::test]
async fn access_is_no_operation() {
    let stage = ready(RequestState::Approved).await;
    let line = ["request", "access", "acme/prod", "--method", "a.B/C", "--reason", "x"];
    let id = stage.run(&line).await.out.trim().to_owned();
    for command in ["start", "cancel", "plan"] {
        let done = stage.run(&[command, &id]).await;
        assert_eq!(done.ending, Exit::Usage.into(), "{command}");
        assert!(
            done.err.contains("asks for no operation: tunnelctl connect acme/prod --resume"),
            "{}",
            done.err
        );
    }
}

#[tokio::test]
async fn connect_never_goes_on_with_an_operation() {
    let stage = ready(RequestState::Running).await;
    asked(&stage, &[]).await;
    let connect = stage.run(&["connect", "acme/prod"]).await;
    assert_eq!(connect.ending, Exit::Usage.into(), "{}", connect.err);
}

#[tokio::test]
async fn a_request_expires_when_its_operator_says() {
    let stage = ready(RequestState::Pending).await;
    let asked = stage.run(&[&SCALE[..], &["json", "--no-wait", "--expires", "10m"]].concat()).await;
    let expires = json(&asked).pop().unwrap()["expiresMs"].as_i64().unwrap();
    let left = tunnel_protos::UnixMillis(expires).since(stage.cluster.clock.now());
    assert!((540..=600).contains(&left.as_secs()), "{left:?}");
}

/// A debug bundle that was made.
async fn collected(released: bool) -> (Stage, String) {
    let stage = ready(RequestState::Succeeded).await;
    stage.operation.bundle((0..=255).cycle().take(4500).collect(), released);
    let debug = ["request", "debug", "acme/prod", "status", "--reason", "INC-7"];
    let done = stage.run(&debug).await;
    assert_eq!(done.ending, Ending::OK, "{}", done.err);
    let hint = done.err.lines().last().unwrap().trim().to_owned();
    let id = hint.strip_prefix("tunnelctl bundle get ").unwrap().to_owned();
    (stage, id)
}

#[tokio::test]
async fn a_released_bundle_is_fetched_across_broken_connections() {
    let (stage, id) = collected(true).await;
    stage.operation.change(|play| play.breaks = 2);
    let out = stage.path("debug.tar.zst");
    let done = stage.run(&["bundle", "get", &id, "-o", &out]).await;
    assert_eq!(done.ending, Ending::OK, "{}", done.err);
    assert_eq!(std::fs::read(&out).unwrap(), stage.operation.look().bundle);
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    let again = stage.run(&["bundle", "get", &id, "-o", &out]).await;
    assert_eq!(again.ending, Exit::Usage.into(), "never over another file: {}", again.err);
}

#[tokio::test]
async fn a_bundle_that_is_not_what_was_released_leaves_no_file() {
    let changes: [fn(&mut crate::testing::operations::Play); 3] = [
        |play| play.bundle[1200] ^= 1,
        |play| play.bundle.truncate(4000),
        |play| play.bundle.extend([0; 5000]),
    ];
    for change in changes {
        let (stage, id) = collected(true).await;
        stage.operation.change(change);
        let out = stage.path("debug.tar.zst");
        let done = stage.run(&["bundle", "get", &id, "-o", &out]).await;
        assert_eq!(done.ending, Exit::Failed.into(), "{}", done.err);
        assert!(!Path::new(&out).exists());
        assert_eq!(std::fs::read_dir(stage.home.path()).unwrap().filter(is_temporary).count(), 0);
    }
}

fn is_temporary(entry: &std::io::Result<std::fs::DirEntry>) -> bool {
    entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".tmp")
}

#[tokio::test]
async fn a_bundle_waits_for_its_release() {
    let (stage, id) = collected(false).await;
    let out = stage.path("debug.tar.zst");
    let early = stage.run(&["bundle", "get", &id, "-o", &out]).await;
    assert_eq!(early.ending, Exit::Waiting.into(), "{}", early.err);
    assert!(early.err.contains("tunnel-client bundle release"), "{}", early.err);
    let mut waiting = stage.start(&["bundle", "get", &id, "-o", &out, "--wait", "1m"], Box::pin(pending()));
    let release = async {
        stage.operation.change(|play| play.operation.bundle.as_mut().unwrap().released = true);
    };
    release.await;
    let done = tokio::time::timeout(std::time::Duration::from_secs(20), &mut waiting.ending).await.unwrap();
    assert_eq!(done, Ending::OK, "{}", waiting.err.text());
    assert!(Path::new(&out).exists());
}

#[tokio::test]
async fn an_operation_without_a_bundle_says_so() {
    let stage = ready(RequestState::Failed).await;
    let id = asked(&stage, &[]).await;
    let done = stage.run(&["bundle", "get", &id, "-o", &stage.path("x")]).await;
    assert_eq!(done.ending, Exit::Failed.into());
    assert!(done.err.contains("made no bundle"), "{}", done.err);
}
