//! Public keys as SubjectPublicKeyInfo, in the one encoding that we write.

use std::fmt;

use super::Algorithm;

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
        todo!()
    }

    /// Takes a raw 32-byte Ed25519 key.
    pub fn from_ed25519_raw(raw: &[u8]) -> Result<Self, PublicKeyError> {
        todo!()
    }

    /// Reads a PEM `PUBLIC KEY`.
    pub fn from_pem(pem: &str) -> Result<Self, PublicKeyError> {
        todo!()
    }

    /// As PEM `PUBLIC KEY`.
    pub fn to_pem(&self) -> String {
        todo!()
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
        todo!()
    }

    /// `SHA-256(SPKI)`: a hint in envelopes, never a proof.
    pub fn keyid(&self) -> [u8; 32] {
        crate::crypto::sha256(&self.spki)
    }

    /// Verifies `signature` (Ed25519 64 bytes, P-256 DER) over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        todo!()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?}, {})", self.algorithm, data_encoding::HEXLOWER.encode(&self.keyid()[..8]))
    }
}
