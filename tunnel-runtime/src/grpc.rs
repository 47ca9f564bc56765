//! Serving gRPC: the same deadline, limits, spans and drain around every service.
//!
//! Invariant: neither a handshake nor a request is awaited in an accept loop, and everything a peer can make
//! grow (connections, requests at a time, headers, seconds) has a bound in [`GrpcLimits`].

mod accept;
mod layers;
mod server;
pub mod timeout;

use std::{future::Future, io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{UnixStream, unix::UCred},
};

pub use self::{
    layers::{DeadlineLayer, LimitLayer, SpanLayer},
    server::GrpcServer,
};

/// For `max_decoding_message_size` and `max_encoding_message_size` of every service: requests are at most 64 KiB,
/// lists of some hundred outcomes a few MiB.
pub const MAX_MESSAGE: usize = 4 << 20;

/// Bounds of one gRPC server.
#[derive(Debug, Clone, Copy)]
pub struct GrpcLimits {
    /// Connections at a time; more are closed at once.
    pub connections: usize,
    /// Requests at a time over all connections, open streams included; more get `RESOURCE_EXHAUSTED`.
    pub requests: usize,
    /// Until the response's head; a shorter `grpc-timeout` wins. Streams may last longer.
    pub deadline: Duration,
    /// For the handshake of a connection.
    pub handshake: Duration,
}

impl Default for GrpcLimits {
    fn default() -> Self {
        Self {
            // Some hundred people and robots; each watches a few outcomes.
            connections: 1024,
            requests: 4096,
            // Longer than any database call is given.
            deadline: Duration::from_secs(30),
            // Three round trips at 1 s, with losses.
            handshake: Duration::from_secs(10),
        }
    }
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

/// The handshake of a Unix socket: the kernel says who the peer is.
#[derive(Debug, Clone, Copy)]
pub struct PeerCredentials;

impl Handshake<UnixStream> for PeerCredentials {
    type Io = UnixStream;
    type Peer = UCred;

    async fn handshake(&self, stream: UnixStream) -> io::Result<(UnixStream, UCred)> {
        let peer = stream.peer_cred()?;
        Ok((stream, peer))
    }
}
