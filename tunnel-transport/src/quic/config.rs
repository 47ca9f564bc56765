//! quinn's configuration for both ends, tuned so that an idle tunnel costs the broker as little as possible.

use std::sync::Arc;

use quinn::{
    IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use tunnel_certs::{identity::Role, verify::MeshVerifier};

use super::{
    ALPN,
    farewell::{Closing, Factory},
};
use crate::Limits;

/// TLS that cannot be used for QUIC.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The provider lacks QUIC's initial cipher suite.
    #[error("the TLS configuration has no cipher suite for QUIC's initial packets")]
    InitialSuite,
    /// More than QUIC can express.
    #[error("the idle time is longer than QUIC can express")]
    Idle,
}

/// The broker's side of TLS: from `tunnel_certs::tls::mesh_server`, with the verifier that names its peers.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// What rustls needs.
    pub config: Arc<rustls::ServerConfig>,
    /// Names the peer after the handshake.
    pub verifier: MeshVerifier,
    /// The role that peers must have.
    pub peer: Role,
}

/// The replica's side of TLS: from `tunnel_certs::tls::mesh_client`, with the verifier that names its broker.
#[derive(Debug, Clone)]
pub struct ClientTls {
    /// What rustls needs.
    pub config: Arc<rustls::ClientConfig>,
    /// Names the broker after the handshake.
    pub verifier: MeshVerifier,
}

/// `closing` opens the windows of all connections.
pub(super) fn server(
    tls: &ServerTls,
    limits: &Limits,
    closing: Closing,
) -> Result<quinn::ServerConfig, ConfigError> {
    let mut rustls = (*tls.config).clone();
    rustls.alpn_protocols = vec![ALPN.to_vec()];
    let crypto = QuicServerConfig::try_from(rustls).map_err(|_| ConfigError::InitialSuite)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let mut transport = transport(limits, closing)?;
    // The replica may open none: each allowed stream would cost memory in every idle tunnel.
    transport.max_concurrent_bidi_streams(VarInt::from_u32(0));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

pub(super) fn client(tls: &ClientTls, limits: &Limits) -> Result<quinn::ClientConfig, ConfigError> {
    let mut rustls = (*tls.config).clone();
    rustls.alpn_protocols = vec![ALPN.to_vec()];
    let crypto = QuicClientConfig::try_from(rustls).map_err(|_| ConfigError::InitialSuite)?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    let mut transport = transport(limits, Closing::default())?;
    transport.max_concurrent_bidi_streams(VarInt::from_u32(limits.streams));
    // The broker itself stays with what fits Ethernet: it would keep a buffer of this size for every idle tunnel.
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(DATAGRAM);
    transport.mtu_discovery_config(Some(discovery));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

fn transport(limits: &Limits, closing: Closing) -> Result<TransportConfig, ConfigError> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_idle_timeout(Some(IdleTimeout::try_from(limits.idle).map_err(|_| ConfigError::Idle)?))
        .congestion_controller_factory(Arc::new(Factory::new(closing)))
        // Probes on the control stream keep the tunnel and its NAT binding alive, and prove more.
        .keep_alive_interval(None)
        .stream_receive_window(VarInt::from_u32(limits.stream_window))
        .receive_window(VarInt::from_u32(limits.tunnel_window))
        .send_window(limits.send_window.into())
        // Datagrams are not used; announcing them would only reserve buffers.
        .datagram_receive_buffer_size(None)
        .datagram_send_buffer_size(0);
    Ok(transport)
}

/// The largest datagram that a broker takes and a replica sends where the path lets it: 9,000 bytes of IPv6, the
/// jumbo frames of data centers. Others find the usual 1,452.
pub(super) const DATAGRAM: u16 = 8_952;
