//! HTTP/2 connections around the services: accepted, bounded, drained in two steps.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener},
    sync::Semaphore,
    time::timeout,
};
use tonic::{body::Body, service::Routes};
use tower::{ServiceBuilder, ServiceExt, util::BoxCloneSyncService};
use tracing::{Span, debug, info_span, warn};

use super::{DeadlineLayer, GrpcLimits, Handshake, LimitLayer, PeerCredentials, SpanLayer, accept::Listen};
use crate::{chain, drain::Watch, tasks::Tasks};

/// After a failed accept (no file descriptors, say), instead of spinning.
const PAUSE: Duration = Duration::from_millis(100);
/// A peer that is gone without a word is found within a minute.
const PING: Duration = Duration::from_secs(30);
/// An answer to a ping needs one round trip.
const PONG: Duration = Duration::from_secs(10);
/// Metadata of operators is a few hundred bytes.
const HEADERS: u32 = 16 << 10;
/// Requests at a time on one connection; the whole server has its own bound.
const STREAMS: u32 = 128;

type Service = BoxCloneSyncService<Request<Body>, http::Response<Body>, std::convert::Infallible>;

/// Services behind their limits; cheap to clone, limits are shared by all clones.
#[derive(Clone)]
pub struct GrpcServer {
    service: Service,
    connections: Arc<Semaphore>,
    limits: GrpcLimits,
}

impl GrpcServer {
    /// Puts `routes` behind `limits`.
    pub fn new(routes: Routes, limits: GrpcLimits) -> Self {
        let layers = ServiceBuilder::new()
            .layer(SpanLayer)
            .layer(LimitLayer::new(limits.requests))
            .layer(DeadlineLayer::new(limits.deadline));
        let service = BoxCloneSyncService::new(layers.service(routes.prepare()));
        let connections = limits.connections.min(Semaphore::MAX_PERMITS);
        Self { service, connections: Arc::new(Semaphore::new(connections)), limits }
    }

    /// Accepts TCP connections until drained, then waits for those that are open until cut.
    pub async fn serve_tcp<H: Handshake<TcpStream>>(self, listener: TcpListener, handshake: H, drain: Watch) {
        self.serve(listener, handshake, drain).await;
    }

    /// Accepts Unix connections until drained; requests carry tokio's `UCred` of the peer.
    pub async fn serve_unix(self, listener: UnixListener, drain: Watch) {
        self.serve(listener, PeerCredentials, drain).await;
    }

    /// Serves one connection that is past its handshake, until it ends, or is drained, or cut. Every request
    /// carries `peer` in its extensions.
    pub async fn serve_connection<I, P>(&self, io: I, peer: P, drain: Watch)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        P: Clone + Send + Sync + 'static,
    {
        let requests = Arc::new(Tasks::new());
        let service = self.service.clone().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            request.map(Body::new)
        });
        let executor = Owned(Arc::clone(&requests));
        let service = TowerToHyperService::new(service);
        let connection = builder(executor).serve_connection(TokioIo::new(io), service);
        requests.supervise(drained(connection, drain)).await;
    }

    async fn serve<L: Listen, H: Handshake<L::Stream>>(self, listener: L, handshake: H, drain: Watch) {
        let tasks = Tasks::new();
        let serving = async {
            tokio::select! {
                () = drain.draining() => {}
                () = self.accept(&tasks, &listener, &handshake, &drain) => {}
            }
            // From here on, connecting fails at once instead of hanging.
            drop(listener);
            tokio::select! {
                () = tasks.idle() => {}
                () = drain.cut() => {}
            }
        };
        tasks.supervise(serving).await;
    }

    async fn accept<L: Listen, H: Handshake<L::Stream>>(
        &self,
        tasks: &Tasks,
        listener: &L,
        handshake: &H,
        drain: &Watch,
    ) {
        loop {
            match listener.next().await {
                Ok(stream) => self.admit(tasks, stream, handshake.clone(), drain.clone()),
                Err(error) => {
                    warn!(error = %chain(&error), "Cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn admit<S, H>(&self, tasks: &Tasks, stream: S, handshake: H, drain: Watch)
    where
        S: Send + 'static,
        H: Handshake<S>,
    {
        let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned() else {
            // Dropping the stream closes it.
            debug!("Connection refused, too many are open");
            return;
        };
        let server = self.clone();
        tasks.spawn(info_span!("connection"), async move {
            let _permit = permit;
            match timeout(server.limits.handshake, handshake.handshake(stream)).await {
                Ok(Ok((io, peer))) => server.serve_connection(io, peer, drain).await,
                Ok(Err(error)) => debug!(error = %chain(&error), "Handshake failed"),
                Err(_) => debug!("Handshake took too long"),
            }
        });
    }
}

impl std::fmt::Debug for GrpcServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrpcServer").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Hyper's tasks, owned by their connection.
#[derive(Clone)]
struct Owned(Arc<Tasks>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Owned {
    fn execute(&self, future: F) {
        self.0.spawn(Span::current(), future);
    }
}

fn builder(executor: Owned) -> http2::Builder<Owned> {
    let mut builder = http2::Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .max_header_list_size(HEADERS)
        .max_concurrent_streams(STREAMS);
    builder
}

/// On drain, GOAWAY and no new requests; on cut, dropped as it is.
async fn drained<S>(
    connection: http2::Connection<TokioIo<impl AsyncRead + AsyncWrite + Unpin>, S, Owned>,
    drain: Watch,
) where
    S: hyper::service::Service<Request<Incoming>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: std::error::Error + Send + Sync + 'static,
{
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.draining() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = drain.cut() => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        debug!(error = %chain(&error), "Connection ended early");
    }
}

#[cfg(test)]
mod tests;
