//! A CA certificate with the key that signs under it.

use std::{path::Path, sync::Arc};

use rustls_pki_types::CertificateDer;
use tunnel_protos::UnixMillis;

use crate::{
    file::FileError,
    key::{KeyError, Signer},
};

/// The three CAs of the key table; each signs its own roles only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaKind {
    /// Brokers and replicas; 5 years.
    Mesh,
    /// Operators; 2 years.
    Operator,
    /// Grants and gate servers of one cluster; 1 year.
    Access,
}

/// Why an authority could not be had.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key could not be had.
    #[error("the CA's private key")]
    Key(#[source] KeyError),
    /// Not a CA certificate of ours.
    #[error("not a CA certificate made by tunnel-certs")]
    Certificate,
    /// The certificate is for another key.
    #[error("the CA certificate is not for this private key")]
    Mismatch,
    /// The certificate could not be made.
    #[error("cannot make the CA certificate: {0}")]
    Build(String),
}

/// A CA.
#[derive(Debug)]
pub struct Authority {
    kind: CaKind,
    certificate: CertificateDer<'static>,
    signer: Arc<dyn Signer>,
}

impl Authority {
    /// Makes a self-signed CA certificate over `signer`'s P-256 key; `name` tells people whose it is (vendor or label).
    pub fn create(
        kind: CaKind,
        name: &str,
        signer: Arc<dyn Signer>,
        now: UnixMillis,
    ) -> Result<Self, AuthorityError> {
        todo!()
    }

    /// Pairs a CA certificate with its key.
    pub fn from_parts(
        certificate: CertificateDer<'static>,
        signer: Arc<dyn Signer>,
    ) -> Result<Self, AuthorityError> {
        todo!()
    }

    /// Reads a PEM certificate and a 0600 key file.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, AuthorityError> {
        todo!()
    }

    /// What it may sign.
    pub fn kind(&self) -> CaKind {
        self.kind
    }

    /// The CA certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// First and last moment of the CA certificate.
    pub fn validity(&self) -> (UnixMillis, UnixMillis) {
        todo!()
    }
}
