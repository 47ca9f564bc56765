//! Public keys as SubjectPublicKeyInfo, in the one encoding that we write.

use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use rustls_pki_types::SubjectPublicKeyInfoDer;

use super::Algorithm;
use crate::pem;

/// Bytes that are no public key in use here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 or P-256 public key")]
pub struct PublicKeyError;

/// A signature that does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct SignatureError;

/// An Ed25519 or P-256 public key.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey {
    algorithm: Algorithm,
    spki: Box<[u8]>,
}

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo.
    pub fn from_spki(der: &[u8]) -> Result<Self, PublicKeyError> {
        let algorithm = [Algorithm::Ed25519, Algorithm::P256]
            .into_iter()
            .find(|algorithm| der.len() == algorithm.spki_len() && der.starts_with(algorithm.spki_prefix()))
            .ok_or(PublicKeyError)?;
        let key = Self { algorithm, spki: der.into() };
        key.checked()
    }

    /// Takes a raw 32-byte Ed25519 key.
    pub fn from_ed25519_raw(raw: &[u8]) -> Result<Self, PublicKeyError> {
        Self::from_spki(&[Algorithm::Ed25519.spki_prefix(), raw].concat())
    }

    /// Reads a PEM `PUBLIC KEY`.
    pub fn from_pem(text: &str) -> Result<Self, PublicKeyError> {
        let der: SubjectPublicKeyInfoDer<'_> =
            pem::decode(text.as_bytes(), "PUBLIC KEY").map_err(|_| PublicKeyError)?;
        Self::from_spki(&der)
    }

    /// As PEM `PUBLIC KEY`.
    pub fn to_pem(&self) -> String {
        pem::encode("PUBLIC KEY", &self.spki).to_string()
    }

    /// The one-line form of an Ed25519 key, for configuration files; none for P-256.
    pub fn to_line(&self) -> Option<String> {
        let line = || format!("{ED25519_LINE}{}", data_encoding::BASE64.encode(self.raw()));
        (self.algorithm == Algorithm::Ed25519).then(line)
    }

    /// The algorithm it verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The DER SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The key's bits: 32 bytes for Ed25519, the uncompressed point for P-256.
    pub fn raw(&self) -> &[u8] {
        &self.spki[self.algorithm.spki_prefix().len()..]
    }

    /// `SHA-256(SPKI)`: a hint in envelopes, never a proof.
    pub fn keyid(&self) -> [u8; 32] {
        crate::crypto::sha256(&self.spki)
    }

    /// Verifies `signature` (Ed25519 64 bytes, P-256 DER) over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let key = UnparsedPublicKey::new(self.algorithm.verification(), self.raw());
        key.verify(message, signature).map_err(|_| SignatureError)
    }

    /// Refuses a P-256 point off the curve now rather than at its first use.
    fn checked(self) -> Result<Self, PublicKeyError> {
        match aws_lc_rs::signature::ParsedPublicKey::new(self.algorithm.verification(), self.raw()) {
            Ok(_) => Ok(self),
            Err(_) => Err(PublicKeyError),
        }
    }
}

impl Algorithm {
    /// All of a SubjectPublicKeyInfo but the key's bits: one encoding per algorithm, so that bytes can be compared.
    pub(super) const fn spki_prefix(self) -> &'static [u8] {
        match self {
            Self::Ed25519 => &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00],
            Self::P256 => &[
                0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
                0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
            ],
        }
    }

    const fn spki_len(self) -> usize {
        let raw = match self {
            Self::Ed25519 => 32,
            Self::P256 => 65,
        };
        self.spki_prefix().len() + raw
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Ed25519 => &ED25519,
            Self::P256 => &ECDSA_P256_SHA256_ASN1,
        }
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    /// Reads `ed25519:` and the base64 of the raw key, the one-line form of configuration files.
    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let encoded = text.strip_prefix(ED25519_LINE).ok_or(PublicKeyError)?;
        let raw = data_encoding::BASE64.decode(encoded.as_bytes()).map_err(|_| PublicKeyError)?;
        Self::from_ed25519_raw(&raw)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?}, {})", self.algorithm, data_encoding::HEXLOWER.encode(&self.keyid()[..8]))
    }
}

const ED25519_LINE: &str = "ed25519:";
