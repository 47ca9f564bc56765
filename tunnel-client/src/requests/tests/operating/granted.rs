//! The grant of an operation: what it holds, and for how long its operator may look.

use tunnel_protos::{
    TargetName,
    operations::v1::{Bundle, BundleFile},
};

use super::*;
use crate::gate::grants::{Level, Life};

/// Short names of what the grant lets through.
fn methods(house: &House, sent: &Sent) -> Vec<String> {
    let grant = house.grant(sent).unwrap();
    assert_eq!(grant.grant().doors.keys().map(TargetName::as_str).collect::<Vec<_>>(), ["operations"]);
    let own = |name: &str| name.strip_prefix("postern.operations.v1.Operations/").map(str::to_owned).unwrap();
    grant.grant().methods.keys().map(|method| own(method.as_str())).collect()
}

async fn certified(house: &House, sent: &Sent) -> RequestState {
    let ann = house.operator("ann");
    house.ask(&ann.certificate(sent.request.id.into(), house.wall.now())).await
}

#[tokio::test]
async fn the_grant_of_an_operation_leads_to_it_alone() {
    let mut house = house().await;
    let (sent, _) = house.running().await;
    assert_eq!(methods(&house, &sent), ["Cancel", "FetchBundle", "Get", "Start", "Watch"]);
    let grant = house.grant(&sent).unwrap();
    assert!(grant.grant().methods.values().all(|level| *level == Level::Auto));
    assert_eq!(grant.grant().operation.as_ref().unwrap().asked, task("compact"));
    let (manual, planned) = house.plan(&on_call("reindex")).await;
    house.yes(&manual, &planned, alice()).await.unwrap();
    let grant = house.grant(&manual).unwrap();
    assert!(grant.grant().methods.values().all(|level| *level == Level::Manual));
}

#[tokio::test]
async fn a_dry_run_is_looked_at_and_never_begun() {
    let mut house = house().await;
    let (sent, _) = house.plan(&Operation { dry_run: true, ..task("compact") }).await;
    house.settle().await;
    assert_eq!(house.state(&sent), RequestState::Approved);
    assert_eq!(methods(&house, &sent), ["Get"]);
    let Err(Refused::NotNow(why)) = start(&house, &sent).await else { panic!("it began") };
    assert!(why.contains("dry run"), "{why}");
    assert_eq!(certified(&house, &sent).await, RequestState::Done);
    assert_eq!(house.state(&sent), RequestState::Active);
    assert!(start(&house, &sent).await.is_err());
    assert!(Office::operation(&house.requests, &sent.request.id).unwrap().plan.is_some());
    house.pass(HOUR / 2).await;
    assert_eq!(house.state(&sent), RequestState::Ended);
    assert!(house.hands.ordered().is_empty());
    let (manual, _) = house.plan(&Operation { dry_run: true, ..task("reindex") }).await;
    assert_eq!(house.state(&manual), RequestState::Pending, "decided like what it would do");
}

#[tokio::test]
async fn one_that_waits_for_its_operator_begins_when_told_and_once() {
    let mut house = house().await;
    let (sent, planned) = house.plan(&on_call("compact")).await;
    house.settle().await;
    assert_eq!(house.state(&sent), RequestState::Approved);
    assert!(house.hands.ordered().is_empty());
    assert_eq!(certified(&house, &sent).await, RequestState::Done);
    assert_eq!(house.state(&sent), RequestState::Approved);
    start(&house, &sent).await.unwrap();
    start(&house, &sent).await.unwrap();
    assert_eq!(house.state(&sent), RequestState::Running);
    let [order] = &house.hands.ordered()[..] else { panic!("one order") };
    assert_eq!(order.planned, planned);
}

#[tokio::test]
async fn one_that_nobody_begins_expires() {
    let mut house = house().await;
    let (unused, _) = house.plan(&on_call("compact")).await;
    let (used, _) = house.plan(&on_call("compact")).await;
    assert_eq!(certified(&house, &used).await, RequestState::Done);
    house.pass(HOUR / 2).await;
    for sent in [&unused, &used] {
        assert_eq!(house.state(sent), RequestState::Expired);
        assert!(start(&house, sent).await.is_err());
    }
    assert!(house.hands.ordered().is_empty());
}

#[tokio::test]
async fn an_operation_is_looked_at_until_its_work_window_ends_wherever_it_stands() {
    let mut house = house().await;
    let (sent, _) = house.running().await;
    assert_eq!(certified(&house, &sent).await, RequestState::Done);
    let until = NOW.plus(HOUR / 2);
    assert_eq!(house.outcome(&sent).unwrap().deadlines.work_until_ms, until.0);
    assert_eq!(house.grant(&sent).unwrap().life(), Life::Active { until });
    house.moved(&sent, RunState::Failed).await;
    assert_eq!(house.grant(&sent).unwrap().life(), Life::Active { until });
    assert_eq!(certified(&house, &sent).await, RequestState::Done);
    house.pass(HOUR / 2).await;
    assert_eq!(certified(&house, &sent).await, RequestState::Denied);
    assert_eq!(house.state(&sent), RequestState::Failed);
}

#[tokio::test]
async fn a_run_that_nobody_looks_at_goes_on_and_can_be_looked_at_after_its_end() {
    let mut house = house().await;
    let (sent, _) = house.running().await;
    house.pass(3 * HOUR).await;
    assert_eq!(house.state(&sent), RequestState::Running);
    house.moved(&sent, RunState::Succeeded).await;
    house.pass(MINUTE).await;
    assert_eq!(certified(&house, &sent).await, RequestState::Done);
    let (late, _) = house.running().await;
    house.moved(&late, RunState::Succeeded).await;
    house.pass(HOUR / 2).await;
    assert_eq!(certified(&house, &late).await, RequestState::Denied);
}

#[tokio::test]
async fn nobody_looks_at_what_is_not_approved() {
    let mut house = house().await;
    let (pending, planned) = house.plan(&task("reindex")).await;
    assert_eq!(certified(&house, &pending).await, RequestState::Denied);
    house.yes(&pending, &planned, alice()).await.unwrap();
    assert_eq!(certified(&house, &pending).await, RequestState::Done);
    let door = house.grant(&pending).unwrap().grant().doors.clone();
    house.say(Word::Stale(pending.request.id, Ok(plan(&task("reindex"), "second")))).await;
    assert_eq!(house.grant(&pending).unwrap().life(), Life::Waiting);
    assert_eq!(certified(&house, &pending).await, RequestState::Denied);
    house.yes(&pending, &plan(&task("reindex"), "second"), alice()).await.unwrap();
    assert!(matches!(house.grant(&pending).unwrap().life(), Life::Active { .. }));
    assert_eq!(house.grant(&pending).unwrap().grant().doors, door);
    assert_eq!(certified(&house, &pending).await, RequestState::Done);
}

#[tokio::test]
async fn a_stricter_policy_keeps_it_from_beginning_and_from_being_looked_at() {
    let mut house = house().await;
    let (sent, _) = house.plan(&on_call("compact")).await;
    house.set_policy(&OPERATIONS.replace("compact: auto", "compact: manual"));
    let Err(Refused::NotNow(why)) = start(&house, &sent).await else { panic!("it began") };
    assert!(why.contains("approvals.runTask.compact"), "{why}");
    assert_eq!(certified(&house, &sent).await, RequestState::Denied);
    let view = house.requests.view(&sent.request.id).unwrap();
    assert!(view.state_reason.contains("today's policy refuses the operation"), "{}", view.state_reason);
    let (manual, planned) = house.plan(&task("reindex")).await;
    house.set_policy(&OPERATIONS.replace("reindex: manual", "reindex: deny"));
    assert!(matches!(house.yes(&manual, &planned, alice()).await, Err(AnswerError::Policy(_))));
}

#[tokio::test]
async fn no_access_request_reaches_what_is_ours() {
    let house = House::new().await;
    house.set_policy(
        "version: 1\naccess:\n  - { methods: [\"postern.operations.v1.Operations/*\"], approval: auto }\n  \
         - { methods: [\"postern.operations.v1.Operations/Start\"], approval: auto, raw: true }\n  \
         - { methods: [\"e.Admin/Get\"], approval: auto }\n",
    );
    let ann = house.operator("ann");
    for methods in ["postern.operations.v1.Operations/Start", "postern.operations.v1.Operations/*"] {
        for raw in [false, true] {
            let mut asked = ann.request(super::super::house::access(&[methods], &["default"]), NOW);
            if let Kind::Access(access) = &mut asked.0.kind {
                access.raw = raw;
            }
            assert_eq!(house.ask(&ann.send(asked)).await, RequestState::Denied);
        }
    }
    let target = ann.send(ann.request(super::super::house::access(&["e.Admin/Get"], &["operations"]), NOW));
    assert_eq!(house.ask(&target).await, RequestState::Denied);
}

#[tokio::test]
async fn an_operator_sees_of_a_held_bundle_only_that_it_is_there() {
    let mut house = house().await;
    let (sent, _) = house.running().await;
    let file = BundleFile { path: "info/default.json".to_owned(), bytes: 9, ..BundleFile::default() };
    let held = Bundle { digest: vec![7; 32], bytes: 99, files: vec![file], ..Bundle::default() };
    house.hands.keep(held.clone());
    let seen = |house: &House| Office::operation(&house.requests, &sent.request.id).unwrap().bundle;
    assert_eq!(seen(&house), Some(Bundle::default()));
    let shown = house.requests.view(&sent.request.id).unwrap().running.unwrap();
    assert_eq!(shown.bundle, Some(held.clone()));
    let released = Bundle { released: true, ..held };
    house.hands.keep(released.clone());
    assert_eq!(seen(&house), Some(released));
}
