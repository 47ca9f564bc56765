//! The target `operations`: the API of one operation, served by this client itself instead of an engine.
//!
//! Its sessions have a connection in memory of their own, and its service hears from the gate alone which grant calls.

use std::sync::LazyLock;

use http::Extensions;
use tokio::io::DuplexStream;
use tunnel_protos::{FILE_DESCRIPTOR_SET, MethodName, dynamic::Descriptors};
use tunnel_runtime::{drain, grpc::GrpcServer};

use crate::policy::{Limits, OPERATIONS_SERVICE};

/// The way of one session to the service of operations.
#[derive(Debug)]
pub(super) struct Hatch {
    server: GrpcServer,
    drain: drain::Watch,
}

impl Hatch {
    pub(super) fn new(server: GrpcServer, drain: drain::Watch) -> Self {
        Self { server, drain }
    }

    /// A new connection; its far end is served while the future that comes with it is polled, and ends when dropped.
    pub(super) fn open(&self) -> (DuplexStream, impl Future<Output = ()> + Send + use<>) {
        let (near, far) = tokio::io::duplex(PIPE);
        let (server, drain) = (self.server.clone(), self.drain.clone());
        (near, async move { server.serve_connection(far, Extensions::new(), drain).await })
    }
}

/// Whether the grant of an operation may hold this method at all.
pub(super) fn is_own(method: &MethodName) -> bool {
    method.service() == OPERATIONS_SERVICE
}

/// Whether calling it changes something.
pub(super) fn mutates(method: &MethodName) -> bool {
    !matches!(method.method(), "Get" | "Watch" | "FetchBundle")
}

/// What reflection tells of.
pub(super) fn descriptors() -> Option<Descriptors> {
    static OWN: LazyLock<Option<Descriptors>> =
        LazyLock::new(|| Descriptors::decode(FILE_DESCRIPTOR_SET).ok());
    OWN.clone()
}

/// A person who watches and looks; a bundle is fetched in one call.
pub(super) const LIMITS: Limits = Limits { bytes: None, calls_per_minute: Some(600), streams: Some(16) };

/// How refusals name these limits.
pub(super) const RULE: &str = "operations";

/// One window of HTTP/2.
const PIPE: usize = 64 * 1024;

#[cfg(test)]
mod tests;
