//! Private signing keys in PKCS#8 PEM files.

use std::{fmt, io, path::Path};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use zeroize::Zeroizing;

use super::{Algorithm, PublicKey, encrypted};
use crate::{
    csr,
    file::{self, FileError},
    pem,
};

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
    /// Behind a passphrase that nobody was asked for.
    #[error("the key file is encrypted: its passphrase is needed")]
    Encrypted,
    /// Nobody could be asked for the passphrase.
    #[error("cannot get the passphrase")]
    Ask(#[source] io::Error),
    /// Another passphrase, or a damaged file.
    #[error("the passphrase does not open the key file (or the file is damaged)")]
    Passphrase,
    /// A passphrase that can be guessed.
    #[error("a passphrase has at least {MIN_PASSPHRASE} bytes")]
    Weak,
}

/// A key that refused to sign.
#[derive(Debug, thiserror::Error)]
#[error("the key could not sign: {0}")]
pub struct SignError(pub String);

/// Whoever can sign: a key in memory, or one that never leaves its hardware.
///
/// This is the seam for hardware tokens and key services: whatever implements it (over PKCS#11, a KMS, a remote signer)
/// signs statements and certificates like a [`SigningKey`], which is all that the rest of the crate asks for.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The public half.
    fn public(&self) -> &PublicKey;

    /// Signs `message`: Ed25519 as 64 bytes, P-256 as DER.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// A private key in memory.
pub struct SigningKey {
    pair: Pair,
    pkcs8: Zeroizing<Vec<u8>>,
    public: PublicKey,
}

impl SigningKey {
    /// Makes a new key.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let document = match algorithm {
            Algorithm::Ed25519 => Ed25519KeyPair::generate_pkcs8v1(&random),
            Algorithm::P256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random),
        };
        Self::from_pkcs8(document.map_err(|_| KeyError::Generate)?.as_ref())
    }

    /// Reads a PKCS#8 PEM.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der: PrivatePkcs8KeyDer<'_> =
            pem::decode(text.as_bytes(), "PRIVATE KEY").map_err(|_| KeyError::Malformed)?;
        Self::from_pkcs8(Zeroizing::new(der).secret_pkcs8_der())
    }

    /// As PKCS#8 PEM.
    pub fn to_pem(&self) -> Zeroizing<String> {
        pem::encode("PRIVATE KEY", &self.pkcs8)
    }

    /// Reads a 0600 file; one that others can read is refused, and so is an encrypted one.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let bytes = file::read_private(path)?;
        match pem::section(&bytes, encrypted::LABEL) {
            Some(_) => Err(KeyError::Encrypted),
            None => Self::from_pem(std::str::from_utf8(&bytes).map_err(|_| KeyError::Malformed)?),
        }
    }

    /// Reads a 0600 file that may be encrypted; only then is the passphrase asked for.
    pub fn load_with(
        path: &Path,
        passphrase: impl FnOnce() -> io::Result<Zeroizing<String>>,
    ) -> Result<Self, KeyError> {
        let bytes = file::read_private(path)?;
        let Some(sealed) = pem::section(&bytes, encrypted::LABEL) else {
            return Self::from_pem(std::str::from_utf8(&bytes).map_err(|_| KeyError::Malformed)?);
        };
        let passphrase = passphrase().map_err(KeyError::Ask)?;
        let pkcs8 = encrypted::open(&sealed, &passphrase).ok_or(KeyError::Passphrase)?;
        Self::from_pkcs8(&pkcs8).map_err(|_| KeyError::Passphrase)
    }

    /// Creates a 0600 file behind a passphrase; an existing one is never overwritten.
    pub fn save_encrypted(&self, path: &Path, passphrase: &str) -> Result<(), KeyError> {
        if passphrase.len() < MIN_PASSPHRASE {
            return Err(KeyError::Weak);
        }
        let sealed = encrypted::seal(&self.pkcs8, passphrase).ok_or(KeyError::Generate)?;
        Ok(file::create_private(path, pem::encode(encrypted::LABEL, &sealed).as_bytes())?)
    }

    /// Creates a 0600 file; an existing one is never overwritten.
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        Ok(file::create_private(path, self.to_pem().as_bytes())?)
    }

    /// Loads the key, or makes and saves one if there is no file yet.
    pub fn load_or_create(path: &Path, algorithm: Algorithm) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::File(error)) if error.is_missing() => {
                let key = Self::generate(algorithm)?;
                key.save(path)?;
                Ok(key)
            }
            loaded => loaded,
        }
    }

    /// A PKCS#10 request (DER) that carries nothing but this P-256 key.
    pub fn csr(&self) -> Result<Vec<u8>, SignError> {
        csr::make(self)
    }

    /// PKCS#8 (DER), to show that it is shown nowhere.
    #[cfg(test)]
    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let pair = Pair::from_pkcs8(der).ok_or(KeyError::Malformed)?;
        let public = pair.public()?;
        Ok(Self { pair, pkcs8: Zeroizing::new(der.to_vec()), public })
    }
}

impl Signer for SigningKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.pair {
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::P256(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SignError("the library refused".into())),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.public)
    }
}

/// Fewer bytes of a passphrase are guessed in spite of what each guess costs.
pub const MIN_PASSPHRASE: usize = 12;

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl Pair {
    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        // "Maybe unchecked" accepts files without the optional public key, which is what OpenSSL writes.
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Some(Self::Ed25519(pair));
        }
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der).ok().map(Self::P256)
    }

    fn public(&self) -> Result<PublicKey, KeyError> {
        let (algorithm, raw) = match self {
            Self::Ed25519(pair) => (Algorithm::Ed25519, pair.public_key().as_ref()),
            Self::P256(pair) => (Algorithm::P256, pair.public_key().as_ref()),
        };
        PublicKey::from_spki(&[algorithm.spki_prefix(), raw].concat()).map_err(|_| KeyError::Malformed)
    }
}
