//! A bad engine behind the gate: whatever it does, its caller gets a clear status in time and nothing is left over.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::{task::JoinSet, time::timeout};
use tonic::{Code, Status, transport::Channel};
use tunnel_integration::{
    generated::admin::v1::{
        EchoRequest, HeadersRequest, HugeRequest, admin_client::AdminClient, faults_client::FaultsClient,
    },
    harness::{
        PATIENCE,
        operator::Pass,
        wait::until,
        world::{Plan, World},
    },
    reference_engine::{BadEngine, WireFault},
};

use crate::children::Children;

const METHODS: &[&str] = &["engine.admin.v1.Admin/Echo", "engine.admin.v1.Faults/*"];
const ECHO: &str = "engine.admin.v1.Admin/Echo";
/// Soon enough to be "at once" on a busy machine, far below any time limit of the gate.
const AT_ONCE: Duration = Duration::from_secs(5);

async fn behind_gate(fault: WireFault) -> (World, Pass, BadEngine) {
    let engine = BadEngine::spawn(fault).await.unwrap();
    let mut plan = Plan::new().unwrap();
    plan.client.endpoints = vec![("default".to_owned(), format!("http://{}", engine.address()))];
    let world = plan.start().await.unwrap();
    let pass = world.pass(METHODS).await.unwrap();
    (world, pass, engine)
}

async fn echo(channel: Channel) -> Result<(), Status> {
    let call = AdminClient::new(channel).echo(EchoRequest { payload: "hello".into() }).await;
    call.map(drop)
}

/// A refusal that comes within `limit`.
async fn refused(channel: Channel, limit: Duration) -> Status {
    timeout(limit, echo(channel)).await.expect("no hang").expect_err("no good answer")
}

/// What the gate itself says of a call with a deadline: no clock of a gRPC library beside it.
async fn status_of_gate(pass: &Pass, method: &str, deadline: &str) -> Status {
    let stream = pass.peer().unwrap().connect().await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { drop(connection.await) });
    let request = Request::post(format!("https://{}/{method}", pass.host))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", deadline);
    let mut send = send.ready().await.unwrap();
    let (response, mut body) = send.send_request(request.body(()).unwrap(), false).unwrap();
    body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
    let response = timeout(AT_ONCE, response).await.expect("no hang").unwrap();
    Status::from_header_map(response.headers()).expect("a status")
}

/// Sessions end with their channels, whatever the engine did.
async fn nothing_left(world: &World) {
    until("no session is left", PATIENCE, || async {
        let open = world.approver().status().await?.sessions_open;
        anyhow::ensure!(open == 0, "{open} open");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_engine_that_is_down_is_told_at_once_with_what_to_do() {
    let mut world = World::start().await.unwrap();
    let pass = world.pass(METHODS).await.unwrap();
    world.stop_engine().await.unwrap();
    let status = refused(pass.channel().unwrap(), AT_ONCE).await;
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.message().contains("tunnelctl clusters"), "says what to do: {}", status.message());
    nothing_left(&world).await;
}

#[tokio::test]
async fn a_hanging_engine_runs_into_the_callers_deadline() {
    let (world, pass, _engine) = behind_gate(WireFault::Silence).await;
    let status = status_of_gate(&pass, ECHO, "300m").await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    nothing_left(&world).await;
}

#[tokio::test]
async fn a_hanging_method_runs_into_the_callers_deadline() {
    let world = World::start().await.unwrap();
    let pass = world.pass(METHODS).await.unwrap();
    let status = status_of_gate(&pass, "engine.admin.v1.Faults/Hang", "300m").await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    nothing_left(&world).await;
}

#[tokio::test]
async fn a_hanging_engine_is_given_up_without_any_deadline() {
    let (world, pass, _engine) = behind_gate(WireFault::Silence).await;
    let status = refused(pass.channel().unwrap(), PATIENCE).await;
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    nothing_left(&world).await;
}

#[tokio::test]
async fn a_message_of_100_mb_streams_through_without_filling_memory() {
    let children = Children::start(Plan::new().unwrap()).await;
    let pass = children.world.pass(METHODS).await.unwrap();
    let channel = pass.channel().unwrap();
    echo(channel.clone()).await.unwrap();
    let before = children.memory();
    let mut faults = FaultsClient::new(channel).max_decoding_message_size(128 << 20);
    let huge = timeout(Duration::from_secs(60), faults.huge(HugeRequest { bytes: HUGE })).await;
    let huge = huge.expect("no hang").unwrap().into_inner();
    assert_eq!(huge.filler.len(), HUGE as usize);
    children.grew_less_than(MOST_GROWTH_KIB, &before);
}

#[tokio::test]
async fn huge_headers_are_refused_and_the_session_goes_on() {
    let world = World::start().await.unwrap();
    let pass = world.pass(METHODS).await.unwrap();
    let channel = pass.channel().unwrap();
    let call = FaultsClient::new(channel.clone()).headers(HeadersRequest { bytes: 1 << 20 }).await;
    let status = call.expect_err("no good answer");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.message().contains("engine"), "{status:?}");
    echo(channel).await.unwrap();
}

#[tokio::test]
async fn endless_headers_are_cut_with_a_clear_error() {
    let (world, pass, engine) = behind_gate(WireFault::EndlessHeaders).await;
    let status = refused(pass.channel().unwrap(), AT_ONCE).await;
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.message().contains("engine"), "{status:?}");
    assert!(engine.sent() < MOST_HEADERS, "{} bytes were taken", engine.sent());
    nothing_left(&world).await;
}

#[tokio::test]
async fn endless_resets_end_the_call_and_not_the_client() {
    let (world, pass, _engine) = behind_gate(WireFault::Resets).await;
    for _ in 0..3 {
        let status = refused(pass.channel().unwrap(), AT_ONCE).await;
        assert!(matches!(status.code(), Code::Internal | Code::Unavailable), "{status:?}");
    }
    world.pass(METHODS).await.expect("requests are still answered");
    nothing_left(&world).await;
}

#[tokio::test]
async fn what_never_ends_is_counted_and_fills_no_memory() {
    for (fault, told) in NEVER_ENDING {
        let engine = BadEngine::spawn(fault).await.unwrap();
        let mut plan = Plan::new().unwrap();
        plan.client.endpoints = vec![("default".to_owned(), format!("http://{}", engine.address()))];
        let children = Children::start(plan).await;
        let pass = children.world.pass(METHODS).await.unwrap();
        let before = children.memory();
        for _ in 0..10 {
            refused(pass.channel().unwrap(), AT_ONCE).await;
        }
        let calls = children.client_metrics("postern_client_calls_total").await;
        let refusals = children.client_metrics("postern_client_refusals_total").await;
        let faults = children.client_metrics("postern_client_engine_faults_total").await;
        assert!(faults.iter().any(|line| line.ends_with(r#"kind="call"} 10"#)), "{fault:?}: {faults:?}");
        let counted = calls.iter().chain(&refusals).any(|line| line.ends_with(told));
        assert!(counted, "{fault:?}: {calls:?} {refusals:?}");
        children.grew_less_than(MOST_GROWTH_KIB, &before);
    }
}

#[tokio::test]
async fn garbage_and_closed_connections_are_told_as_the_engines_fault() {
    for fault in [WireFault::Garbage, WireFault::Close] {
        let (world, pass, _engine) = behind_gate(fault).await;
        let status = refused(pass.channel().unwrap(), AT_ONCE).await;
        assert_eq!(status.code(), Code::Unavailable, "{fault:?}: {status:?}");
        assert!(status.message().contains("engine"), "{fault:?}: {status:?}");
        nothing_left(&world).await;
    }
}

/// Faults, and what the client's metrics say of ten calls that met one.
const NEVER_ENDING: [(WireFault, &str); 2] = [
    (WireFault::EndlessHeaders, r#"reason="ENGINE_FLOOD"} 10"#),
    (WireFault::Resets, r#"class="read",code="INTERNAL"} 10"#),
];
const HUGE: u32 = 100_000_000;
/// Windows, buffers and the allocator's slack; far below the message.
const MOST_GROWTH_KIB: u64 = 64 << 10;
/// What sockets hold, and what the gate reads before it refuses.
const MOST_HEADERS: u64 = 64 << 20;
