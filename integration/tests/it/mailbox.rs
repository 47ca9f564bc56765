//! Requests that nobody is there to answer yet.

use tunnel_integration::harness::{
    operator::access_to,
    world::{Plan, World},
};
use tunnel_protos::v1::RequestState;

const STATUS: &str = "engine.admin.v1.Admin/GetStatus";

#[tokio::test]
async fn a_request_made_while_the_cluster_is_offline_is_answered_later() {
    let mut world = Plan::new().unwrap().start_offline().await.unwrap();
    let operator = world.operator("ada").unwrap();
    let submitted = operator.ask(&world.cluster(), access_to(&[STATUS]).unwrap()).await.unwrap();
    world.start_client().await.unwrap();
    let outcome = operator.outcome(&submitted, |_| true).await.unwrap();
    assert_eq!(outcome.state, RequestState::Approved, "{outcome:?}");
}

#[tokio::test]
async fn a_request_outlives_a_restart_of_the_broker() {
    let mut world = Plan::new().unwrap().start_offline().await.unwrap();
    let operator = world.operator("ada").unwrap();
    let submitted = operator.ask(&world.cluster(), access_to(&[STATUS]).unwrap()).await.unwrap();
    assert!(world.drain_broker().await.unwrap());
    world.start_broker().await.unwrap();
    world.start_client().await.unwrap();
    let operator = world.operator("ada").unwrap();
    let outcome = operator.outcome(&submitted, |_| true).await.unwrap();
    assert_eq!(outcome.state, RequestState::Approved, "{outcome:?}");
}

#[tokio::test]
async fn only_the_operator_that_submitted_a_request_may_watch_it() {
    let world = World::start().await.unwrap();
    let (ada, eve) = (world.operator("ada").unwrap(), world.operator("eve").unwrap());
    let submitted = ada.ask(&world.cluster(), access_to(&[STATUS]).unwrap()).await.unwrap();
    assert!(eve.outcome(&submitted, |_| true).await.is_err());
    ada.outcome(&submitted, |_| true).await.unwrap();
}
