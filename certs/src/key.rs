//! Signing keys and the public keys that verify them: Ed25519 and P-256, nothing else.
//!
//! Private keys never appear in `Debug` and are wiped from memory when dropped.

mod encrypted;
mod public;
mod sealing;
mod signing;

pub use self::{
    public::{PublicKey, PublicKeyError, SignatureError},
    sealing::{SealingKey, SealingKeyError, SealingPublicKey},
    signing::{KeyError, MIN_PASSPHRASE, SignError, Signer, SigningKey},
};

/// The two signature algorithms in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// Statements: vendor, cluster, approver and release keys.
    Ed25519,
    /// Certificates and operators' requests: ECDSA with SHA-256.
    P256,
}

#[cfg(test)]
mod tests;
