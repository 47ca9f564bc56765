//! Envelopes (DSSE): the received bytes are verified, never re-serialized ones.

use prost::Message;
use rustls_pki_types::CertificateDer;
use tunnel_protos::{
    Digest,
    strict::{self, StrictError},
    text, v1,
};

use crate::{
    crypto,
    key::{PublicKey, SignError, Signer},
};

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

impl PayloadType {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Request,
        Self::Outcome,
        Self::Approval,
        Self::Registration,
        Self::TrustBundle,
        Self::Inventory,
        Self::Release,
        Self::Ack,
        Self::Receipt,
        Self::Record,
    ];

    /// As an envelope names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "application/vnd.postern.request.v1+protobuf",
            Self::Outcome => "application/vnd.postern.outcome.v1+protobuf",
            Self::Approval => "application/vnd.postern.approval.v1+protobuf",
            Self::Registration => "application/vnd.postern.registration.v1+protobuf",
            Self::TrustBundle => "application/vnd.postern.trust-bundle.v1+protobuf",
            Self::Inventory => "application/vnd.postern.inventory.v1+protobuf",
            Self::Release => "application/vnd.postern.release.v1+protobuf",
            Self::Ack => "application/vnd.postern.ack.v1+protobuf",
            Self::Receipt => "application/vnd.postern.receipt.v1+protobuf",
            Self::Record => "application/vnd.postern.record.v1+protobuf",
        }
    }

    /// Most bytes that an envelope of this kind has.
    pub const fn limit(self) -> usize {
        match self {
            Self::Outcome => MAX_OUTCOME,
            Self::Receipt => MAX_RECEIPT,
            _ => MAX_ENVELOPE,
        }
    }

    /// Full name of the payload's message.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Request => "postern.v1.Request",
            Self::Outcome => "postern.v1.Outcome",
            Self::Approval => "postern.v1.Approval",
            Self::Registration => "postern.v1.Registration",
            Self::TrustBundle => "postern.v1.TrustBundle",
            Self::Inventory => "postern.v1.InventoryEntry",
            Self::Release => "postern.v1.Release",
            Self::Ack => "postern.v1.RotationAcknowledgement",
            Self::Receipt => "postern.v1.Receipt",
            Self::Record => "postern.v1.Record",
        }
    }
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
    #[error("the envelope holds '{got}', expected '{wanted}'")]
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
    let message = pae(kind.as_str(), &payload);
    let sign = |(signer, certificate): &(&dyn Signer, Option<&CertificateDer<'_>>)| {
        Ok(v1::Signature {
            keyid: signer.public().keyid().to_vec(),
            sig: signer.sign(&message)?,
            certificate: certificate.map(|der| der.to_vec()),
        })
    };
    let signatures = signers.iter().map(sign).collect::<Result<_, SignError>>()?;
    Ok(v1::Envelope { payload_type: kind.as_str().to_owned(), payload, signatures })
}

/// `SHA-256(PAE)` of an envelope: what words stand for and approvals name.
pub fn digest(envelope: &v1::Envelope) -> Digest {
    Digest::new(crypto::sha256(&signed_bytes(envelope)))
}

/// Decodes an envelope of `kind`, its signatures unverified.
pub fn decode(bytes: &[u8], kind: PayloadType) -> Result<v1::Envelope, EnvelopeError> {
    if bytes.len() > kind.limit() {
        return Err(EnvelopeError::TooLarge(kind.limit()));
    }
    let envelope: v1::Envelope =
        strict::decode("postern.v1.Envelope", bytes).map_err(EnvelopeError::Malformed)?;
    check(&envelope, kind)?;
    Ok(envelope)
}

/// Refuses an envelope of another kind, or without 1 to 8 signatures.
pub fn check(envelope: &v1::Envelope, kind: PayloadType) -> Result<(), EnvelopeError> {
    if envelope.payload_type != kind.as_str() {
        let got = text::escape(&envelope.payload_type, 80);
        return Err(EnvelopeError::Type { wanted: kind.as_str(), got });
    }
    match envelope.signatures.len() {
        1..=MAX_SIGNATURES => Ok(()),
        count => Err(EnvelopeError::Count(count)),
    }
}

/// Checks that at least `threshold` distinct keys of `keys` signed; gives those that did.
///
/// Signatures by keys that are not asked for are ignored, and so is `keyid`, which anyone can write.
pub fn verify<'k>(
    envelope: &v1::Envelope,
    keys: &'k [PublicKey],
    threshold: usize,
) -> Result<Vec<&'k PublicKey>, EnvelopeError> {
    let message = signed_bytes(envelope);
    let mut proven: Vec<&PublicKey> = Vec::new();
    for key in keys {
        let signed = |signature: &v1::Signature| key.verify(&message, &signature.sig).is_ok();
        if !proven.contains(&key) && envelope.signatures.iter().take(MAX_SIGNATURES).any(signed) {
            proven.push(key);
        }
    }
    // A threshold of 0 would prove nothing.
    let wanted = threshold.max(1);
    if proven.len() < wanted {
        return Err(EnvelopeError::Unproven { got: proven.len(), wanted });
    }
    Ok(proven)
}

/// Decodes, verifies one signature by any of `keys`, and only then reads the payload.
pub fn open<M: Message + Default>(
    bytes: &[u8],
    kind: PayloadType,
    keys: &[PublicKey],
) -> Result<(M, v1::Envelope), EnvelopeError> {
    let envelope = decode(bytes, kind)?;
    verify(&envelope, keys, 1)?;
    let message = payload(&envelope, kind).map_err(EnvelopeError::Payload)?;
    Ok((message, envelope))
}

/// Reads the payload, refusing unknown fields; the caller has verified the envelope.
pub fn payload<M: Message + Default>(envelope: &v1::Envelope, kind: PayloadType) -> Result<M, StrictError> {
    strict::decode(kind.message(), &envelope.payload)
}

/// DSSE's pre-authentication encoding of an envelope: the bytes that are signed.
pub(crate) fn signed_bytes(envelope: &v1::Envelope) -> Vec<u8> {
    pae(&envelope.payload_type, &envelope.payload)
}

/// `"DSSEv1" SP len(type) SP type SP len(payload) SP payload`.
fn pae(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Most bytes of an envelope: a request is text and a CSR, a bundle a few certificates.
pub const MAX_ENVELOPE: usize = 65_536;
/// Most bytes of an outcome's envelope, which lists up to 4,096 methods.
pub const MAX_OUTCOME: usize = 262_144;
/// Most bytes of a receipt's envelope, which lists up to 10,000 calls; as large as any file that is read.
pub const MAX_RECEIPT: usize = 1_048_576;
/// More would only be work for the verifier.
pub(super) const MAX_SIGNATURES: usize = 8;

#[cfg(test)]
mod tests;
