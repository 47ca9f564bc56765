//! The customer's own API on a Unix socket: look at requests, and tighten.
//!
//! Whoever can open the socket may look and revoke; nothing here loosens anything. Every text that came from
//! elsewhere is escaped before it leaves, so that no terminal is fooled by it.

mod desk;
mod hygiene;
mod service;
mod socket;

pub use self::{
    desk::{Desk, Peer, RevokeError, Revoked},
    socket::{SocketError, bind},
};

use std::time::Duration;

use tokio::net::UnixListener;
use tonic::service::Routes;
use tunnel_protos::approvers::approvers_server::ApproversServer;
use tunnel_runtime::{
    drain::Watch,
    grpc::{GrpcLimits, GrpcServer},
};

/// Serves the customer's API on `listener` (see [`bind`]) until drained.
pub async fn serve<D: Desk>(listener: UnixListener, desk: D, drain: Watch) {
    let routes = Routes::new(ApproversServer::new(service::Service::new(desk)));
    GrpcServer::new(routes, LIMITS).serve_unix(listener, drain).await;
}

/// A handful of people and scripts use this socket; more is a mistake or an attack from the same host.
const LIMITS: GrpcLimits = GrpcLimits {
    connections: 64,
    requests: 64,
    deadline: Duration::from_secs(10),
    handshake: Duration::from_secs(5),
};

#[cfg(test)]
mod tests;
