//! X25519 keys that open what was sealed to them (HPKE).

use std::{fmt, path::Path};

use aws_lc_rs::agreement::{PrivateKey, X25519};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tunnel_protos::SealingKeyId;
use zeroize::Zeroizing;

use crate::{
    crypto,
    file::{self, FileError},
    pem,
};

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
        Self::from_secret(Zeroizing::new(crypto::random()))
    }

    /// Reads a PKCS#8 PEM.
    pub fn from_pem(text: &str) -> Result<Self, SealingKeyError> {
        let der: PrivatePkcs8KeyDer<'_> =
            pem::decode(text.as_bytes(), "PRIVATE KEY").map_err(|_| SealingKeyError::Malformed)?;
        let der = Zeroizing::new(der);
        let secret = der.secret_pkcs8_der().strip_prefix(PKCS8_PREFIX).ok_or(SealingKeyError::Malformed)?;
        Self::from_secret(Zeroizing::new(secret.try_into().map_err(|_| SealingKeyError::Malformed)?))
    }

    /// As PKCS#8 PEM.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let der = Zeroizing::new([PKCS8_PREFIX, &self.secret[..]].concat());
        pem::encode("PRIVATE KEY", &der)
    }

    /// Reads a 0600 file; one that others can read is refused.
    pub fn load(path: &Path) -> Result<Self, SealingKeyError> {
        let bytes = file::read_private(path)?;
        Self::from_pem(std::str::from_utf8(&bytes).map_err(|_| SealingKeyError::Malformed)?)
    }

    /// Creates a 0600 file; an existing one is never overwritten.
    pub fn save(&self, path: &Path) -> Result<(), SealingKeyError> {
        Ok(file::create_private(path, self.to_pem().as_bytes())?)
    }

    /// Loads the key, or makes and saves one if there is no file yet.
    pub fn load_or_create(path: &Path) -> Result<Self, SealingKeyError> {
        match Self::load(path) {
            Err(SealingKeyError::File(error)) if error.is_missing() => {
                let key = Self::generate()?;
                key.save(path)?;
                Ok(key)
            }
            loaded => loaded,
        }
    }

    /// The public half.
    pub fn public(&self) -> &SealingPublicKey {
        &self.public
    }

    /// The raw private key, for the one place that opens.
    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    fn from_secret(secret: Zeroizing<[u8; 32]>) -> Result<Self, SealingKeyError> {
        let key =
            PrivateKey::from_private_key(&X25519, &secret[..]).map_err(|_| SealingKeyError::Generate)?;
        let public = key.compute_public_key().map_err(|_| SealingKeyError::Generate)?;
        Ok(Self { public: SealingPublicKey::try_from(public.as_ref())?, secret })
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
        let mut id = [0; SealingKeyId::LEN];
        id.copy_from_slice(&crypto::sha256(&self.0)[..SealingKeyId::LEN]);
        SealingKeyId::new(id)
    }
}

impl TryFrom<&[u8]> for SealingPublicKey {
    type Error = SealingKeyError;

    fn try_from(raw: &[u8]) -> Result<Self, SealingKeyError> {
        raw.try_into().map(Self).map_err(|_| SealingKeyError::Malformed)
    }
}

impl fmt::Debug for SealingPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingPublicKey({})", self.id())
    }
}

/// All of a PKCS#8 X25519 key (RFC 8410) but its 32 bytes.
const PKCS8_PREFIX: &[u8] =
    &[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20];
