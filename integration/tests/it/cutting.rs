//! What cuts live streams, and how fast.

use std::time::Duration;

use tokio::{task::JoinSet, time::Instant};
use tonic::transport::Channel;
use tonic_types::StatusExt;
use tunnel_integration::{
    generated::admin::v1::{StallRequest, StallResponse, faults_client::FaultsClient},
    harness::{
        PATIENCE,
        operator::{Pass, access_for},
        vendor::now,
        world::World,
    },
};
use tunnel_protos::UnixMillis;

const STALL: &str = "engine.admin.v1.Faults/Stall";

/// A stream that has given its first message and gives no other.
pub(crate) async fn stalled(channel: Channel) -> tonic::Streaming<StallResponse> {
    let mut stream = FaultsClient::new(channel).stall(StallRequest {}).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    stream
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

/// What is to end every open stream.
#[derive(Debug, Clone, Copy)]
enum Word {
    Pause,
    DenyOperator,
    StricterPolicy,
    GrantEnds,
    Revoke,
}

impl Word {
    /// What the streams' statuses must say.
    fn reason(self) -> &'static str {
        match self {
            Self::Pause => "PAUSED_BY_CUSTOMER",
            Self::DenyOperator | Self::Revoke => "GRANT_REVOKED",
            Self::StricterPolicy => "POLICY_STRICTER",
            Self::GrantEnds => "GRANT_ENDED",
        }
    }

    /// A call's deadline is the end of its grant, so that either may be what a stream hears.
    fn explains(self, reason: &str) -> bool {
        reason == self.reason() || matches!(self, Self::GrantEnds) && reason == "DEADLINE_EXCEEDED"
    }

    /// The grant lives as long as a test needs, or just long enough to open all streams.
    fn window(self) -> Duration {
        Duration::from_secs(if matches!(self, Self::GrantEnds) { 20 } else { 600 })
    }

    /// Says it, or waits until it comes; from when on the streams have a second.
    async fn say(self, world: &World, pass: &Pass) -> Instant {
        let (said, approver) = (Instant::now(), world.approver());
        match self {
            Self::Pause => drop(approver.pause().await.unwrap()),
            Self::DenyOperator => drop(approver.deny_operator("ada").await.unwrap()),
            Self::Revoke => drop(approver.revoke(&pass.grant.to_string()).await.unwrap()),
            Self::StricterPolicy => {
                let file = world.client_settings.folder.join("policy.yaml");
                std::fs::write(file, "version: 1\naccess: []\n").unwrap();
                // It looks at the file twice a second.
                return said + Duration::from_millis(500);
            }
            Self::GrantEnds => {
                let grant = approver.show(&pass.grant.to_string()).await.unwrap();
                let end = UnixMillis(grant.deadlines.unwrap().work_until_ms);
                return said + end.since(now());
            }
        }
        said
    }
}

/// How a stream ended, when, and by which reason.
async fn end(mut stream: tonic::Streaming<StallResponse>) -> (Instant, String) {
    let status = stream.message().await.expect_err("a stream ended as if it were complete");
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    (Instant::now(), if reason.is_empty() { format!("{status:?}") } else { reason })
}

async fn last_stream_dies_by(word: Word) {
    let world = World::start().await.unwrap();
    let kind = access_for(&[STALL], word.window()).unwrap();
    let pass = world.operator("ada").unwrap().pass_for(&world.cluster(), kind).await.unwrap();
    let streams = open(&pass, STREAMS / 50, STREAMS).await;
    let ends: JoinSet<_> = streams.into_iter().map(end).collect();
    let from = word.say(&world, &pass).await;
    let ends = tokio::time::timeout(2 * PATIENCE, ends.join_all()).await.expect("every stream ends");
    let others: Vec<_> = ends.iter().filter(|(_, reason)| !word.explains(reason)).collect();
    assert!(others.is_empty(), "{word:?}: {} streams, such as {:?}", others.len(), others[0]);
    let last = ends.into_iter().map(|(at, _)| at).max().unwrap();
    let took = last.saturating_duration_since(from);
    println!("{word:?}: the last of {STREAMS} streams died after {} ms", took.as_millis());
    assert!(took < CUT, "{word:?}: {took:?}");
}

/// One after the other, so that they do not measure each other.
#[tokio::test]
async fn whatever_cuts_ends_the_last_of_many_streams_within_a_second() {
    for word in [Word::Pause, Word::DenyOperator, Word::StricterPolicy, Word::GrantEnds, Word::Revoke] {
        last_stream_dies_by(word).await;
    }
}

/// What is promised.
const CUT: Duration = Duration::from_secs(1);
/// A build without optimization beside other tests has fewer to end; `make cutting` makes the whole number.
const STREAMS: usize = if cfg!(debug_assertions) { 100 } else { 1000 };
