//! What an operator is told when something other than the grant stands in the way, through the whole product.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tunnel_integration::{
    generated::admin::v1::{
        EchoRequest, GetStatusRequest, ImportRequest, StallRequest, admin_client::AdminClient,
        faults_client::FaultsClient,
    },
    harness::{PATIENCE, operator::Pass, wait::until, world::World},
};
use tunnel_protos::v1::Health;

const STATUS: &str = "engine.admin.v1.Admin/GetStatus";
const ECHO: &str = "engine.admin.v1.Admin/Echo";
const IMPORT: &str = "engine.admin.v1.Admin/Import";
const STALL: &str = "engine.admin.v1.Faults/Stall";
const HANG: &str = "engine.admin.v1.Faults/Hang";

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// A call by a client that sends a deadline and does not keep it itself, as tonic's would.
async fn without_own_clock(pass: &Pass, method: &str, timeout: &str) -> Status {
    let stream = pass.peer().unwrap().connect().await.unwrap();
    let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
    let request = Request::post(format!("https://{}/{method}", pass.host))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", timeout)
        .body(())
        .unwrap();
    let (response, mut body) = send.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
    tokio::select! {
        response = response => Status::from_header_map(response.unwrap().headers()).expect("trailers alone"),
        ended = connection => panic!("no answer: {ended:?}"),
    }
}

#[tokio::test]
async fn a_deadline_that_passes_is_told_with_what_to_do() {
    let world = World::start().await.unwrap();
    let pass = world.pass(&[HANG]).await.unwrap();
    let status = without_own_clock(&pass, HANG, "300m").await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    assert!(status.message().contains("allow more time"), "{status:?}");
}

#[tokio::test]
async fn a_client_that_shuts_down_says_so_to_what_is_still_open() {
    let mut world = World::start().await.unwrap();
    let pass = world.pass(&[STALL]).await.unwrap();
    let mut faults = FaultsClient::new(pass.channel().unwrap());
    let mut stream = faults.stall(StallRequest {}).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    world.drain_client(Duration::from_millis(500)).await.unwrap();
    let status = stream.message().await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unavailable, "CLIENT_DRAINING"),
        "{status:?}"
    );
    assert!(status.message().contains("connect again"), "{status:?}");
}

#[tokio::test]
async fn without_an_audit_log_reads_pass_and_what_mutates_does_not() {
    let world = World::start().await.unwrap();
    let pass = world.pass(&[STATUS, ECHO, IMPORT]).await.unwrap();
    let mut admin = AdminClient::new(pass.channel().unwrap());
    let import = || tokio_stream::once(ImportRequest { data: vec![1].into(), discard: true });
    admin.import(import()).await.unwrap();
    let folder = world.client_settings.folder.join("state/audit");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "not a folder").unwrap();
    let refused = admin.import(import()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "AUDIT_UNWRITABLE"));
    assert!(refused.message().contains("tell the customer"), "{refused:?}");
    admin.get_status(GetStatusRequest {}).await.unwrap();
    admin.echo(EchoRequest { payload: vec![1; 1000].into() }).await.unwrap();
    let audit = world.approver().status().await.unwrap().audit.unwrap();
    assert!(!audit.error.is_empty(), "{audit:?}");
}

async fn health_is(world: &World, wanted: Health) {
    until("the engine's health shows", PATIENCE, || async {
        let status = world.approver().status().await?;
        anyhow::ensure!(status.pause.is_some(), "not paused");
        let health = status.targets.first().map(tunnel_protos::v1::TargetHealth::health);
        anyhow::ensure!(health == Some(wanted), "{health:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_pause_does_not_stop_looking_after_the_engine() {
    let mut world = World::start().await.unwrap();
    world.approver().pause().await.unwrap();
    health_is(&world, Health::Serving).await;
    world.stop_engine().await.unwrap();
    health_is(&world, Health::Unreachable).await;
}
