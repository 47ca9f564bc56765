//! Everything that stops at once: pause, and an operator that is denied. What ends it needs an approver.

use tonic::Code;
use tunnel_integration::{
    generated::admin::v1::{GetStatusRequest, admin_client::AdminClient},
    harness::{PATIENCE, operator::Pass, wait::until},
};
use tunnel_protos::v1::RequestState;

use super::Lab;
use crate::{children::Children, cutting::stalled};

const STATUS: &str = "engine.admin.v1.Admin/GetStatus";
const STALL: &str = "engine.admin.v1.Faults/Stall";

async fn call(pass: &Pass) -> Result<(), Code> {
    let mut admin = AdminClient::new(pass.channel().unwrap());
    admin.get_status(GetStatusRequest {}).await.map(drop).map_err(|status| status.code())
}

#[tokio::test]
async fn a_pause_outlives_kill_9_and_only_an_approver_ends_it() {
    let (plan, key, keys) = Lab::plan().await;
    let Children { world, broker: _broker, mut client } = Children::start(plan).await;
    let lab = Lab::of(world, key, keys);
    let pass = lab.world.pass(&[STATUS, STALL]).await.unwrap();
    let mut stream = stalled(pass.channel().unwrap()).await;
    let paused = lab.customer.ask(&["pause", "--note", "something is odd"]).await.unwrap();
    assert!(stream.message().await.is_err(), "the stream is cut");
    assert_eq!(call(&pass).await, Err(Code::FailedPrecondition));
    client.kill().await.unwrap();
    let mut client = lab.world.client_settings.spawn(&[]).unwrap();
    lab.world.client_settings.attached(&mut client).await.unwrap();
    until("the gate is back", PATIENCE, || async {
        let answered = call(&pass).await;
        if answered == Err(Code::FailedPrecondition) { Ok(()) } else { Err(format!("{answered:?}")) }
    })
    .await
    .unwrap();
    let pause = paused["id"].as_str().unwrap();
    let refused = lab.customer.run(&["resume", pause]).await.unwrap();
    assert_eq!(refused.code, Some(3), "{refused:?}");
    let key = lab.key.file.display().to_string();
    lab.customer.ask(&["resume", pause, "--key", &key]).await.unwrap();
    assert_eq!(call(&pass).await, Ok(()));
}

#[tokio::test]
async fn what_is_asked_during_a_pause_waits() {
    let lab = Lab::start().await;
    let paused = lab.customer.ask(&["pause"]).await.unwrap();
    let cluster = lab.world.cluster();
    let submitted = lab.ada.ask(&cluster, super::access_to(&[STATUS]).unwrap()).await.unwrap();
    lab.state(&submitted, RequestState::Pending).await;
    let key = lab.key.file.display().to_string();
    lab.customer.ask(&["resume", paused["id"].as_str().unwrap(), "--key", &key]).await.unwrap();
}

#[tokio::test]
async fn a_denied_operator_is_cut_and_refused_until_an_approver_allows_it() {
    let lab = Lab::start().await;
    let pass = lab.world.pass(&[STATUS, STALL]).await.unwrap();
    let mut stream = stalled(pass.channel().unwrap()).await;
    lab.customer.ask(&["operators", "deny", "ada", "--note", "left the company"]).await.unwrap();
    assert!(stream.message().await.is_err(), "the stream is cut");
    assert_eq!(call(&pass).await, Err(Code::Unauthenticated));
    let (_, outcome) = lab.ada.access(&lab.world.cluster(), &[STATUS]).await.unwrap();
    assert_eq!(outcome.state, RequestState::Denied, "{outcome:?}");
    let refused = lab.customer.run(&["operators", "allow", "ada"]).await.unwrap();
    assert_eq!(refused.code, Some(3), "{refused:?}");
    let key = lab.key.file.display().to_string();
    lab.customer.ask(&["operators", "allow", "ada", "--key", &key]).await.unwrap();
    lab.world.pass(&[STATUS]).await.unwrap();
    assert_eq!(call(&pass).await, Err(Code::Unauthenticated), "what was revoked stays so");
}
