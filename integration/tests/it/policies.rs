//! The policy while the client runs: read again, kept when broken, obeyed when stricter; and its limits.

use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;
use tunnel_integration::{
    generated::admin::v1::{
        EchoRequest, GetStatusRequest, StallRequest, admin_client::AdminClient, faults_client::FaultsClient,
    },
    harness::{
        PATIENCE,
        operator::Pass,
        wait::until,
        world::{Plan, World},
    },
};

use crate::{children::Children, cutting::stalled};

const STATUS: &str = "engine.admin.v1.Admin/GetStatus";
const STALL: &str = "engine.admin.v1.Faults/Stall";
const ECHO: &str = "engine.admin.v1.Admin/Echo";

fn write(world: &World, policy: &str) {
    std::fs::write(world.client_settings.folder.join("policy.yaml"), policy).unwrap();
}

async fn limited(limits: &str, methods: &[&str]) -> (World, Pass) {
    let mut plan = Plan::new().unwrap();
    plan.client.policy = format!(
        "version: 1\naccess:\n  - methods: [{}]\n    approval: auto\n    limits: {limits}\n",
        methods.join(", ")
    );
    let world = plan.start().await.unwrap();
    let pass = world.pass(methods).await.unwrap();
    (world, pass)
}

#[tokio::test]
async fn a_broken_policy_keeps_the_old_one_and_shows() {
    let children = Children::start(Plan::new().unwrap()).await;
    let world = &children.world;
    let pass = world.pass(&[STATUS]).await.unwrap();
    write(world, "version: 1\naccess: [{ methods: [");
    until("status tells", PATIENCE, || async {
        let policy = world.approver().status().await?.policy.unwrap_or_default();
        anyhow::ensure!(!policy.error.is_empty(), "no error yet");
        Ok(())
    })
    .await
    .unwrap();
    AdminClient::new(pass.channel().unwrap()).get_status(GetStatusRequest {}).await.unwrap();
    world.pass(&[STATUS]).await.unwrap();
    let metrics = children.client_metrics("postern_client_policy").await;
    assert!(metrics.iter().any(|line| line.contains("stale") && line.ends_with(" 1")), "{metrics:?}");
    write(world, &world.client_settings.policy);
    until("status is clean again", PATIENCE, || async {
        let policy = world.approver().status().await?.policy.unwrap_or_default();
        anyhow::ensure!(policy.error.is_empty(), "{}", policy.error);
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_policy_made_stricter_cuts_open_streams() {
    let world = World::start().await.unwrap();
    let pass = world.pass(&[STALL]).await.unwrap();
    let mut stream = stalled(pass.channel().unwrap()).await;
    let start = Instant::now();
    write(&world, "version: 1\naccess: []\n");
    let cut = tokio::time::timeout(PATIENCE, stream.message()).await.expect("the stream is cut");
    assert!(cut.is_err(), "as if it were complete: {cut:?}");
    // A second for the cut, and the file is looked at twice a second.
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
}

#[tokio::test]
async fn calls_per_minute_are_limited() {
    let (_world, pass) = limited("{ callsPerMinute: 2 }", &[STATUS]).await;
    let mut admin = AdminClient::new(pass.channel().unwrap());
    for _ in 0..2 {
        admin.get_status(GetStatusRequest {}).await.unwrap();
    }
    let refused = admin.get_status(GetStatusRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
}

#[tokio::test]
async fn open_streams_are_limited_and_free_again_when_they_end() {
    let (_world, pass) = limited("{ streams: 1 }", &[STALL]).await;
    let mut faults = FaultsClient::new(pass.channel().unwrap());
    let mut first = faults.stall(StallRequest {}).await.unwrap().into_inner();
    first.message().await.unwrap().unwrap();
    let refused = faults.stall(StallRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    drop(first);
    until("there is room again", PATIENCE, || {
        let mut faults = faults.clone();
        async move { faults.stall(StallRequest {}).await.map(drop) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn bytes_are_limited() {
    let (_world, pass) = limited("{ bytes: 64KiB }", &[ECHO]).await;
    let admin = AdminClient::new(pass.channel().unwrap());
    let echo = |bytes: usize| {
        let mut admin = admin.clone();
        async move { admin.echo(EchoRequest { payload: vec![1; bytes].into() }).await }
    };
    echo(1_000).await.unwrap();
    let refused = echo(100_000).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
}

/// Three ways to the same grant: two sessions of one certificate, and one of a newer certificate.
async fn three_ways(world: &World, pass: Pass) -> [Channel; 3] {
    let operator = world.operator("ada").unwrap();
    let renewed = operator.certificate(&world.cluster(), pass.grant).await.unwrap();
    [pass.channel(), pass.channel(), renewed.channel()].map(Result::unwrap)
}

fn limit(refused: &Status) -> (Code, String) {
    let info = refused.get_details_error_info();
    let limit = info.and_then(|info| info.metadata.get("limit").cloned());
    (refused.code(), limit.unwrap_or_default())
}

#[tokio::test]
async fn calls_per_minute_count_for_the_grant_whatever_session_or_certificate() {
    let (world, pass) = limited("{ callsPerMinute: 3 }", &[STATUS]).await;
    let ways = three_ways(&world, pass).await;
    for way in &ways {
        AdminClient::new(way.clone()).get_status(GetStatusRequest {}).await.unwrap();
    }
    for way in ways {
        let refused = AdminClient::new(way).get_status(GetStatusRequest {}).await.unwrap_err();
        assert_eq!(limit(&refused), (Code::ResourceExhausted, "callsPerMinute".to_owned()), "{refused:?}");
    }
}

#[tokio::test]
async fn open_streams_count_for_the_grant_whatever_session_or_certificate() {
    let (world, pass) = limited("{ streams: 1 }", &[STALL]).await;
    let [first, second, renewed] = three_ways(&world, pass).await;
    let mut open = FaultsClient::new(first).stall(StallRequest {}).await.unwrap().into_inner();
    open.message().await.unwrap().unwrap();
    for way in [second, renewed] {
        let refused = FaultsClient::new(way).stall(StallRequest {}).await.unwrap_err();
        assert_eq!(limit(&refused), (Code::ResourceExhausted, "streams".to_owned()), "{refused:?}");
    }
}

#[tokio::test]
async fn bytes_count_for_the_grant_whatever_session_or_certificate() {
    let (world, pass) = limited("{ bytes: 100KiB }", &[ECHO]).await;
    let ways = three_ways(&world, pass).await;
    let echo = |way: &Channel| {
        let mut admin = AdminClient::new(way.clone());
        async move { admin.echo(EchoRequest { payload: vec![1; 40_000].into() }).await }
    };
    echo(&ways[0]).await.unwrap();
    echo(&ways[1]).await.unwrap();
    for way in [&ways[2], &ways[0]] {
        let refused = echo(way).await.unwrap_err();
        assert_eq!(limit(&refused), (Code::ResourceExhausted, "bytes".to_owned()), "{refused:?}");
    }
}
