//! Serving gRPC: the same deadline, limits, spans and drain around every service.
//!
//! Invariant: no request is awaited in an accept loop, and everything a peer can make grow (connections, requests at
//! a time, headers, seconds) has a bound in [`GrpcLimits`].

pub mod code;
mod layers;
mod server;
pub mod timeout;

use std::time::Duration;

pub use self::{
    layers::{DeadlineLayer, LimitLayer, Share, SpanLayer},
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
}

impl Default for GrpcLimits {
    fn default() -> Self {
        Self {
            // Some hundred people and robots; each watches a few outcomes.
            connections: 1024,
            requests: 4096,
            // Longer than any database call is given.
            deadline: Duration::from_secs(30),
        }
    }
}
