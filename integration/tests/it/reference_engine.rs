//! The reference engine by itself: each kind of call, each listener, and its state after a restart.

use std::path::Path;

use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio_stream::{StreamExt as _, iter};
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tunnel_integration::{
    engine_tls::EngineTls,
    generated::{
        admin::v1::{
            DescribeCallRequest, EchoRequest, GetDebugInfoRequest, GetStatusRequest, Header, HugeRequest,
            ImportRequest, RunTaskRequest, SessionRequest, SnapshotRequest, StallRequest, Task,
            UpgradeRequest, admin_client::AdminClient, faults_client::FaultsClient, session_request::Command,
            session_response::Result as Answer,
        },
        kv::v1::{GetRequest, PutRequest, WatchRequest, kv_client::KvClient},
    },
    harness::channel::Peer,
    reference_engine::{MADE_UP_SECRETS, Options, ReferenceEngine, Running, TlsListener},
};

struct Engine {
    running: Running,
    folder: TempDir,
}

impl Engine {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { running: run(folder.path()), folder }
    }

    fn channel(&self) -> Channel {
        channel(&self.running)
    }

    fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.channel())
    }

    async fn put(&self, key: &str, value: &'static str) -> u64 {
        let put = PutRequest { key: key.to_owned(), value: value.into(), ttl_millis: 0 };
        KvClient::new(self.channel()).put(put).await.unwrap().into_inner().revision
    }

    async fn get(&self, key: &str) -> Result<Vec<u8>, Code> {
        let get = GetRequest { key: key.to_owned() };
        let got = KvClient::new(self.channel()).get(get).await;
        got.map(|answer| answer.into_inner().value.to_vec()).map_err(|status| status.code())
    }
}

fn run(data: &Path) -> Running {
    ReferenceEngine::build(Options::loopback(data)).unwrap().spawn().unwrap()
}

fn channel(running: &Running) -> Channel {
    let address = running.addresses().h2c.unwrap();
    Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy()
}

#[tokio::test]
async fn data_and_releases_survive_a_restart() {
    let engine = Engine::start();
    engine.put("key", "value").await;
    let upgrade = UpgradeRequest {
        component: "storage".to_owned(),
        release: "1.1.0-broken".to_owned(),
        ..Default::default()
    };
    engine.admin().upgrade(upgrade).await.unwrap();
    let Engine { running, folder } = engine;
    running.stop().await;
    let engine = Engine { running: run(folder.path()), folder };
    assert_eq!(engine.get("key").await, Ok(b"value".to_vec()));
    let status = engine.admin().get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.release.as_str(), status.healthy, status.revision), ("1.1.0-broken", false, 1));
}

#[tokio::test]
async fn a_task_tells_its_progress_shard_by_shard() {
    let engine = Engine::start();
    engine.put("key", "value").await;
    let task = RunTaskRequest { task: Task::Reindex.into(), pause_millis: 0 };
    let progress: Vec<_> = engine.admin().run_task(task).await.unwrap().into_inner().collect().await;
    let done: Vec<_> = progress.into_iter().map(|message| message.unwrap()).collect();
    assert_eq!(done.iter().map(|message| message.shards_done).collect::<Vec<_>>(), [1, 2, 3, 4, 4]);
    let last = done.last().unwrap();
    assert!(last.finished && last.amount == 1, "{last:?}");
}

#[tokio::test]
async fn a_snapshot_can_be_imported_elsewhere() {
    let (from, to) = (Engine::start(), Engine::start());
    for key in ["a", "b", "c"] {
        from.put(key, "value").await;
    }
    let request = SnapshotRequest { chunk_bytes: 7, generate_bytes: 0 };
    let pieces = from.admin().snapshot(request).await.unwrap().into_inner();
    let pieces: Vec<_> = pieces.map(|piece| piece.unwrap().data).collect().await;
    let import = pieces.into_iter().map(|data| ImportRequest { data, discard: false });
    let summary = to.admin().import(iter(import.collect::<Vec<_>>())).await.unwrap().into_inner();
    assert_eq!(summary.records, 3);
    assert_eq!(to.get("b").await, Ok(b"value".to_vec()));
}

#[tokio::test]
async fn a_damaged_import_is_refused() {
    let engine = Engine::start();
    let garbage = ImportRequest { data: vec![0xff; 64].into(), discard: false };
    let status = engine.admin().import(iter([garbage])).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn filler_has_exactly_the_size_asked_for() {
    let engine = Engine::start();
    let request = SnapshotRequest { chunk_bytes: 0, generate_bytes: 200_000 };
    let pieces = engine.admin().snapshot(request).await.unwrap().into_inner();
    let sizes: Vec<_> = pieces.map(|piece| piece.unwrap().data.len()).collect().await;
    assert_eq!(sizes, [65_536, 65_536, 65_536, 3_392]);
}

#[tokio::test]
async fn a_session_answers_each_command_in_order() {
    let engine = Engine::start();
    let put = PutRequest { key: "key".to_owned(), value: "value".into(), ttl_millis: 0 };
    let commands = [
        Command::Ping("hello".into()),
        Command::Put(put),
        Command::Get(GetRequest { key: "key".to_owned() }),
    ];
    let requests =
        (1..).zip(commands).map(|(sequence, command)| SessionRequest { sequence, command: Some(command) });
    let answers = engine.admin().session(iter(requests.collect::<Vec<_>>())).await.unwrap().into_inner();
    let answers: Vec<_> = answers.map(|answer| answer.unwrap()).collect().await;
    assert_eq!(answers.iter().map(|answer| answer.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(matches!(&answers[2].result, Some(Answer::Get(got)) if got.value == "value"));
}

#[tokio::test]
async fn a_watcher_sees_changes_under_its_prefix_only() {
    let engine = Engine::start();
    let watch = WatchRequest { prefix: "a/".to_owned() };
    let mut changes = KvClient::new(engine.channel()).watch(watch).await.unwrap().into_inner();
    engine.put("b/1", "value").await;
    engine.put("a/1", "value").await;
    assert_eq!(changes.next().await.unwrap().unwrap().key, "a/1");
}

#[tokio::test]
async fn an_echo_is_what_was_sent() {
    let engine = Engine::start();
    let echo = engine.admin().echo(EchoRequest { payload: "hello".into() }).await.unwrap();
    assert_eq!(echo.into_inner().payload, "hello");
}

#[tokio::test]
async fn a_call_ends_with_the_status_and_trailers_asked_for() {
    let engine = Engine::start();
    let trailer = Header { name: "x-reason".to_owned(), value: "because".to_owned() };
    let request =
        DescribeCallRequest { status: 9, status_message: "not now".to_owned(), trailers: vec![trailer] };
    let status = engine.admin().describe_call(request).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "not now"));
    assert_eq!(status.metadata().get("x-reason").unwrap(), "because");
}

#[tokio::test]
async fn debug_information_holds_every_made_up_secret() {
    let engine = Engine::start();
    let info = engine.admin().get_debug_info(GetDebugInfoRequest {}).await.unwrap().into_inner();
    let text = format!("{info:?}");
    assert!(MADE_UP_SECRETS.iter().all(|secret| text.contains(secret)), "{text}");
}

#[tokio::test]
async fn a_huge_message_runs_into_the_callers_limit() {
    let engine = Engine::start();
    let huge = FaultsClient::new(engine.channel()).huge(HugeRequest { bytes: 100 << 20 }).await;
    assert_eq!(huge.unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test]
async fn a_stalled_stream_gives_one_message_and_stays_open() {
    let engine = Engine::start();
    let mut stalled = FaultsClient::new(engine.channel()).stall(StallRequest {}).await.unwrap().into_inner();
    assert_eq!(stalled.next().await.unwrap().unwrap().sequence, 1);
    engine.running.stop().await;
    assert!(stalled.next().await.unwrap().is_err());
}

#[tokio::test]
async fn health_follows_the_release() {
    let engine = Engine::start();
    let check = || async {
        let request = HealthCheckRequest { service: String::new() };
        let answer = HealthClient::new(engine.channel()).check(request).await.unwrap();
        answer.into_inner().status().as_str_name()
    };
    assert_eq!(check().await, "SERVING");
    let upgrade = UpgradeRequest {
        component: "query".to_owned(),
        release: "2-broken".to_owned(),
        ..Default::default()
    };
    engine.admin().upgrade(upgrade).await.unwrap();
    assert_eq!(check().await, "NOT_SERVING");
}

#[tokio::test]
async fn a_unix_socket_serves_and_replaces_a_stale_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sock");
    std::fs::write(&path, "stale").unwrap();
    let options = Options { h2c: None, unix: Some(path.clone()), ..Options::loopback(folder.path()) };
    let _running = ReferenceEngine::build(options).unwrap().spawn().unwrap();
    let connect = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
    });
    let channel = Channel::from_static("http://localhost").connect_with_connector_lazy(connect);
    let call = AdminClient::new(channel).describe_call(DescribeCallRequest::default()).await.unwrap();
    assert_eq!(call.into_inner().listener, "unix");
}

#[tokio::test]
async fn mutual_tls_takes_only_callers_with_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let files = EngineTls::create(folder.path()).unwrap();
    let tls = TlsListener { address: ([127, 0, 0, 1], 0).into(), config: files.mutual().load().unwrap() };
    let options = Options { h2c: None, tls: Some(tls), ..Options::loopback(folder.path().join("data")) };
    let running = ReferenceEngine::build(options).unwrap().spawn().unwrap();
    let address = running.addresses().tls.unwrap();
    let call = |tls| {
        let peer = Peer { address, name: "localhost".try_into().unwrap(), tls };
        async move { AdminClient::new(peer.channel()).describe_call(DescribeCallRequest::default()).await }
    };
    let answer = call(files.caller().unwrap()).await.unwrap();
    assert_eq!(answer.into_inner().listener, "mtls");
    call(files.stranger().unwrap()).await.unwrap_err();
}
