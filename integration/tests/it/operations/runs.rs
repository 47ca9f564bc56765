//! Each kind of operation at the reference engine, as it should go.

use std::time::Duration;

use tunnel_integration::harness::operation::{
    configure, debug, dry_run, on_call, restart, scale, steps, task,
};
use tunnel_protos::{
    operations::v1::{GetRequest, RiskClass, StartRequest, StepState},
    v1::RequestState,
};

use super::{Lab, POLICY, sentence};

#[tokio::test]
async fn scaling_within_the_limits_takes_nobody() {
    let lab = Lab::start().await;
    let (submitted, outcome) = lab.run(scale("storage", 3, 4).unwrap()).await;
    assert_eq!(outcome.state, RequestState::Succeeded, "{outcome:?}");
    assert_eq!(lab.storage().await.len(), 4);
    let operation = lab.operation(&submitted).await;
    let plan = operation.plan.unwrap();
    let replicas = plan.diff.iter().find(|change| change.new == "4").expect("the diff names it");
    assert_eq!(replicas.old, "3");
    assert_ne!(plan.risk(), RiskClass::Unspecified);
}

#[tokio::test]
async fn scaling_beyond_the_limits_is_refused_and_within_them_a_person_may_be_asked() {
    let (mut plan, key, keys) = Lab::plan().await;
    plan.client.policy = key.policy(&POLICY.replace("scale: { mode: auto,", "scale: { mode: manual,"));
    let lab = Lab::of(plan.start().await.unwrap(), key, keys);
    let (_, outcome) = lab.run(scale("storage", 3, 6).unwrap()).await;
    assert_eq!(outcome.state, RequestState::Denied, "{outcome:?}");
    sentence(&outcome.reason, &["6 replicas", "5"]);
    let submitted = lab.ask(super::on_approval(scale("storage", 3, 5).unwrap())).await;
    let view = lab.planned(&submitted).await;
    assert_eq!(lab.storage().await.len(), 3);
    lab.approve(&submitted, &view).await.unwrap();
    assert_eq!(lab.over(&submitted).await.state, RequestState::Succeeded);
    assert_eq!(lab.storage().await.len(), 5);
}

#[tokio::test]
async fn an_upgrade_goes_node_by_node() {
    let lab = Lab::with(|plan| plan.engine.startup = Duration::from_millis(200)).await;
    let (submitted, outcome) = lab.run(lab.upgrade("1.0.0", "1.1.0", 2)).await;
    assert_eq!(outcome.state, RequestState::Succeeded, "{outcome:?}");
    let upgraded = ("1.1.0".to_owned(), 1);
    assert_eq!(lab.storage().await, [upgraded.clone(), upgraded.clone(), upgraded]);
    let session = lab.session(&submitted).await;
    let operation = session.get().await.unwrap();
    assert_eq!(steps(&operation), [StepState::Done; 3]);
    let release = &operation.plan.unwrap().releases[0];
    assert_eq!((release.name.as_str(), release.release_seq, release.signed_by.len()), ("1.1.0", 2, 2));
    // No step began before the one before it was done.
    let events = session.watch().await.unwrap();
    let order: Vec<_> = events.iter().filter(|event| event.step > 0).map(|event| event.step).collect();
    assert!(order.is_sorted() && order.contains(&3), "{order:?}");
}

#[tokio::test]
async fn a_release_that_never_becomes_ready_is_taken_back() {
    let lab = Lab::start().await;
    let (submitted, outcome) = lab.run(lab.upgrade("1.0.0", "1.1.0-broken", 2)).await;
    assert_eq!(outcome.state, RequestState::RolledBack, "{outcome:?}");
    sentence(&outcome.reason, &[]);
    let storage = lab.storage().await;
    // The first node went there and back, and nobody touched the others.
    assert_eq!(storage.iter().map(|(_, restarts)| *restarts).collect::<Vec<_>>(), [2, 0, 0]);
    assert!(storage.iter().all(|(release, _)| release == "1.0.0"), "{storage:?}");
    let steps = steps(&lab.operation(&submitted).await);
    assert_eq!(steps[0], StepState::RolledBack, "{steps:?}");
    // What was taken back was seen all the same: the same release again is an old one.
    assert!(lab.status().await.healthy);
}

#[tokio::test]
async fn named_nodes_are_restarted_once_each() {
    let lab = Lab::start().await;
    let (_, outcome) = lab.run(restart("storage", &["storage-2", "storage-0"], 3).unwrap()).await;
    assert_eq!(outcome.state, RequestState::Succeeded, "{outcome:?}");
    let restarts: Vec<_> = lab.storage().await.into_iter().map(|(_, restarts)| restarts).collect();
    assert_eq!(restarts, [1, 0, 1]);
}

#[tokio::test]
async fn a_setting_is_changed() {
    let lab = Lab::start().await;
    let (_, outcome) = lab.run(configure("storage", "logLevel", "info", "debug").unwrap()).await;
    assert_eq!(outcome.state, RequestState::Succeeded, "{outcome:?}");
    assert_eq!(lab.status().await.settings["logLevel"], "debug");
}

#[tokio::test]
async fn a_task_tells_its_progress() {
    let lab = Lab::start().await;
    let (submitted, outcome) = lab.run(task("compact", &[("pauseMillis", "50")]).unwrap()).await;
    assert_eq!(outcome.state, RequestState::Succeeded, "{outcome:?}");
    let events = lab.session(&submitted).await.watch().await.unwrap();
    let progress = events.iter().filter_map(|event| event.status.as_ref()).filter(|status| status.total == 4);
    let done: Vec<_> = progress.map(|status| status.done).collect();
    assert!(done.is_sorted() && done.last() == Some(&4), "{done:?}");
}

#[tokio::test]
async fn a_dry_run_only_plans() {
    let lab = Lab::start().await;
    let submitted = lab.ask(dry_run(scale("storage", 3, 4).unwrap())).await;
    lab.ada.reaches(&submitted, &[RequestState::Approved]).await.unwrap();
    let session = lab.session(&submitted).await;
    assert!(session.get().await.unwrap().plan.is_some());
    let refused = session.api().start(StartRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{refused:?}");
    assert_eq!(lab.storage().await.len(), 3);
}

#[tokio::test]
async fn an_operation_on_call_waits_for_its_operator() {
    let lab = Lab::start().await;
    let submitted = lab.ask(on_call(scale("storage", 3, 4).unwrap())).await;
    lab.ada.reaches(&submitted, &[RequestState::Approved]).await.unwrap();
    let session = lab.session(&submitted).await;
    let waiting = session.api().get(GetRequest {}).await.unwrap().into_inner();
    assert_eq!((waiting.state(), waiting.started_ms), (RequestState::Approved, 0));
    assert_eq!(lab.storage().await.len(), 3);
    session.api().start(StartRequest {}).await.unwrap();
    assert_eq!(lab.over(&submitted).await.state, RequestState::Succeeded);
    assert_eq!(lab.storage().await.len(), 4);
}

#[tokio::test]
async fn operations_of_one_component_wait_for_each_other() {
    let lab = Lab::with(|plan| plan.engine.startup = Duration::from_millis(300)).await;
    let first = lab.ask(super::on_approval(restart("storage", &[], 3).unwrap())).await;
    lab.ada.reaches(&first, &[RequestState::Running]).await.unwrap();
    let second = lab.ask(super::on_approval(scale("storage", 3, 4).unwrap())).await;
    lab.ada.reaches(&second, &[RequestState::Approved, RequestState::Running]).await.unwrap();
    let behind = lab.operation(&second).await;
    assert!(behind.queued_behind > 0 || behind.started_ms > 0, "{behind:?}");
    assert_eq!(lab.over(&first).await.state, RequestState::Succeeded);
    assert_eq!(lab.over(&second).await.state, RequestState::Succeeded);
    let (one, two) = (lab.operation(&first).await, lab.operation(&second).await);
    assert!(two.started_ms >= one.ended_ms, "{one:?} {two:?}");
}

#[tokio::test]
async fn a_bundle_is_made_of_what_was_listed() {
    let lab = Lab::start().await;
    let (submitted, outcome) = lab.run(debug(&["status", "engine"]).unwrap()).await;
    assert_eq!(outcome.state, RequestState::Succeeded, "{outcome:?}");
    let bundle = lab.bundle(&submitted).await;
    assert!(!bundle.released && bundle.files.len() >= 2, "{bundle:?}");
}
