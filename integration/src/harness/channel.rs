//! gRPC channels over TLS to an explicit address, with whatever server name is wanted.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

/// Where and how to connect.
#[derive(Clone)]
pub struct Peer {
    /// The address dialed.
    pub address: SocketAddr,
    /// The name in SNI and in the server's certificate.
    pub name: ServerName<'static>,
    /// Own certificate and trust.
    pub tls: Arc<rustls::ClientConfig>,
}

impl Peer {
    /// One TLS connection.
    pub async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.address).await.context("connect")?;
        tcp.set_nodelay(true)?;
        TlsConnector::from(Arc::clone(&self.tls))
            .connect(self.name.clone(), tcp)
            .await
            .context("TLS handshake")
    }

    /// A channel that reconnects by itself.
    pub fn channel(&self) -> Channel {
        let peer = self.clone();
        let connect = move |_| {
            let peer = peer.clone();
            async move { peer.connect().await.map(TokioIo::new).map_err(std::io::Error::other) }
        };
        self.endpoint().connect_with_connector_lazy(service_fn(connect))
    }

    fn endpoint(&self) -> Endpoint {
        let uri = format!("https://{}", self.name.to_str());
        Endpoint::from_shared(uri).expect("a server name is an authority").connect_timeout(super::PATIENCE)
    }
}
