//! Accepting connections and serving the engine's services on them. Every connection's task is owned by [`Running`];
//! dropping it ends them all.

use std::{io, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tonic::service::Routes;
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tonic_reflection::server::{Builder, Error as ReflectionError};
use tower::util::MapRequest;
use tracing::debug;

use super::{
    FILE_DESCRIPTOR_SET, Parts,
    admin::AdminService,
    faults::FaultsService,
    kv::KvService,
    listen::{Addresses, Listener},
};
use crate::generated::{
    admin::v1::{admin_server::AdminServer, faults_server::FaultsServer},
    kv::v1::kv_server::KvServer,
};

/// A serving engine; dropping it ends every connection at once, as a crash would.
#[derive(Debug)]
pub struct Running {
    addresses: Addresses,
    health: HealthReporter,
    tasks: JoinSet<()>,
}

impl Running {
    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Sets what `grpc.health.v1.Health` says of the engine as a whole.
    pub async fn set_serving(&self, serving: bool) {
        set_serving(&self.health, serving).await;
    }

    /// Ends every connection and waits until the sockets are closed, so that they can be bound anew.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// How a caller came in; told by `DescribeCall`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entrance(pub(super) &'static str);

/// Starts one accepting task per listener.
pub(super) fn spawn(
    parts: &Arc<Parts>,
    routes: &Routes,
    listeners: Vec<Listener>,
    addresses: Addresses,
) -> io::Result<Running> {
    let mut tasks = JoinSet::new();
    for listener in listeners {
        let socket = Socket::try_from(listener)?;
        tasks.spawn(accept(socket, routes.clone(), Arc::clone(parts)));
    }
    let health = parts.health.clone();
    let parts = Arc::clone(parts);
    // The state on disk may be that of a broken release.
    tasks.spawn(async move { parts.publish_health().await });
    Ok(Running { addresses, health, tasks })
}

/// The engine's services beside health and both versions of reflection.
pub(super) fn routes(parts: &Arc<Parts>) -> Result<Routes, ReflectionError> {
    let reflection = || Builder::configure().register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET);
    let mut routes = Routes::builder();
    routes
        .add_service(AdminServer::new(AdminService::new(Arc::clone(parts))))
        .add_service(FaultsServer::new(FaultsService))
        .add_service(KvServer::new(KvService::new(Arc::clone(&parts.store))))
        .add_service(HealthServer::new(HealthService::from_health_reporter(parts.health.clone())))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok(routes.routes().prepare())
}

impl Parts {
    /// Brings the health service up to date with the nodes.
    pub(super) async fn publish_health(&self) {
        set_serving(&self.health, self.cluster.is_healthy()).await;
    }
}

async fn set_serving(health: &HealthReporter, serving: bool) {
    let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    health.set_service_status("", status).await;
}

/// A listener registered with the runtime.
enum Socket {
    H2c(TcpListener),
    Tls(TcpListener, TlsAcceptor),
    Unix(UnixListener),
}

/// A caller who has connected and said nothing yet.
enum Caller {
    H2c(TcpStream),
    Tls(TcpStream, TlsAcceptor),
    Unix(UnixStream),
}

impl TryFrom<Listener> for Socket {
    type Error = io::Error;

    fn try_from(listener: Listener) -> io::Result<Self> {
        Ok(match listener {
            Listener::H2c(socket) => Self::H2c(TcpListener::from_std(socket)?),
            Listener::Tls(socket, config) => Self::Tls(TcpListener::from_std(socket)?, config.into()),
            Listener::Unix(socket) => Self::Unix(UnixListener::from_std(socket)?),
        })
    }
}

impl Socket {
    async fn accept(&self) -> io::Result<Caller> {
        Ok(match self {
            Self::H2c(socket) => Caller::H2c(without_delay(socket.accept().await?.0)?),
            Self::Tls(socket, acceptor) => {
                Caller::Tls(without_delay(socket.accept().await?.0)?, acceptor.clone())
            }
            Self::Unix(socket) => Caller::Unix(socket.accept().await?.0),
        })
    }
}

fn without_delay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn accept(socket: Socket, routes: Routes, parts: Arc<Parts>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            caller = socket.accept() => match caller {
                Ok(caller) => {
                    connections.spawn(connection(caller, routes.clone(), Arc::clone(&parts)));
                }
                Err(error) => {
                    debug!(%error, "Accepting failed");
                    sleep(ACCEPT_RETRY).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(caller: Caller, routes: Routes, parts: Arc<Parts>) {
    parts.counters.accepted();
    match caller {
        Caller::H2c(stream) => http2(stream, "h2c", routes, parts).await,
        Caller::Unix(stream) => http2(stream, "unix", routes, parts).await,
        Caller::Tls(stream, acceptor) => match timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let entrance = if stream.get_ref().1.peer_certificates().is_some() { "mtls" } else { "tls" };
                http2(stream, entrance, routes, parts).await;
            }
            Ok(Err(error)) => debug!(%error, "TLS handshake failed"),
            Err(_) => debug!("TLS handshake timed out"),
        },
    }
}

async fn http2<S>(stream: S, entrance: &'static str, routes: Routes, parts: Arc<Parts>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = MapRequest::new(routes, move |mut request: Request<Incoming>| {
        parts.counters.called();
        request.extensions_mut().insert(Entrance(entrance));
        request
    });
    let served = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .await;
    if let Err(error) = served {
        debug!(%error, "Connection failed");
    }
}

/// Too many open files pass by themselves; retrying at once would spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// A caller who says nothing is dropped.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Bulk imports are not to wait for window updates, lest a bench measures the engine.
const STREAM_WINDOW: u32 = 8 << 20;
/// Several bulk streams at once.
const CONNECTION_WINDOW: u32 = 32 << 20;
/// Tests hold thousands of streams on one connection; hyper's own 200 would queue them silently.
const MAX_STREAMS: u32 = 10_000;
