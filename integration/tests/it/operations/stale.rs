//! The world moves on between plan and run: nothing runs by an old plan.

use tunnel_integration::{
    generated::admin::v1::{ScaleRequest, UpgradeRequest},
    harness::operation::{on_approval, on_call, scale},
};
use tunnel_protos::{operations::v1::StartRequest, v1::RequestState};

use super::{Lab, plan_digest, sentence};

#[tokio::test]
async fn a_plan_that_is_stale_is_made_again_and_asked_for_again() {
    let lab = Lab::start().await;
    let submitted = lab.ask(on_approval(lab.upgrade("1.0.0", "1.1.0", 2))).await;
    let first = lab.planned(&submitted).await;
    // Another node: the same release, but another plan.
    let more = ScaleRequest { component: "storage".to_owned(), replicas: 4 };
    lab.engine().scale(more).await.unwrap();
    lab.approve(&submitted, &first).await.unwrap();
    let second = lab
        .view(&submitted, "it is planned anew", |view| {
            view.state() == RequestState::Pending && plan_digest(view) != plan_digest(&first)
        })
        .await;
    assert!(lab.storage().await.iter().all(|(release, _)| release == "1.0.0"), "nothing was done");
    let refused = lab.approve(&submitted, &first).await.unwrap_err();
    sentence(refused.message(), &["plan"]);
    lab.approve(&submitted, &second).await.unwrap();
    assert_eq!(lab.over(&submitted).await.state, RequestState::Succeeded);
    let upgraded = vec![("1.1.0".to_owned(), 1); 4];
    assert_eq!(lab.storage().await, upgraded);
}

#[tokio::test]
async fn what_is_not_as_the_operator_expected_any_more_is_not_run() {
    let lab = Lab::start().await;
    let submitted = lab.ask(on_approval(lab.upgrade("1.0.0", "1.1.0", 2))).await;
    let view = lab.planned(&submitted).await;
    let other =
        UpgradeRequest { component: "storage".to_owned(), release: "1.0.5".to_owned(), ..Default::default() };
    lab.engine().upgrade(other).await.unwrap();
    lab.approve(&submitted, &view).await.unwrap();
    let (outcome, customers) = lab.over_for_both(&submitted).await;
    assert!(matches!(outcome.state, RequestState::Denied | RequestState::Failed), "{outcome:?}");
    sentence(&customers, &["1.0.5"]);
    assert!(lab.storage().await.iter().all(|(release, _)| release == "1.0.5"));
}

#[tokio::test]
async fn what_the_policy_approved_by_itself_is_decided_again() {
    let lab = Lab::start().await;
    let submitted = lab.ask(on_call(scale("storage", 3, 4).unwrap())).await;
    lab.ada.reaches(&submitted, &[RequestState::Approved]).await.unwrap();
    let session = lab.session(&submitted).await;
    let more = ScaleRequest { component: "storage".to_owned(), replicas: 5 };
    lab.engine().scale(more).await.unwrap();
    let _ = session.api().start(StartRequest {}).await;
    let (outcome, customers) = lab.over_for_both(&submitted).await;
    assert!(matches!(outcome.state, RequestState::Denied | RequestState::Failed), "{outcome:?}");
    sentence(&customers, &["5"]);
    assert_eq!(lab.storage().await.len(), 5);
}
