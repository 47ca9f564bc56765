//! Certificate requests: of all that a PKCS#10 says, only its P-256 public key is believed.

use crate::key::PublicKey;

/// Why a certificate request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Larger than any honest one.
    #[error("the certificate request is larger than 4096 bytes")]
    TooLarge,
    /// Not PKCS#10, or with bytes after it.
    #[error("malformed certificate request")]
    Malformed,
    /// Whoever made it does not hold the key.
    #[error("the certificate request is not signed by its own key")]
    Signature,
    /// Not a P-256 key.
    #[error("the certificate request has a key other than P-256")]
    Key,
}

/// The public key of a PKCS#10 (DER) whose self-signature was checked; nothing else of it is used.
pub fn public_key(der: &[u8]) -> Result<PublicKey, CsrError> {
    todo!()
}
