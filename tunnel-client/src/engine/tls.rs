//! TLS toward the engine: an ordinary server certificate under the profile's CA, our own certificate if it asks.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, ServerName,
    pem::{Error as PemError, PemObject},
};
use tracing::warn;
use tunnel_certs::crypto::provider;
use tunnel_runtime::chain;

use super::profile::TlsFiles;
use crate::{
    mark::{Mark, mark},
    metrics,
};

/// Why the profile's TLS files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// An https endpoint without a CA.
    #[error("the profile names no CA for its https endpoint")]
    NoCa,
    /// A file is missing or no PEM.
    #[error("cannot read {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: PemError,
    },
    /// The certificates or the key are not usable.
    #[error("the profile's TLS files cannot be used")]
    Config(#[source] rustls::Error),
    /// The host is neither a DNS name nor an address.
    #[error("{0} cannot be verified: neither a DNS name nor an address")]
    Name(String),
}

/// TLS as a profile's files say now; files that cannot be used leave what was read before.
#[derive(Debug)]
pub struct Toward {
    files: TlsFiles,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    marks: Vec<Mark>,
    config: Arc<ClientConfig>,
}

impl Toward {
    /// Reads nothing yet.
    pub const fn new(files: TlsFiles) -> Self {
        Self { files, kept: Mutex::new(None) }
    }

    /// The configuration, and the name to verify, for a connection to `host`.
    pub(super) fn client(&self, host: &str) -> Result<(Arc<ClientConfig>, ServerName<'static>), TlsError> {
        let name = name(&self.files, host)?;
        let marks: Vec<_> = self.files.paths().map(mark).collect();
        let mut kept = self.kept.lock();
        match &mut *kept {
            Some(now) if now.marks == marks => Ok((now.config.clone(), name)),
            before => match (config(&self.files), before) {
                (Ok(config), before) => {
                    let config = Arc::new(config);
                    *before = Some(Kept { marks, config: config.clone() });
                    metrics::engine_tls_stale(false);
                    Ok((config, name))
                }
                (Err(error), Some(before)) => {
                    warn!(error = %chain(&error), "TLS files toward the engine not taken, those before stay");
                    metrics::engine_tls_stale(true);
                    // Said once for each change.
                    before.marks = marks;
                    Ok((before.config.clone(), name))
                }
                (Err(error), None) => Err(error),
            },
        }
    }
}

/// Whether a profile's files can be used.
pub(super) fn check(files: &TlsFiles, host: &str) -> Result<(), TlsError> {
    name(files, host)?;
    config(files).map(drop)
}

fn name(files: &TlsFiles, host: &str) -> Result<ServerName<'static>, TlsError> {
    let name = files.server_name.as_deref().unwrap_or(host).to_owned();
    ServerName::try_from(name.clone()).map_err(|_| TlsError::Name(name))
}

fn config(files: &TlsFiles) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    for ca in certificates(&files.ca)? {
        roots.add(ca).map_err(TlsError::Config)?;
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Config)?
        .with_root_certificates(roots);
    let mut config = match &files.identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder
            .with_client_auth_cert(certificates(chain)?, private_key(key)?)
            .map_err(TlsError::Config)?,
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(file(path, PemError::NoItemsFound)),
        other => other.map_err(|source| file(path, source)),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| file(path, source))
}

fn file(path: &Path, source: PemError) -> TlsError {
    TlsError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
