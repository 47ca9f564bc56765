//! Connections of the load generator: TCP, TLS 1.3 with a client certificate, HTTP/2.

use std::{fs::File, io::BufReader, net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::client::SendRequest;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_rustls::TlsConnector;

use super::Target;

/// A server to open sessions to.
#[derive(Clone)]
pub struct Endpoint {
    addr: SocketAddr,
    name: ServerName<'static>,
    tls: TlsConnector,
    authority: String,
}

impl Endpoint {
    /// Reads the files of `target`.
    pub fn load(target: &Target) -> Result<Self> {
        let name = ServerName::try_from(target.name.clone())?;
        let tls = TlsConnector::from(Arc::new(client_config(target)?));
        Ok(Self { addr: target.addr, name, tls, authority: target.name.clone() })
    }

    /// What calls name as their authority.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Connects; the session ends when it is dropped.
    pub async fn open(&self) -> Result<Session> {
        let tcp = TcpStream::connect(self.addr).await.context("connect")?;
        tcp.set_nodelay(true)?;
        let tls = self.tls.connect(self.name.clone(), tcp).await.context("TLS handshake")?;
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .enable_push(false)
            .handshake(tls)
            .await
            .context("HTTP/2 handshake")?;
        let mut driver = JoinSet::new();
        driver.spawn(async move { connection.await.context("connection") });
        Ok(Session { sender, _driver: driver })
    }
}

/// One HTTP/2 connection.
pub struct Session {
    sender: SendRequest<Bytes>,
    _driver: JoinSet<Result<()>>,
}

impl Session {
    /// A handle that opens streams on this connection.
    pub fn sender(&self) -> SendRequest<Bytes> {
        self.sender.clone()
    }
}

fn client_config(target: &Target) -> Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    for anchor in certificates(&target.ca)? {
        roots.add(anchor)?;
    }
    let key = PrivateKeyDer::from_pem_file(&target.key).context("client key")?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(&target.cert)?, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Sessions per second means full handshakes on every path: gates give no tickets.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_reader_iter(BufReader::new(file)).collect();
    certificates.with_context(|| format!("read {}", path.display()))
}

/// Beyond the bandwidth-delay product of every link measured, so that the path is measured and not our window.
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 32 << 20;
