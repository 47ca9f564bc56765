//! What a grant does not cover is refused at the gate, with the reason and what to do about it.

use tonic::Code;
use tonic::transport::Channel;
use tunnel_integration::{
    generated::admin::v1::{GetStatusRequest, UpgradeRequest, admin_client::AdminClient},
    harness::world::World,
};
use tunnel_protos::v1::RequestState;

const STATUS: &str = "engine.admin.v1.Admin/GetStatus";

async fn admin(world: &World) -> AdminClient<Channel> {
    AdminClient::new(world.pass(&[STATUS]).await.unwrap().channel().unwrap())
}

#[tokio::test]
async fn a_method_outside_the_grant_is_refused_and_never_reaches_the_engine() {
    let world = World::start().await.unwrap();
    let mut admin = admin(&world).await;
    let upgrade =
        UpgradeRequest { component: "storage".to_owned(), release: "9.9.9".to_owned(), ..Default::default() };
    let status = admin.upgrade(upgrade).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    assert!(status.message().contains("tunnelctl"), "says what to do: {}", status.message());
    let told = admin.get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert_ne!(told.release, "9.9.9");
}

#[tokio::test]
async fn what_the_policy_denies_is_denied_in_the_outcome() {
    let world = World::start().await.unwrap();
    let operator = world.operator("ada").unwrap();
    let asked = operator.access(&world.cluster(), &["engine.admin.v1.Admin/Upgrade"]).await;
    let (_, outcome) = asked.unwrap();
    assert_eq!(outcome.state, RequestState::Denied, "{outcome:?}");
    assert!(!outcome.reason.is_empty());
}

#[tokio::test]
async fn without_a_policy_everything_is_denied() {
    let mut plan = tunnel_integration::harness::world::Plan::new().unwrap();
    "version: 1\naccess: []\n".clone_into(&mut plan.client.policy);
    let world = plan.start().await.unwrap();
    let operator = world.operator("ada").unwrap();
    let (_, outcome) = operator.access(&world.cluster(), &[STATUS]).await.unwrap();
    assert_eq!(outcome.state, RequestState::Denied, "{outcome:?}");
}

#[tokio::test]
async fn a_manual_method_stays_pending_and_gives_no_certificate() {
    let world = World::start().await.unwrap();
    let operator = world.operator("ada").unwrap();
    let kind = tunnel_integration::harness::operator::access_to(&["engine.admin.v1.Admin/Restart"]).unwrap();
    let submitted = operator.ask(&world.cluster(), kind).await.unwrap();
    let outcome = operator.outcome(&submitted, |_| true).await.unwrap();
    assert_eq!(outcome.state, RequestState::Pending, "{outcome:?}");
    let refused = operator.certificate(&world.cluster(), submitted.request.id.into()).await;
    let error = refused.err().expect("no certificate under a pending request").to_string();
    assert!(error.contains("Denied"), "{error}");
}

#[tokio::test]
async fn a_policy_made_stricter_refuses_new_calls_of_a_live_grant() {
    let world = World::start().await.unwrap();
    let mut admin = admin(&world).await;
    admin.get_status(GetStatusRequest {}).await.unwrap();
    let policy = world.client_settings.folder.join("policy.yaml");
    std::fs::write(&policy, "version: 1\naccess: []\n").unwrap();
    let refused = tunnel_integration::harness::wait::until(
        "the stricter policy applies",
        tunnel_integration::harness::PATIENCE,
        || {
            let mut admin = admin.clone();
            async move { admin.get_status(GetStatusRequest {}).await.err().ok_or("still allowed") }
        },
    );
    let status = refused.await.unwrap();
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
}
