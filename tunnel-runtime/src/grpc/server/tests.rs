use std::{future::pending, io, net::SocketAddr};

use tokio::net::UnixStream;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::*;
use crate::{
    drain::{self, Drain},
    tasks::Task,
};

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(10);

const LIMITS: GrpcLimits = GrpcLimits { connections: 8, requests: 8, deadline: LONG, handshake: LONG };

/// No handshake at all.
#[derive(Clone)]
struct Plain;

impl Handshake<TcpStream> for Plain {
    type Io = TcpStream;
    type Peer = ();

    async fn handshake(&self, stream: TcpStream) -> io::Result<(TcpStream, ())> {
        Ok((stream, ()))
    }
}

/// Never ends.
#[derive(Clone)]
struct Stuck;

impl Handshake<TcpStream> for Stuck {
    type Io = TcpStream;
    type Peer = ();

    async fn handshake(&self, stream: TcpStream) -> io::Result<(TcpStream, ())> {
        let _stream = stream;
        pending().await
    }
}

struct Running {
    address: SocketAddr,
    drain: Drain,
    task: Task<()>,
}

fn routes() -> Routes {
    let (_, health) = tonic_health::server::health_reporter();
    Routes::new(health)
}

async fn running<H: Handshake<TcpStream>>(limits: GrpcLimits, handshake: H) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (drain, watch) = drain::channel();
    let server = GrpcServer::new(routes(), limits);
    let task = Task::spawn(Span::none(), server.serve_tcp(listener, handshake, watch));
    Running { address, drain, task }
}

impl Running {
    async fn client(&self) -> HealthClient<Channel> {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        HealthClient::new(endpoint.connect_timeout(LONG).connect().await.unwrap())
    }
}

fn everything() -> HealthCheckRequest {
    HealthCheckRequest { service: String::new() }
}

#[tokio::test]
async fn serves_requests() {
    let running = running(LIMITS, Plain).await;
    assert!(running.client().await.check(everything()).await.is_ok());
}

#[tokio::test]
async fn a_stuck_handshake_is_cut_and_holds_up_no_other() {
    let running = running(GrpcLimits { handshake: SHORT, ..LIMITS }, Stuck).await;
    for _ in 0..2 {
        let stream = TcpStream::connect(running.address).await.unwrap();
        let closed = timeout(LONG, stream.readable()).await;
        assert!(closed.is_ok());
    }
}

#[tokio::test]
async fn one_connection_too_many_is_closed() {
    let running = running(GrpcLimits { connections: 1, ..LIMITS }, Stuck).await;
    let _first = TcpStream::connect(running.address).await.unwrap();
    let second = TcpStream::connect(running.address).await.unwrap();
    timeout(LONG, second.readable()).await.unwrap().unwrap();
    assert_eq!(second.try_read(&mut [0; 1]).unwrap_or_default(), 0);
}

#[tokio::test]
async fn an_open_stream_counts_as_a_request() {
    let running = running(GrpcLimits { requests: 1, ..LIMITS }, Plain).await;
    let mut client = running.client().await;
    let watching = client.watch(everything()).await.unwrap();
    assert_eq!(client.check(everything()).await.unwrap_err().code(), Code::ResourceExhausted);
    drop(watching);
}

#[tokio::test]
async fn drain_ends_once_open_streams_have_ended() {
    let running = running(LIMITS, Plain).await;
    let mut client = running.client().await;
    let mut watching = client.watch(everything()).await.unwrap().into_inner();
    assert!(watching.message().await.is_ok());
    running.drain.begin();
    drop((watching, client));
    assert_eq!(timeout(LONG, running.task).await, Ok(Ok(())));
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn cut_ends_open_streams() {
    let running = running(LIMITS, Plain).await;
    let mut client = running.client().await;
    let mut watching = client.watch(everything()).await.unwrap().into_inner();
    assert!(watching.message().await.is_ok());
    running.drain.cut();
    assert_eq!(timeout(LONG, running.task).await, Ok(Ok(())));
    assert!(timeout(LONG, watching.message()).await.unwrap().is_err());
}

#[tokio::test]
async fn serves_unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let (_drain, watch) = drain::channel();
    let server = GrpcServer::new(routes(), LIMITS);
    let _task = Task::spawn(Span::none(), server.serve_unix(UnixListener::bind(&path).unwrap(), watch));
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let channel = Channel::from_static("http://unix").connect_with_connector(connector).await.unwrap();
    let mut client = HealthClient::new(channel);
    assert!(client.check(everything()).await.is_ok());
}
