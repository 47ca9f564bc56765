//! What stops a run before its next step: a pause of the customer, and a cancel of either side.

use std::time::Duration;

use tunnel_certs::statement::approval::{Answer, Subject};
use tunnel_integration::harness::{
    operation::{on_approval, restart},
    operator::Submitted,
};
use tunnel_protos::{
    approvers::{AnswerRequest, CancelOperationRequest},
    operations::v1::{CancelRequest, StepState},
    v1::RequestState,
};

use super::Lab;

/// A restart of three nodes that take their time, the first of them at work.
pub(super) async fn running(lab: &Lab) -> Submitted {
    let submitted = lab.ask(on_approval(restart("storage", &[], 3).unwrap())).await;
    lab.view(&submitted, "the first step is at work", |view| {
        view.running.as_ref().is_some_and(|running| {
            running.steps.first().is_some_and(|step| step.state() == StepState::Soaking)
        })
    })
    .await;
    submitted
}

/// A lab whose nodes take a second to start.
pub(super) async fn slow() -> Lab {
    Lab::with(|plan| plan.engine.startup = Duration::from_secs(1)).await
}

async fn restarts(lab: &Lab) -> Vec<u32> {
    lab.storage().await.into_iter().map(|(_, restarts)| restarts).collect()
}

#[tokio::test]
async fn a_pause_stops_before_the_next_step_until_an_approver_ends_it() {
    let lab = slow().await;
    let submitted = running(&lab).await;
    let paused = lab.world.approver().pause().await.unwrap();
    lab.view(&submitted, "the step is done, and it says what it waits for", |view| {
        view.running.as_ref().is_some_and(|running| {
            running.steps[0].state() == StepState::Done && running.summary.contains("Paused by the customer")
        })
    })
    .await;
    assert_eq!(restarts(&lab).await, [1, 0, 0]);
    lab.resume(&paused.id).await;
    assert_eq!(lab.over(&submitted).await.state, RequestState::Succeeded);
    assert_eq!(restarts(&lab).await, [1, 1, 1]);
}

#[tokio::test]
async fn the_operator_cancels_a_run() {
    let lab = slow().await;
    let submitted = running(&lab).await;
    lab.session(&submitted).await.api().cancel(CancelRequest {}).await.unwrap();
    assert_eq!(lab.over(&submitted).await.state, RequestState::Cancelled);
    assert_eq!(restarts(&lab).await, [1, 0, 0]);
}

#[tokio::test]
async fn the_customer_cancels_a_run() {
    let lab = slow().await;
    let submitted = running(&lab).await;
    let id = submitted.request.id.to_string();
    let cancel = CancelOperationRequest { id, note: "not tonight".to_owned() };
    lab.world.approver().bundles().cancel_operation(cancel).await.unwrap();
    assert_eq!(lab.over(&submitted).await.state, RequestState::Cancelled);
    assert_eq!(restarts(&lab).await, [1, 0, 0]);
}

#[tokio::test]
async fn a_revoke_cuts_the_operator_and_cancels_the_run() {
    let lab = slow().await;
    let submitted = running(&lab).await;
    let session = lab.session(&submitted).await;
    session.get().await.unwrap();
    lab.world.approver().revoke(&submitted.request.id.to_string()).await.unwrap();
    assert_eq!(session.get().await.unwrap_err().code(), tonic::Code::Unauthenticated);
    lab.view(&submitted, "it is cancelled", |view| {
        matches!(view.state(), RequestState::Cancelled | RequestState::Revoked)
    })
    .await;
    assert_eq!(restarts(&lab).await, [1, 0, 0]);
}

impl Lab {
    pub(super) async fn resume(&self, pause: &str) {
        let (label, subject) =
            (self.world.client_settings.label, Subject::Resume { pause: pause.parse().unwrap() });
        let approval = self.key.sign(label, subject).unwrap();
        self.world.approver().resume(pause, approval).await.unwrap();
    }
}

#[tokio::test]
async fn a_no_is_final() {
    let lab = Lab::start().await;
    let submitted = lab.ask(on_approval(lab.upgrade("1.0.0", "1.1.0", 2))).await;
    let view = lab.planned(&submitted).await;
    let request = AnswerRequest {
        id: submitted.request.id.to_string(),
        note: "not tonight".to_owned(),
        ..Default::default()
    };
    lab.world.approver().answer(request, Answer::No).await.unwrap();
    assert_eq!(lab.over(&submitted).await.state, RequestState::Denied);
    assert!(lab.approve(&submitted, &view).await.is_err());
}
