//! HTTP/2 connections around the services: accepted, bounded, drained in two steps.

mod peers;

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use http::{Extensions, Request};
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
};
use tonic::{Code, body::Body, service::Routes};
use tower::{ServiceBuilder, ServiceExt, util::BoxCloneSyncService};
use tracing::{Span, debug, info_span, warn};

use self::peers::Peers;
use super::{DeadlineLayer, GrpcLimits, LimitLayer, SpanLayer, code};
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
    peers: Peers,
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
        let peers = Peers::new(&limits);
        Self { service, connections: Arc::new(Semaphore::new(connections)), peers, limits }
    }

    /// Tells `count` how each call was answered, those included that no service saw; a stream that begins is told as OK.
    #[must_use]
    pub fn counted(self, count: fn(Code)) -> Self {
        let service = self.service.map_response(move |response| {
            count(code::of(response.headers()));
            response
        });
        Self { service: BoxCloneSyncService::new(service), ..self }
    }

    /// Accepts Unix connections until drained, then waits for those that are open until cut; requests carry tokio's
    /// `UCred` of the peer. One user has a quarter of the limits at most.
    pub async fn serve_unix(self, listener: UnixListener, drain: Watch) {
        let tasks = Tasks::new();
        let serving = async {
            tokio::select! {
                () = drain.draining() => {}
                () = self.accept(&tasks, &listener, &drain) => {}
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

    /// Serves one connection that is past its handshake, until it ends, or is drained, or cut. Every request gets
    /// `extensions`: who the peer is, and its [`Share`](super::Share) if it has one.
    pub async fn serve_connection<I>(&self, io: I, extensions: Extensions, drain: Watch)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let requests = Arc::new(Tasks::new());
        let service = self.service.clone().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().extend(extensions.clone());
            request.map(Body::new)
        });
        let executor = Owned(Arc::clone(&requests));
        let service = TowerToHyperService::new(service);
        let connection = builder(executor).serve_connection(TokioIo::new(io), service);
        requests.supervise(drained(connection, drain)).await;
    }

    async fn accept(&self, tasks: &Tasks, listener: &UnixListener, drain: &Watch) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.admit(tasks, stream, drain.clone()),
                Err(error) => {
                    warn!(error = %chain(&error), "Cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, tasks: &Tasks, stream: UnixStream, drain: Watch) {
        let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned() else {
            // Dropping the stream closes it.
            debug!("Connection refused, too many are open");
            return;
        };
        // A peer that the kernel does not name is nobody.
        let Ok(peer) = stream.peer_cred() else { return };
        let Some(place) = self.peers.enter(peer.uid()) else {
            debug!(peer.uid = peer.uid(), "Connection refused, this user has too many open");
            return;
        };
        let server = self.clone();
        tasks.spawn(info_span!("connection"), async move {
            let _permit = permit;
            let mut extensions = Extensions::new();
            extensions.insert(peer);
            extensions.insert(place.share());
            server.serve_connection(stream, extensions, drain).await;
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
