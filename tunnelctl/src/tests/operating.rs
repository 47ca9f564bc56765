//! Operations from the command line to their end, over a real session to their own door.

use std::{future::pending, sync::atomic::Ordering::Relaxed, time::Duration};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
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
pub(super) async fn ready(state: RequestState) -> Stage {
    let stage = behind_its_door(state).await;
    stage.login("tunnel.example").await;
    stage
}

/// The same, before anybody logs in.
async fn behind_its_door(state: RequestState) -> Stage {
    let stage = stage(state).await;
    *stage.cluster.target.lock() = TargetName::operations();
    stage.operation.change(|play| play.operation.state = state.into());
    stage
}

fn scale<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SCALE[..], &["text"], more].concat()
}

/// Asks without waiting and gives the id.
pub(super) async fn asked(stage: &Stage, more: &[&str]) -> String {
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
    stage.refusal.store(16, Relaxed);
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

#[tokio::test]
async fn one_that_is_found_over_is_closed() {
    let stage = ready(RequestState::Running).await;
    let id = asked(&stage, &[]).await;
    stage.operation.moves(RequestState::Succeeded, "done");
    let done = stage.run(&["watch", &id]).await;
    assert_eq!(done.ending, Ending::OK, "{}", done.err);
    assert_eq!(stage.run(&["requests"]).await.out, "no open requests\n");
    let all = stage.run(&["requests", "--all"]).await;
    assert!(all.out.contains("succeeded"), "{}", all.out);
}

#[tokio::test]
async fn a_client_that_refuses_certificates_is_not_asked_again_and_again() {
    let stage = ready(RequestState::Running).await;
    let id = asked(&stage, &[]).await;
    let mut running = stage.start(&["watch", &id], Box::pin(pending()));
    stage.operation.step(1, StepState::Calling);
    running.until("Add n4: calling").await;
    stage.certificates.send_replace((RequestState::Denied, "the work window is over"));
    stage.refusal.store(16, Relaxed);
    stage.operation.change(|play| play.cuts += 1);
    running.until("nobody can look at it now").await;
    let asked = stage.certifying.load(Relaxed);
    tokio::time::pause();
    assert!(timeout(Duration::from_secs(50), &mut running.ending).await.is_err(), "{}", running.err.text());
    assert_eq!(stage.certifying.load(Relaxed), asked);
}

#[tokio::test]
async fn a_way_that_carries_nothing_any_more_is_found_out() {
    let mut stage = behind_its_door(RequestState::Running).await;
    let way = Way::to(&stage.gate).await;
    stage.gate.clone_from(&way.address);
    stage.login("tunnel.example").await;
    let id = asked(&stage, &[]).await;
    let mut running = stage.start(&["watch", &id], Box::pin(pending()));
    stage.operation.step(1, StepState::Calling);
    running.until("Add n4: calling").await;
    way.freeze.send_replace(true);
    tokio::time::pause();
    let ended = timeout(Duration::from_secs(40), &mut running.ending).await;
    assert!(ended.is_err() && running.err.text().contains("trying again"), "{}", running.err.text());
}

/// A way to the gate that can stop carrying without closing.
struct Way {
    address: String,
    freeze: watch::Sender<bool>,
    _task: JoinSet<()>,
}

impl Way {
    async fn to(gate: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (freeze, gate) = (watch::Sender::new(false), gate.to_owned());
        let frozen = freeze.subscribe();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut ways = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let (gate, mut frozen) = (gate.clone(), frozen.clone());
                ways.spawn(async move {
                    let mut far = TcpStream::connect(gate).await.unwrap();
                    let freeze = async { drop(frozen.wait_for(|frozen| *frozen).await) };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        () = freeze => pending().await,
                    }
                });
            }
        });
        Self { address, freeze, _task: task }
    }
}
