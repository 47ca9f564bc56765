//! A certificate with its private key: what a process shows of itself in TLS.

use std::{fmt, path::Path, sync::Arc};

use rustls::{crypto::CryptoProvider, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tunnel_protos::UnixMillis;
use zeroize::Zeroizing;

use crate::{
    crypto,
    file::{self, FileError},
    identity::Identity,
    key::{KeyError, Signer, SigningKey},
    pem::{self, PemError},
    verify::{Leaf, VerifyError},
};

/// Why a credential could not be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key could not be had.
    #[error("the private key")]
    Key(#[source] KeyError),
    /// Not the PEM that belongs there.
    #[error("the certificate's file")]
    Pem(#[source] PemError),
    /// No certificate at all.
    #[error("no certificate")]
    Empty,
    /// The certificate is for another key.
    #[error("the certificate is not for this private key")]
    Mismatch,
    /// The certificate cannot be used.
    #[error("the certificate")]
    Certificate(#[source] VerifyError),
}

/// Our own kind of certificate, exactly one, and its key.
#[derive(Clone)]
pub struct Credential {
    certificate: CertificateDer<'static>,
    key: Arc<SigningKey>,
    identity: Option<Identity>,
    validity: (UnixMillis, UnixMillis),
}

impl Credential {
    /// Pairs a certificate with its key, refusing one for another key.
    pub fn new(certificate: CertificateDer<'static>, key: Arc<SigningKey>) -> Result<Self, CredentialError> {
        let leaf = Leaf::read(&certificate).map_err(CredentialError::Certificate)?;
        if leaf.key.as_ref() != Some(key.public()) {
            return Err(CredentialError::Mismatch);
        }
        let validity = (leaf.not_before, leaf.not_after);
        Ok(Self { certificate, key, identity: leaf.identity().ok(), validity })
    }

    /// Reads a PEM file with one certificate and a 0600 key file.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, CredentialError> {
        let certificate = pem::certificate(&file::read(certificate)?).map_err(CredentialError::Pem)?;
        Self::new(certificate, Arc::new(SigningKey::load(key).map_err(CredentialError::Key)?))
    }

    /// The certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The private key, for signing statements.
    pub fn key(&self) -> &Arc<SigningKey> {
        &self.key
    }

    /// The identity in the certificate's URI name, unverified; none for server certificates.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// First and last moment.
    pub fn validity(&self) -> (UnixMillis, UnixMillis) {
        self.validity
    }

    /// For TLS servers.
    pub fn to_server(&self) -> Result<ServerCredential, CredentialError> {
        ServerCredential::new(vec![self.certificate.clone()], &self.private_key())
    }

    /// For TLS libraries.
    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.pkcs8().to_vec()).into()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({:?}, {:?}..{:?})", self.identity, self.validity.0, self.validity.1)
    }
}

/// An ordinary server certificate with its intermediates, of any CA and key algorithm: the operators' API.
#[derive(Clone)]
pub struct ServerCredential(Arc<CertifiedKey>);

impl ServerCredential {
    /// Pairs a chain (leaf first) with its key, refusing a certificate for another key.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'static>,
    ) -> Result<Self, CredentialError> {
        if chain.is_empty() {
            return Err(CredentialError::Empty);
        }
        let provider: &CryptoProvider = &crypto::provider();
        let certified = CertifiedKey::from_der(chain, key.clone_key(), provider);
        certified.map(|certified| Self(Arc::new(certified))).map_err(|_| CredentialError::Mismatch)
    }

    /// Reads a PEM chain and a 0600 key file.
    pub fn load(certificates: &Path, key: &Path) -> Result<Self, CredentialError> {
        let chain = pem::certificates(&file::read(certificates)?).map_err(CredentialError::Pem)?;
        let text: Zeroizing<Vec<u8>> = file::read_private(key)?;
        let key = pem::decode(&text, "PRIVATE KEY").map_err(CredentialError::Pem)?;
        Self::new(chain, &key)
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for ServerCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerCredential({} certificates)", self.0.cert.len())
    }
}
