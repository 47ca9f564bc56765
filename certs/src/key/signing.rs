//! Private signing keys in PKCS#8 PEM files.

use std::{fmt, path::Path};

use zeroize::Zeroizing;

use super::{Algorithm, PublicKey};
use crate::file::FileError;

/// Why a private key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a PKCS#8 PEM of a key in use here.
    #[error("not a private key: expected PEM 'PRIVATE KEY' (PKCS#8) with an Ed25519 or P-256 key")]
    Malformed,
    /// The system could not make one.
    #[error("cannot generate a key")]
    Generate,
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A key that refused to sign.
#[derive(Debug, thiserror::Error)]
#[error("the key could not sign: {0}")]
pub struct SignError(pub String);

/// Whoever can sign: a key in memory, or one behind PKCS#11 or a KMS.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The public half.
    fn public(&self) -> &PublicKey;

    /// Signs `message`: Ed25519 as 64 bytes, P-256 as DER.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// A private key in memory.
pub struct SigningKey {
    pkcs8: Zeroizing<Vec<u8>>,
    public: PublicKey,
}

impl SigningKey {
    /// Makes a new key.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        todo!()
    }

    /// Reads a PKCS#8 PEM.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        todo!()
    }

    /// As PKCS#8 PEM.
    pub fn to_pem(&self) -> Zeroizing<String> {
        todo!()
    }

    /// Reads a 0600 file; one that others can read is refused.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        todo!()
    }

    /// Creates a 0600 file; an existing one is never overwritten.
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        todo!()
    }

    /// Loads the key, or makes and saves one if there is no file yet.
    pub fn load_or_create(path: &Path, algorithm: Algorithm) -> Result<Self, KeyError> {
        todo!()
    }

    /// A PKCS#10 request (DER) that carries nothing but this P-256 key.
    pub fn csr(&self) -> Result<Vec<u8>, SignError> {
        todo!()
    }
}

impl Signer for SigningKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        todo!()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.public)
    }
}
