//! Large streams through the tunnel are held back by a slow reader, not by memory.

use std::time::Duration;

use tokio::time::timeout;
use tunnel_integration::{
    generated::admin::v1::{SnapshotRequest, admin_client::AdminClient},
    harness::world::Plan,
};

use crate::children::Children;

#[tokio::test]
async fn a_slow_reader_of_256_mib_keeps_broker_and_client_small() {
    let children = Children::start(Plan::new().unwrap()).await;
    let pass = children.world.pass(&["engine.admin.v1.Admin/Snapshot"]).await.unwrap();
    let mut admin = AdminClient::new(pass.channel().unwrap());
    let before = children.memory();
    let request = SnapshotRequest { chunk_bytes: CHUNK, generate_bytes: BYTES };
    let mut stream = admin.snapshot(request).await.unwrap().into_inner();
    let (mut received, mut pauses) = (0, tokio::time::interval(PAUSE));
    let reading = async {
        while let Some(part) = stream.message().await.unwrap() {
            received += part.data.len() as u64;
            // The reader's pace, not a wait for anything.
            pauses.tick().await;
        }
    };
    timeout(Duration::from_secs(120), reading).await.expect("no hang");
    assert_eq!(received, BYTES);
    children.grew_less_than(MOST_GROWTH_KIB, &before);
}

const BYTES: u64 = 256 << 20;
/// 256 messages, so that the reader takes about a second and a half.
const CHUNK: u32 = 1 << 20;
const PAUSE: Duration = Duration::from_millis(5);
/// Windows, buffers and the allocator's slack; far below the stream.
const MOST_GROWTH_KIB: u64 = 64 << 10;
