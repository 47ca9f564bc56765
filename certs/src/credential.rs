//! A certificate with its private key: what a process shows of itself in TLS.

use std::{fmt, path::Path, sync::Arc};

use rustls::{crypto::CryptoProvider, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tunnel_protos::UnixMillis;
use zeroize::Zeroizing;

use crate::{
    crypto,
    file::{self, FileError},
    identity::Identity,
    key::{KeyError, Signer, SigningKey},
    pem::{self, PemError},
    tls::TlsSigner,
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
    /// None, or intermediates where exactly one certificate belongs.
    #[error("exactly one certificate belongs here, {0} came")]
    Count(usize),
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
    identity: Result<Identity, VerifyError>,
    validity: (UnixMillis, UnixMillis),
}

impl Credential {
    /// Pairs exactly one certificate with its key, refusing one for another key.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: Arc<SigningKey>) -> Result<Self, CredentialError> {
        let [certificate] = <[_; 1]>::try_from(chain).map_err(|chain| CredentialError::Count(chain.len()))?;
        let leaf = Leaf::read(&certificate).map_err(CredentialError::Certificate)?;
        if leaf.key.as_ref() != Some(key.public()) {
            return Err(CredentialError::Mismatch);
        }
        let validity = (leaf.not_before, leaf.not_after);
        Ok(Self { certificate, key, identity: leaf.identity(), validity })
    }

    /// Reads a PEM file with one certificate and a 0600 key file.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, CredentialError> {
        let chain = certificates_from_pem(&file::read(certificate)?)?;
        Self::new(chain, Arc::new(SigningKey::load(key).map_err(CredentialError::Key)?))
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
    pub fn identity(&self) -> Result<Identity, CredentialError> {
        self.identity.clone().map_err(CredentialError::Certificate)
    }

    /// First and last moment.
    pub fn validity(&self) -> (UnixMillis, UnixMillis) {
        self.validity
    }

    /// For TLS servers.
    pub fn to_server(&self) -> ServerCredential {
        ServerCredential(self.certified())
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        let signer = TlsSigner(Arc::clone(&self.key) as _);
        Arc::new(CertifiedKey::new(vec![self.certificate.clone()], Arc::new(signer)))
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
            return Err(CredentialError::Count(0));
        }
        let provider: &CryptoProvider = &crypto::provider();
        let certified = CertifiedKey::from_der(chain, key.clone_key(), provider);
        certified.map(|certified| Self(Arc::new(certified))).map_err(|_| CredentialError::Mismatch)
    }

    /// Reads a PEM chain and a 0600 key file.
    pub fn load(certificates: &Path, key: &Path) -> Result<Self, CredentialError> {
        let chain = certificates_from_pem(&file::read(certificates)?)?;
        let text: Zeroizing<Vec<u8>> = file::read_private(key)?;
        let key: PrivateKeyDer<'_> = pem::decode(&text, "PRIVATE KEY").map_err(CredentialError::Pem)?;
        Self::new(chain, &Zeroizing::new(key))
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

/// All certificates of a PEM text, in order; at least one.
pub fn certificates_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    pem::certificates(pem).map_err(CredentialError::Pem)
}

/// One certificate as PEM.
pub fn certificate_to_pem(der: &[u8]) -> String {
    pem::encode("CERTIFICATE", der).to_string()
}
