//! X25519 keys that open what was sealed to them (HPKE).

use std::{fmt, path::Path};

use tunnel_protos::SealingKeyId;
use zeroize::Zeroizing;

use crate::file::FileError;

/// Why a sealing key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SealingKeyError {
    /// Not a key of this kind.
    #[error("not an X25519 key")]
    Malformed,
    /// The system could not make one.
    #[error("cannot generate a sealing key")]
    Generate,
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A private X25519 key.
pub struct SealingKey {
    secret: Zeroizing<[u8; 32]>,
    public: SealingPublicKey,
}

impl SealingKey {
    /// Makes a new key.
    pub fn generate() -> Result<Self, SealingKeyError> {
        todo!()
    }

    /// Reads a PKCS#8 PEM.
    pub fn from_pem(pem: &str) -> Result<Self, SealingKeyError> {
        todo!()
    }

    /// As PKCS#8 PEM.
    pub fn to_pem(&self) -> Zeroizing<String> {
        todo!()
    }

    /// Reads a 0600 file; one that others can read is refused.
    pub fn load(path: &Path) -> Result<Self, SealingKeyError> {
        todo!()
    }

    /// Creates a 0600 file; an existing one is never overwritten.
    pub fn save(&self, path: &Path) -> Result<(), SealingKeyError> {
        todo!()
    }

    /// Loads the key, or makes and saves one if there is no file yet.
    pub fn load_or_create(path: &Path) -> Result<Self, SealingKeyError> {
        todo!()
    }

    /// The public half.
    pub fn public(&self) -> &SealingPublicKey {
        &self.public
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.public.id())
    }
}

/// A raw X25519 public key that messages are sealed to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SealingPublicKey([u8; 32]);

impl SealingPublicKey {
    /// The raw 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// First 8 bytes of SHA-256 over the raw key.
    pub fn id(&self) -> SealingKeyId {
        todo!()
    }
}

impl TryFrom<&[u8]> for SealingPublicKey {
    type Error = SealingKeyError;

    fn try_from(raw: &[u8]) -> Result<Self, SealingKeyError> {
        todo!()
    }
}

impl fmt::Debug for SealingPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingPublicKey({})", self.id())
    }
}
