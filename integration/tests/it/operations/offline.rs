//! Operations asked for while the cluster is offline.

use tunnel_integration::harness::operation::{on_approval, scale, upgrade};
use tunnel_protos::v1::RequestState;

use super::Lab;

#[tokio::test]
async fn what_was_asked_while_the_cluster_was_offline_is_planned_and_run_once_it_is_back() {
    let (plan, key, keys) = Lab::plan().await;
    let mut lab = Lab::of(plan.start_offline().await.unwrap(), key, keys);
    let scaled = lab.ask(on_approval(scale("storage", 3, 4).unwrap())).await;
    // Of another component: a plan for one that is scaled meanwhile would be stale.
    let release = lab.release("query", "1.1.0", 2);
    let upgraded = lab.ask(on_approval(upgrade("query", "1.0.0", release).unwrap())).await;
    lab.world.start_client().await.unwrap();
    assert_eq!(lab.over(&scaled).await.state, RequestState::Succeeded);
    assert_eq!(lab.storage().await.len(), 4);
    let view = lab.planned(&upgraded).await;
    lab.approve(&upgraded, &view).await.unwrap();
    assert_eq!(lab.over(&upgraded).await.state, RequestState::Succeeded);
    let nodes = lab.status().await.nodes;
    assert!(nodes.iter().filter(|node| node.component == "query").all(|node| node.release == "1.1.0"));
}

#[tokio::test]
async fn what_runs_while_the_broker_is_away_is_told_later() {
    let mut lab = Lab::start().await;
    let submitted = lab.ask(on_approval(lab.upgrade("1.0.0", "1.1.0", 2))).await;
    let view = lab.planned(&submitted).await;
    lab.world.drain_broker().await.unwrap();
    lab.approve(&submitted, &view).await.unwrap();
    lab.view(&submitted, "it is done", |view| view.state() == RequestState::Succeeded).await;
    lab.world.start_broker().await.unwrap();
    lab.world.stop_client().await.unwrap();
    lab.world.start_client().await.unwrap();
    lab.world.online().await.unwrap();
    lab.ada = lab.world.operator("ada").unwrap();
    assert_eq!(lab.over(&submitted).await.state, RequestState::Succeeded);
}
