//! A certificate with its private key: what a process shows of itself in TLS.

use std::{path::Path, sync::Arc};

use rustls_pki_types::CertificateDer;
use tunnel_protos::UnixMillis;

use crate::{
    file::FileError,
    identity::Identity,
    key::{KeyError, SigningKey},
};

/// Why a credential could not be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The certificate's file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key could not be had.
    #[error("the private key")]
    Key(#[source] KeyError),
    /// Not exactly one certificate where one belongs, or none at all.
    #[error("not a PEM certificate chain of the expected length")]
    Chain,
    /// The certificate is for another key.
    #[error("the certificate is not for this private key")]
    Mismatch,
    /// The certificate cannot be used.
    #[error("the certificate")]
    Certificate(#[source] crate::verify::VerifyError),
}

/// A certificate (leaf first; only the operators' API has more than one) and its key.
#[derive(Debug, Clone)]
pub struct Credential {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<SigningKey>,
}

impl Credential {
    /// Pairs a chain (leaf first) with its key, refusing a certificate for another key.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: Arc<SigningKey>) -> Result<Self, CredentialError> {
        todo!()
    }

    /// Reads a PEM chain and a 0600 key file.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, CredentialError> {
        todo!()
    }

    /// The leaf.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.chain[0]
    }

    /// The private key, for signing statements.
    pub fn key(&self) -> &Arc<SigningKey> {
        &self.key
    }

    /// The identity in the leaf's URI name, unverified.
    pub fn identity(&self) -> Result<Identity, CredentialError> {
        todo!()
    }

    /// First and last moment of the leaf.
    pub fn validity(&self) -> Result<(UnixMillis, UnixMillis), CredentialError> {
        todo!()
    }
}

/// All certificates of a PEM text, in order.
pub fn certificates_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    todo!()
}

/// One certificate as PEM.
pub fn certificate_to_pem(der: &[u8]) -> String {
    todo!()
}
