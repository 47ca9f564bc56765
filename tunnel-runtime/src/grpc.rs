//! Serving gRPC: the same deadline, limits, spans and drain around every service.
//!
//! Invariant: neither a handshake nor a request is awaited in an accept loop, and everything a peer can make
//! grow (connections, requests at a time, messages, seconds) has a bound in [`GrpcLimits`].

use std::{future::Future, io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
};
use tonic::service::Routes;

use crate::drain::Watch;

/// Bounds of one gRPC server.
#[derive(Debug, Clone, Copy)]
pub struct GrpcLimits {
    /// Connections at a time; more are closed at once.
    pub connections: usize,
    /// Requests at a time over all connections; more get `RESOURCE_EXHAUSTED`.
    pub requests: usize,
    /// Until the response's head; a shorter `grpc-timeout` wins. Streams may last longer.
    pub deadline: Duration,
    /// For the handshake of a connection.
    pub handshake: Duration,
}

/// Ends the handshake of an accepted connection and tells who the peer is.
pub trait Handshake<S>: Clone + Send + Sync + 'static {
    /// The stream that requests come from.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// Put into the extensions of every request of the connection.
    type Peer: Clone + Send + Sync + 'static;

    /// Ends the handshake; the caller bounds it.
    fn handshake(&self, stream: S) -> impl Future<Output = io::Result<(Self::Io, Self::Peer)>> + Send;
}

/// Services behind their limits; cheap to clone, limits are shared by all clones.
#[derive(Clone)]
pub struct GrpcServer {}

impl GrpcServer {
    /// Puts `routes` behind `limits`.
    pub fn new(_routes: Routes, _limits: GrpcLimits) -> Self {
        todo!()
    }

    /// Accepts TCP connections until drained, then waits for those that are open until cut.
    pub async fn serve_tcp<H: Handshake<tokio::net::TcpStream>>(
        self,
        _listener: TcpListener,
        _handshake: H,
        _drain: Watch,
    ) {
        todo!()
    }

    /// Accepts Unix connections (no handshake) until drained; requests carry tokio's `UCred` of the peer.
    pub async fn serve_unix(self, _listener: UnixListener, _drain: Watch) {
        todo!()
    }

    /// Serves one connection that is past its handshake, until it ends, or is drained, or cut.
    pub async fn serve_connection<I, P>(&self, _io: I, _peer: P, _drain: Watch)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        P: Clone + Send + Sync + 'static,
    {
        todo!()
    }
}
