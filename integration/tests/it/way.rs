//! The way of one call: each kind of call through broker and gate, and everything that comes along with it.

use std::time::Duration;

use tokio_stream::{StreamExt as _, iter};
use tonic::{Code, Request, metadata::MetadataValue, transport::Channel};
use tunnel_integration::{
    generated::admin::v1::{
        DescribeCallRequest, EchoRequest, GetStatusRequest, Header, ImportRequest, RunTaskRequest,
        SessionRequest, SnapshotRequest, StallRequest, Task, admin_client::AdminClient,
        faults_client::FaultsClient, session_request::Command, session_response::Result as Answer,
    },
    harness::{operator::Pass, wait::until, world::World},
};

const EVERYTHING: &[&str] = &[
    "engine.admin.v1.Admin/Echo",
    "engine.admin.v1.Admin/GetStatus",
    "engine.admin.v1.Admin/DescribeCall",
    "engine.admin.v1.Admin/RunTask",
    "engine.admin.v1.Admin/Snapshot",
    "engine.admin.v1.Admin/Import",
    "engine.admin.v1.Admin/Session",
    "engine.admin.v1.Faults/*",
];

struct Way {
    world: World,
    pass: Pass,
}

impl Way {
    async fn open() -> Self {
        let world = World::start().await.unwrap();
        let pass = world.pass(EVERYTHING).await.unwrap();
        Self { world, pass }
    }

    fn channel(&self) -> Channel {
        self.pass.channel().unwrap()
    }

    fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.channel()).max_decoding_message_size(64 << 20)
    }

    fn faults(&self) -> FaultsClient<Channel> {
        FaultsClient::new(self.channel())
    }

    async fn sessions(&self) -> u32 {
        self.world.approver().status().await.unwrap().sessions_open
    }
}

#[tokio::test]
async fn a_unary_call_reaches_the_engine() {
    let way = Way::open().await;
    let status = way.admin().get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert!(status.healthy, "{status:?}");
    let payload = vec![7; 1 << 20];
    let echo = way.admin().echo(EchoRequest { payload: payload.clone().into() }).await.unwrap();
    assert_eq!(echo.into_inner().payload, payload);
}

#[tokio::test]
async fn a_server_stream_arrives_message_by_message() {
    let way = Way::open().await;
    let task = RunTaskRequest { task: Task::Check.into(), pause_millis: 1 };
    let progress: Vec<_> = way.admin().run_task(task).await.unwrap().into_inner().collect().await;
    assert!(progress.len() >= 4 && progress.last().unwrap().as_ref().unwrap().finished, "{progress:?}");
}

#[tokio::test]
async fn a_client_stream_arrives_whole() {
    let way = Way::open().await;
    let discard = std::iter::once(ImportRequest { data: Default::default(), discard: true });
    let data = std::iter::repeat_n(ImportRequest { data: vec![1; 65_536].into(), discard: false }, 256);
    let imported = way.admin().import(iter(discard.chain(data))).await.unwrap().into_inner();
    assert_eq!(imported.bytes, 256 * 65_536);
}

#[tokio::test]
async fn both_directions_of_a_stream_are_interleaved() {
    let way = Way::open().await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = way.admin().session(requests).await.unwrap().into_inner();
    for sequence in 1..=20 {
        let ping = Command::Ping(vec![u8::try_from(sequence).unwrap()].into());
        sender.send(SessionRequest { sequence, command: Some(ping) }).await.unwrap();
        // Asked only after the answer before it came: a buffering hop would hang here.
        let answer = answers.message().await.unwrap().unwrap();
        assert_eq!(answer.sequence, sequence);
        assert!(matches!(answer.result, Some(Answer::Pong(_))), "{answer:?}");
    }
    drop(sender);
    assert!(answers.message().await.unwrap().is_none());
}

#[tokio::test]
async fn large_streams_keep_their_size_and_flow_control() {
    let way = Way::open().await;
    let bytes = 64 << 20;
    let request = SnapshotRequest { chunk_bytes: 65_536, generate_bytes: bytes };
    let mut stream = way.admin().snapshot(request).await.unwrap().into_inner();
    let mut received = 0;
    while let Some(part) = stream.message().await.unwrap() {
        received += part.data.len() as u64;
    }
    assert_eq!(received, bytes);
}

#[tokio::test]
async fn status_message_details_and_trailers_come_back() {
    let way = Way::open().await;
    let trailers = vec![Header { name: "x-engine-trailer".to_owned(), value: "kept".to_owned() }];
    let request = DescribeCallRequest {
        status: Code::ResourceExhausted as u32,
        status_message: "nothing left, « % ü".to_owned(),
        trailers,
    };
    let status = way.admin().describe_call(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "nothing left, « % ü");
    assert_eq!(status.metadata().get("x-engine-trailer").unwrap(), "kept");
}

#[tokio::test]
async fn the_engine_sees_who_calls_and_nothing_it_must_not() {
    let way = Way::open().await;
    let mut request = Request::new(DescribeCallRequest::default());
    let metadata = request.metadata_mut();
    metadata.insert("authorization", MetadataValue::from_static("Bearer stolen"));
    metadata.insert("postern-operator", MetadataValue::from_static("somebody-else"));
    let seen = way.admin().describe_call(request).await.unwrap().into_inner();
    let value = |name: &str| {
        let header = seen.metadata.iter().find(|header| header.name == name);
        header.map(|header| header.value.as_str())
    };
    assert_eq!(value("postern-operator"), Some("ada"));
    assert_eq!(value("postern-grant"), Some(way.pass.grant.to_string().as_str()));
    assert_eq!(value("authorization"), None);
}

#[tokio::test]
async fn binary_metadata_of_the_profile_passes_and_other_metadata_does_not() {
    let mut plan = tunnel_integration::harness::world::Plan::new().unwrap();
    "metadata: [trace-context-bin]\n".clone_into(&mut plan.client.profile_more);
    let world = plan.start().await.unwrap();
    let pass = world.pass(EVERYTHING).await.unwrap();
    let mut request = Request::new(DescribeCallRequest::default());
    let bytes = [0, 255, 128, 7];
    request.metadata_mut().insert_bin("trace-context-bin", MetadataValue::from_bytes(&bytes));
    request.metadata_mut().insert("x-other", MetadataValue::from_static("dropped"));
    let mut admin = AdminClient::new(pass.channel().unwrap());
    let seen = admin.describe_call(request).await.unwrap().into_inner();
    let names: Vec<_> = seen.metadata.iter().map(|header| header.name.as_str()).collect();
    assert!(names.contains(&"trace-context-bin") && !names.contains(&"x-other"), "{names:?}");
}

#[tokio::test]
async fn a_deadline_ends_the_call_at_both_ends() {
    let way = Way::open().await;
    let mut request = Request::new(tunnel_integration::generated::admin::v1::HangRequest {});
    request.set_timeout(Duration::from_millis(300));
    let status = way.faults().hang(request).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    calls_under_way(&way, 0).await;
}

#[tokio::test]
async fn a_cancelled_stream_is_cancelled_at_the_engine() {
    let way = Way::open().await;
    let mut stream = way.faults().stall(StallRequest {}).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    assert_eq!(way.sessions().await, 1);
    drop(stream);
    calls_under_way(&way, 0).await;
}

/// Sessions are all that the customer's status counts; a dropped channel must leave none.
async fn calls_under_way(way: &Way, wanted: u32) {
    until("sessions end with their channels", Duration::from_secs(5), || async {
        let open = way.sessions().await;
        if open == wanted { Ok(()) } else { Err(format!("{open} open")) }
    })
    .await
    .unwrap();
}
