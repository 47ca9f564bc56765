//! What was asked and answered outlives restarts of either side, in each state.

use tunnel_integration::harness::operator::access_to;
use tunnel_protos::v1::RequestState;

use super::{Lab, RESTART};

#[tokio::test]
async fn a_pending_request_outlives_restarts_of_broker_and_client() {
    let mut lab = Lab::start().await;
    let submitted = lab.ask().await;
    lab.world.stop_client().await.unwrap();
    lab.world.drain_broker().await.unwrap();
    lab.world.start_broker().await.unwrap();
    lab.world.start_client().await.unwrap();
    lab.world.online().await.unwrap();
    assert_eq!(lab.approve_by_key(&submitted).await.code, Some(0));
    lab.ada = lab.world.operator("ada").unwrap();
    lab.state(&submitted, RequestState::Approved).await;
}

#[tokio::test]
async fn an_answer_given_while_the_broker_is_away_is_told_later() {
    let mut lab = Lab::start().await;
    let submitted = lab.ask().await;
    lab.world.drain_broker().await.unwrap();
    assert_eq!(lab.approve_by_key(&submitted).await.code, Some(0));
    lab.world.stop_client().await.unwrap();
    lab.world.start_broker().await.unwrap();
    lab.world.start_client().await.unwrap();
    lab.world.online().await.unwrap();
    lab.ada = lab.world.operator("ada").unwrap();
    lab.state(&submitted, RequestState::Approved).await;
    lab.restart(&submitted).await.unwrap();
}

#[tokio::test]
async fn a_request_made_while_the_cluster_is_offline_waits_for_its_approver_later() {
    let (plan, key, keys) = Lab::plan().await;
    let mut lab = Lab::of(plan.start_offline().await.unwrap(), key, keys);
    let cluster = lab.world.cluster();
    let submitted = lab.ada.ask(&cluster, access_to(&[RESTART]).unwrap()).await.unwrap();
    lab.world.start_client().await.unwrap();
    lab.state(&submitted, RequestState::Pending).await;
    assert_eq!(lab.approve_by_key(&submitted).await.code, Some(0));
    lab.state(&submitted, RequestState::Approved).await;
}

#[tokio::test]
async fn a_no_outlives_a_restart_of_the_client() {
    let mut lab = Lab::start().await;
    let submitted = lab.ask().await;
    assert_eq!(lab.deny(&submitted).await.code, Some(0));
    lab.world.stop_client().await.unwrap();
    lab.world.start_client().await.unwrap();
    lab.world.online().await.unwrap();
    assert_eq!(lab.approve_by_key(&submitted).await.code, Some(3));
    lab.state(&submitted, RequestState::Denied).await;
}
