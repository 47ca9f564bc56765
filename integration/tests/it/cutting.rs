//! What cuts live streams, and how fast.

use std::time::Duration;

use tokio::{task::JoinSet, time::Instant};
use tonic::{Status, transport::Channel};
use tunnel_integration::{
    generated::admin::v1::{StallRequest, StallResponse, faults_client::FaultsClient},
    harness::{PATIENCE, operator::Pass, world::World},
};

const STALL: &str = "engine.admin.v1.Faults/Stall";

/// A stream that has given its first message and gives no other.
async fn stalled(channel: Channel) -> tonic::Streaming<StallResponse> {
    let mut stream = FaultsClient::new(channel).stall(StallRequest {}).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    stream
}

async fn end(mut stream: tonic::Streaming<StallResponse>) -> Option<Status> {
    stream.message().await.err()
}

/// Opens `count` streams over `sessions` connections.
async fn open(pass: &Pass, sessions: usize, count: usize) -> Vec<tonic::Streaming<StallResponse>> {
    let channels: Vec<Channel> = (0..sessions).map(|_| pass.channel().unwrap()).collect();
    let mut opening = JoinSet::new();
    for channel in channels.iter().cycle().take(count) {
        opening.spawn(stalled(channel.clone()));
    }
    opening.join_all().await
}

#[tokio::test]
async fn revoking_cuts_the_last_of_1000_streams_within_a_second() {
    let world = World::start().await.unwrap();
    let pass = world.pass(&[STALL]).await.unwrap();
    let streams = open(&pass, 20, 1000).await;
    let mut ends: JoinSet<_> = streams.into_iter().map(end).collect();
    let start = Instant::now();
    world.approver().revoke(&pass.grant.to_string()).await.unwrap();
    let cut = tokio::time::timeout(PATIENCE, async {
        while let Some(ended) = ends.join_next().await {
            assert!(ended.unwrap().is_some(), "a stream ended as if it were complete");
        }
    });
    cut.await.unwrap();
    let took = start.elapsed();
    println!("1000 streams cut {} ms after the revocation was asked for", took.as_millis());
    assert!(took < Duration::from_secs(1), "{took:?}");
}
