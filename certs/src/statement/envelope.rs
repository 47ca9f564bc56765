//! Envelopes (DSSE): the received bytes are verified, never re-serialized ones.

use rustls_pki_types::CertificateDer;
use tunnel_protos::{Digest, strict::StrictError, v1};

use crate::key::{PublicKey, SignError, Signer};

/// The kinds of payload; each place accepts exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayloadType {
    /// An operator's request.
    Request,
    /// The client's answer.
    Outcome,
    /// An approver's answer.
    Approval,
    /// A cluster's public keys.
    Registration,
    /// The vendor's roots and keys.
    TrustBundle,
    /// The vendor's statement of a cluster's keys.
    Inventory,
    /// A release manifest.
    Release,
    /// A replica finished a phase of rotation.
    Ack,
    /// What was done under a grant.
    Receipt,
    /// An object that the client wrote where others could write too.
    Record,
}

/// Why an envelope was refused.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// More bytes than an envelope of this kind has.
    #[error("the envelope is larger than {0} bytes")]
    TooLarge(usize),
    /// Not an envelope, or with unknown fields.
    #[error("not an envelope")]
    Malformed(#[source] StrictError),
    /// Of another kind than this place accepts.
    #[error("the envelope holds {got:?}, expected {wanted}")]
    Type {
        /// What this place accepts.
        wanted: &'static str,
        /// What came.
        got: String,
    },
    /// No signature, or more than 8.
    #[error("an envelope has 1 to 8 signatures, this one {0}")]
    Count(usize),
    /// Fewer valid signatures by distinct trusted keys than needed.
    #[error("signed by {got} of the trusted keys, {wanted} needed")]
    Unproven {
        /// Distinct trusted keys whose signature verified.
        got: usize,
        /// The threshold.
        wanted: usize,
    },
    /// The payload is malformed or has fields that this build does not know.
    #[error("the payload")]
    Payload(#[source] StrictError),
}

/// Signs `payload` with each of `signers`; a certificate goes along where the place demands one.
pub fn sign(
    kind: PayloadType,
    payload: Vec<u8>,
    signers: &[(&dyn Signer, Option<&CertificateDer<'_>>)],
) -> Result<v1::Envelope, SignError> {
    todo!()
}

/// `SHA-256(PAE)` of an envelope: what words stand for and approvals name.
pub fn digest(envelope: &v1::Envelope) -> Digest {
    todo!()
}

/// Decodes an envelope of `kind`, its signatures unverified.
pub fn decode(bytes: &[u8], kind: PayloadType) -> Result<v1::Envelope, EnvelopeError> {
    todo!()
}

/// Checks that at least `threshold` distinct keys of `keys` signed; gives those that did.
pub fn verify<'k>(
    envelope: &v1::Envelope,
    keys: &'k [PublicKey],
    threshold: usize,
) -> Result<Vec<&'k PublicKey>, EnvelopeError> {
    todo!()
}
