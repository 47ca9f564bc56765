//! The engine's sockets: plain TCP, TLS and a Unix socket, all speaking HTTP/2. Bound before anything is served.

use std::{
    fs, io,
    net::{self, SocketAddr},
    os::unix::net as unix,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use thiserror::Error;

/// A TLS listener: address and configuration.
#[derive(Clone, Debug)]
pub struct TlsListener {
    /// Address to bind; port 0 takes a free one.
    pub address: SocketAddr,
    /// Must offer `h2`; [`TlsFiles::load`] makes such a one.
    pub config: Arc<ServerConfig>,
}

/// PEM files of the engine's TLS identity.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Certificate chain, leaf first.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// With it, callers must show a certificate of one of these authorities.
    pub client_ca: Option<PathBuf>,
}

/// Why the engine cannot listen.
#[derive(Debug, Error)]
pub enum Error {
    /// An address is taken or not ours.
    #[error("cannot bind {address}")]
    Bind {
        /// Address or path.
        address: String,
        /// What went wrong.
        source: io::Error,
    },
    /// A PEM file cannot be read.
    #[error("cannot read {path}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: rustls_pki_types::pem::Error,
    },
    /// Certificate and key do not make a server.
    #[error("unusable TLS identity")]
    Identity(#[source] rustls::Error),
    /// The authorities for callers are unusable.
    #[error("unusable client authorities")]
    ClientAuthorities(#[source] rustls::server::VerifierBuilderError),
}

/// Where an engine listens, with the ports that were taken.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Plain HTTP/2.
    pub h2c: Option<SocketAddr>,
    /// HTTP/2 over TLS.
    pub tls: Option<SocketAddr>,
    /// Unix socket.
    pub unix: Option<PathBuf>,
}

/// A bound socket that is not accepting yet.
#[derive(Debug)]
pub(super) enum Listener {
    /// Plain TCP.
    H2c(net::TcpListener),
    /// TCP with TLS.
    Tls(net::TcpListener, Arc<ServerConfig>),
    /// Unix socket.
    Unix(unix::UnixListener),
}

impl TlsFiles {
    /// Reads the files into a server configuration that offers `h2` only.
    pub fn load(&self) -> Result<Arc<ServerConfig>, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(Error::Identity)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots(path)?), provider)
                    .build()
                    .map_err(Error::ClientAuthorities)?,
            ),
        };
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(pem_error(&self.key))?;
        let mut config =
            builder.with_single_cert(certificates(&self.certificate)?, key).map_err(Error::Identity)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Binds what is asked for.
pub(super) fn bind(
    h2c: Option<SocketAddr>,
    tls: Option<TlsListener>,
    path: Option<PathBuf>,
) -> Result<(Vec<Listener>, Addresses), Error> {
    let mut listeners = Vec::new();
    let mut addresses = Addresses::default();
    if let Some(address) = h2c {
        let (listener, bound) = tcp(address)?;
        listeners.push(Listener::H2c(listener));
        addresses.h2c = Some(bound);
    }
    if let Some(TlsListener { address, config }) = tls {
        let (listener, bound) = tcp(address)?;
        listeners.push(Listener::Tls(listener, config));
        addresses.tls = Some(bound);
    }
    if let Some(path) = path {
        listeners.push(Listener::Unix(unix_socket(&path)?));
        addresses.unix = Some(path);
    }
    Ok((listeners, addresses))
}

fn tcp(address: SocketAddr) -> Result<(net::TcpListener, SocketAddr), Error> {
    let bind = || {
        let listener = net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bind().map_err(|source| Error::Bind { address: address.to_string(), source })
}

fn unix_socket(path: &Path) -> Result<unix::UnixListener, Error> {
    let bind = || {
        // A file left by a killed engine would make the address look taken.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = unix::UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|source| Error::Bind { address: path.display().to_string(), source })
}

fn roots(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(Error::Identity)?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(pem_error(path))
}

fn pem_error(path: &Path) -> impl FnOnce(rustls_pki_types::pem::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Pem { path, source }
}
