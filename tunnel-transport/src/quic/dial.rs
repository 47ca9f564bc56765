//! The replica's end: one UDP socket per tunnel, so that a tunnel can live on any runtime.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use quinn::{ConnectError, ConnectionError, Endpoint, EndpointConfig};
use tokio::time::timeout;
use tunnel_certs::{identity::Role, verify::VerifyError};
use tunnel_protos::UnixMillis;

use super::{
    config::{self, ClientTls, ConfigError},
    connection::{self, Connection},
    listener::verify,
    runtime::Frugal,
    socket,
};
use crate::{Closed, Limits, Tunnel, carrier::Carrier};

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The TLS configuration cannot be used.
    #[error("the QUIC configuration")]
    Config(#[source] ConfigError),
    /// No socket.
    #[error("cannot open a UDP socket")]
    Socket(#[source] std::io::Error),
    /// The address or server name cannot be dialed.
    #[error("cannot dial {0}")]
    Connect(SocketAddr, #[source] ConnectError),
    /// The broker did not answer in time.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    /// The handshake failed or was refused.
    #[error("the handshake with {0}")]
    Handshake(SocketAddr, #[source] Closed),
    /// The certificate is not a broker's.
    #[error("the certificate of {0}")]
    Peer(SocketAddr, #[source] VerifyError),
}

impl DialError {
    /// Whether dialing again may help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Config(_) => false,
            Self::Handshake(_, closed) => closed.is_retryable(),
            Self::Socket(_) | Self::Connect(..) | Self::Deadline(_) | Self::Peer(..) => true,
        }
    }

    /// When the broker would like to see the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Handshake(_, closed) => closed.retry_after(),
            _ => None,
        }
    }
}

/// Whom to dial, and how.
#[derive(Debug, Clone)]
pub struct Dial {
    /// The broker's address.
    pub address: SocketAddr,
    /// Sent as SNI; the broker is proven by its URI, whatever the name.
    pub server_name: String,
    /// Who we are and whom we trust.
    pub tls: ClientTls,
    /// Bounds of the tunnel.
    pub limits: Limits,
    /// Until both identities are known.
    pub deadline: Duration,
}

/// Dials a broker; the tunnel is driven on the caller's runtime.
pub async fn dial(dial: &Dial) -> Result<Tunnel, DialError> {
    let endpoint = endpoint(dial)?;
    let connecting = endpoint
        .connect(dial.address, &dial.server_name)
        .map_err(|error| DialError::Connect(dial.address, error))?;
    let connected =
        timeout(dial.deadline, connecting).await.map_err(|_| DialError::Deadline(dial.deadline))?;
    let connection = connected.map_err(|error| handshake(dial.address, &error))?;
    let now = UnixMillis::from_system(SystemTime::now());
    let peer = verify(&connection, &dial.tls.verifier, Role::Broker, now)
        .map_err(|error| DialError::Peer(dial.address, error))?;
    let carrier = Carrier::Quic(Connection::new(connection, Some(endpoint)));
    Ok(Tunnel::new(carrier, peer, dial.limits))
}

fn endpoint(dial: &Dial) -> Result<Endpoint, DialError> {
    let config = config::client(&dial.tls, &dial.limits).map_err(DialError::Config)?;
    let any = match dial.address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = socket::bind(any).map_err(DialError::Socket)?;
    let mut endpoint = Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(Frugal))
        .map_err(DialError::Socket)?;
    endpoint.set_default_client_config(config);
    Ok(endpoint)
}

fn handshake(address: SocketAddr, error: &ConnectionError) -> DialError {
    DialError::Handshake(address, connection::closed(error))
}
