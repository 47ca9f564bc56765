//! A broker that was taken over and does not even keep to the transport: raw QUIC streams with a real mesh certificate.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use quinn::{Connection, Endpoint, RecvStream, SendStream, ServerConfig, crypto::rustls::QuicServerConfig};
use tokio::time::timeout;
use tunnel_certs::{credential::Credential, identity::Role, roots::Roots, tls, verify::MeshVerifier};
use tunnel_protos::v1::{BrokerMessage, Welcome, broker_message::Body};
use tunnel_transport::{Header, Kind, frame, quic::ALPN};

use super::{PATIENCE, vendor::Vendor};

/// The broker, listening.
#[derive(Debug)]
pub struct RawBroker(Endpoint);

/// A replica's connection, with the first stream that was opened on it.
#[derive(Debug)]
pub struct RawTunnel {
    connection: Connection,
    control: SendStream,
    /// Dropped, they would tell the replica to stop.
    kept: Vec<RecvStream>,
}

impl RawBroker {
    /// Listens on a free loopback port with a certificate of `vendor`'s mesh CA.
    pub fn bind(vendor: &Vendor) -> Result<Self> {
        let files = vendor.broker(&"raw".parse()?)?;
        let credential = Credential::load(&files.certificate, &files.key)?;
        let roots = Roots::new(vec![vendor.mesh().certificate().clone()])?;
        let verifier = MeshVerifier::new(vendor.name().clone(), roots);
        let config = tls::mesh_server(&credential, verifier, Role::Replica, &[ALPN])?;
        let config = ServerConfig::with_crypto(std::sync::Arc::new(QuicServerConfig::try_from(config)?));
        Ok(Self(Endpoint::server(config, SocketAddr::from(([127, 0, 0, 1], 0)))?))
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.0.local_addr()?)
    }

    /// The next replica, whose first stream begins with `bytes`.
    pub async fn begin(&self, bytes: &[u8]) -> Result<RawTunnel> {
        timeout(PATIENCE, self.accept(bytes)).await.context("no replica came")?
    }

    async fn accept(&self, bytes: &[u8]) -> Result<RawTunnel> {
        let connection = self.0.accept().await.context("the endpoint is closed")?.await?;
        let (control, heard) = write(&connection, bytes).await?;
        Ok(RawTunnel { connection, control, kept: vec![heard] })
    }

    /// The next replica, welcomed as one that speaks `version`.
    pub async fn welcome(&self, version: u32) -> Result<RawTunnel> {
        let mut tunnel = self.begin(&Header::new(Kind::Control).encode()?).await?;
        let welcome =
            Welcome { version, broker_id: "raw".to_owned(), probe_interval_ms: 60_000, ..Default::default() };
        let message = BrokerMessage { id: 1, body: Some(Body::Welcome(welcome)) };
        tunnel.control(&frame::encode(&message, frame::CONTROL_CAP)?).await?;
        Ok(tunnel)
    }
}

impl RawTunnel {
    /// Writes bytes where control messages belong.
    pub async fn control(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.control.write_all(bytes).await?)
    }

    /// Opens a stream that begins with `bytes` and ends there.
    pub async fn stream(&mut self, bytes: &[u8]) -> Result<()> {
        let (mut stream, heard) = write(&self.connection, bytes).await?;
        self.kept.push(heard);
        Ok(stream.finish()?)
    }
}

async fn write(connection: &Connection, bytes: &[u8]) -> Result<(SendStream, RecvStream)> {
    let (mut send, recv) = connection.open_bi().await?;
    send.write_all(bytes).await?;
    Ok((send, recv))
}
