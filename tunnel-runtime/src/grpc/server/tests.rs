use tempfile::TempDir;
use tokio::time::timeout;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::*;
use crate::{
    drain::{self, Drain},
    tasks::Task,
};

const LONG: Duration = Duration::from_secs(10);

const LIMITS: GrpcLimits = GrpcLimits { connections: 8, requests: 8, deadline: LONG };

struct Running {
    folder: TempDir,
    drain: Drain,
    task: Task<()>,
}

fn routes() -> Routes {
    let (_, health) = tonic_health::server::health_reporter();
    Routes::new(health)
}

fn running(limits: GrpcLimits) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("s")).unwrap();
    let (drain, watch) = drain::channel();
    let server = GrpcServer::new(routes(), limits);
    let task = Task::spawn(Span::none(), server.serve_unix(listener, watch));
    Running { folder, drain, task }
}

impl Running {
    async fn connect(&self) -> std::io::Result<UnixStream> {
        UnixStream::connect(self.folder.path().join("s")).await
    }

    /// Whether the next connection is closed at once.
    async fn is_refused(&self) -> bool {
        let connection = self.connect().await.unwrap();
        let readable = timeout(LONG, connection.readable()).await;
        readable.is_ok() && connection.try_read(&mut [0; 64]).is_ok_and(|read| read == 0)
    }

    async fn client(&self) -> HealthClient<Channel> {
        let path = self.folder.path().join("s");
        let connector = tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let endpoint = Channel::from_static("http://unix").connect_timeout(LONG);
        HealthClient::new(endpoint.connect_with_connector(connector).await.unwrap())
    }
}

fn everything() -> HealthCheckRequest {
    HealthCheckRequest { service: String::new() }
}

#[tokio::test]
async fn serves_requests() {
    let running = running(LIMITS);
    assert!(running.client().await.check(everything()).await.is_ok());
}

#[tokio::test]
async fn one_connection_too_many_is_closed() {
    let running = running(GrpcLimits { connections: 1, ..LIMITS });
    let _first = running.client().await;
    assert!(running.is_refused().await);
}

#[tokio::test]
async fn one_user_leaves_room_for_the_others() {
    let running = running(GrpcLimits { connections: 4, ..LIMITS });
    let _all_of_its_share = running.client().await;
    assert!(running.is_refused().await);
}

#[tokio::test]
async fn an_open_stream_counts_as_a_request() {
    let running = running(GrpcLimits { requests: 1, ..LIMITS });
    let mut client = running.client().await;
    let watching = client.watch(everything()).await.unwrap();
    assert_eq!(client.check(everything()).await.unwrap_err().code(), Code::ResourceExhausted);
    drop(watching);
}

#[tokio::test]
async fn drain_ends_once_open_streams_have_ended() {
    let running = running(LIMITS);
    let mut client = running.client().await;
    let mut watching = client.watch(everything()).await.unwrap().into_inner();
    assert!(watching.message().await.is_ok());
    running.drain.begin();
    drop((watching, client));
    let Running { folder, task, .. } = running;
    assert_eq!(timeout(LONG, task).await, Ok(Ok(())));
    assert!(UnixStream::connect(folder.path().join("s")).await.is_err());
}

#[tokio::test]
async fn cut_ends_open_streams() {
    let running = running(LIMITS);
    let mut client = running.client().await;
    let mut watching = client.watch(everything()).await.unwrap().into_inner();
    assert!(watching.message().await.is_ok());
    running.drain.cut();
    assert_eq!(timeout(LONG, running.task).await, Ok(Ok(())));
    assert!(timeout(LONG, watching.message()).await.unwrap().is_err());
}
