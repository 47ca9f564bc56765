//! Sealing of requests and outcomes (HPKE base mode, single shot), so that the broker carries ciphertext only.

use tunnel_protos::{
    EnvelopeId, Label,
    v1::{SealedOutcome, SealedRequest},
};

use crate::key::{SealingKey, SealingPublicKey};

/// Why something could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// More bytes than the place takes.
    #[error("larger than {0} bytes")]
    TooLarge(usize),
    /// Sealed to another key.
    #[error("sealed to a key that is not here")]
    UnknownKey,
    /// For another cluster or another request.
    #[error("sealed for another {0}")]
    Foreign(&'static str),
    /// Altered, or not sealed to this key at all.
    #[error("cannot be opened")]
    Open,
    /// The key is no point of the curve.
    #[error("cannot be sealed to this key")]
    Seal,
}

/// Seals a request's envelope to a cluster.
pub fn seal_request(
    envelope: &[u8],
    label: &Label,
    key: &SealingPublicKey,
) -> Result<SealedRequest, SealError> {
    todo!()
}

/// Opens a request with whichever of `keys` it names; gives the envelope's bytes.
pub fn open_request(
    sealed: &SealedRequest,
    label: &Label,
    keys: &[&SealingKey],
) -> Result<Vec<u8>, SealError> {
    todo!()
}

/// `SHA-256(label ‖ key_id ‖ enc ‖ ciphertext)`: all that broker and mailbox know a request by.
pub fn envelope_id(sealed: &SealedRequest) -> EnvelopeId {
    todo!()
}

/// Seals an outcome's envelope to the key that its request named.
pub fn seal_outcome(
    envelope: &[u8],
    id: &EnvelopeId,
    key: &SealingPublicKey,
) -> Result<SealedOutcome, SealError> {
    todo!()
}

/// Opens the outcome of the request `id`; gives the envelope's bytes.
pub fn open_outcome(sealed: &SealedOutcome, id: &EnvelopeId, key: &SealingKey) -> Result<Vec<u8>, SealError> {
    todo!()
}
