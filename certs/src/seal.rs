//! Sealing of requests and outcomes (HPKE base mode, single shot), so that the broker carries ciphertext only.

use rustls::crypto::{
    aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as HPKE,
    hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey},
};
use tunnel_protos::{
    EnvelopeId, Label, SealingKeyId,
    v1::{SealedOutcome, SealedRequest},
};

use crate::{
    crypto,
    key::{SealingKey, SealingPublicKey},
    statement::envelope::{MAX_ENVELOPE, MAX_OUTCOME},
};

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
    /// A part of the wrong length.
    #[error("the {0} does not have its form")]
    Shape(&'static str),
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
    let key_id = key.id();
    let (enc, ciphertext) =
        seal(REQUEST_INFO, &request_aad(label.as_str(), &key_id), envelope, key, MAX_ENVELOPE)?;
    Ok(SealedRequest {
        label: label.to_string(),
        key_id: key_id.as_bytes().to_vec(),
        enc,
        ciphertext: ciphertext.into(),
    })
}

/// Opens a request with whichever of `keys` it names; gives the envelope's bytes.
pub fn open_request(
    sealed: &SealedRequest,
    label: &Label,
    keys: &[&SealingKey],
) -> Result<Vec<u8>, SealError> {
    if sealed.label != label.as_str() {
        return Err(SealError::Foreign("cluster"));
    }
    let named = |key: &&&SealingKey| key.public().id().as_bytes()[..] == sealed.key_id[..];
    let key = keys.iter().find(named).ok_or(SealError::UnknownKey)?;
    let aad = request_aad(label.as_str(), &key.public().id());
    open(REQUEST_INFO, &aad, &sealed.enc, &sealed.ciphertext, key, MAX_ENVELOPE)
}

/// `SHA-256(label ‖ key_id ‖ enc ‖ ciphertext)`: all that broker and mailbox know a request by.
///
/// The lengths of the first three are fixed, so callers refuse others first ([`check_shape`]): else two requests
/// could share an id.
pub fn envelope_id(sealed: &SealedRequest) -> EnvelopeId {
    let parts = [sealed.label.as_bytes(), &sealed.key_id, &sealed.enc, &sealed.ciphertext];
    EnvelopeId::new(crypto::sha256(&parts.concat()))
}

/// Refuses a sealed request whose parts do not have their lengths; all that a broker can check of one.
pub fn check_shape(sealed: &SealedRequest) -> Result<Label, SealError> {
    let label = sealed.label.parse().map_err(|_| SealError::Shape("label"))?;
    if sealed.key_id.len() != SealingKeyId::LEN {
        return Err(SealError::Shape("key id"));
    }
    if sealed.enc.len() != ENC_LEN {
        return Err(SealError::Shape("encapsulated key"));
    }
    match sealed.ciphertext.len() {
        0..TAG_LEN => Err(SealError::Shape("ciphertext")),
        len if len > MAX_ENVELOPE + TAG_LEN => Err(SealError::TooLarge(MAX_ENVELOPE)),
        _ => Ok(label),
    }
}

/// Seals an outcome's envelope to the key that its request named.
pub fn seal_outcome(
    envelope: &[u8],
    id: &EnvelopeId,
    key: &SealingPublicKey,
) -> Result<SealedOutcome, SealError> {
    let (enc, ciphertext) = seal(OUTCOME_INFO, id.as_bytes(), envelope, key, MAX_OUTCOME)?;
    Ok(SealedOutcome { envelope_id: id.as_bytes().to_vec(), enc, ciphertext: ciphertext.into() })
}

/// Opens the outcome of the request `id`; gives the envelope's bytes.
pub fn open_outcome(sealed: &SealedOutcome, id: &EnvelopeId, key: &SealingKey) -> Result<Vec<u8>, SealError> {
    if sealed.envelope_id != id.as_bytes() {
        return Err(SealError::Foreign("request"));
    }
    open(OUTCOME_INFO, id.as_bytes(), &sealed.enc, &sealed.ciphertext, key, MAX_OUTCOME)
}

fn seal(
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    key: &SealingPublicKey,
    limit: usize,
) -> Result<(Vec<u8>, Vec<u8>), SealError> {
    if plaintext.len() > limit {
        return Err(SealError::TooLarge(limit));
    }
    let key = HpkePublicKey(key.as_bytes().to_vec());
    let (enc, ciphertext) = HPKE.seal(info, aad, plaintext, &key).map_err(|_| SealError::Seal)?;
    Ok((enc.0, ciphertext))
}

fn open(
    info: &[u8],
    aad: &[u8],
    enc: &[u8],
    ciphertext: &[u8],
    key: &SealingKey,
    limit: usize,
) -> Result<Vec<u8>, SealError> {
    if ciphertext.len() > limit + TAG_LEN {
        return Err(SealError::TooLarge(limit));
    }
    let enc = EncapsulatedSecret(enc.to_vec());
    let key = HpkePrivateKey::from(key.secret().to_vec());
    HPKE.open(&enc, info, aad, ciphertext, &key).map_err(|_| SealError::Open)
}

fn request_aad(label: &str, key_id: &SealingKeyId) -> Vec<u8> {
    [label.as_bytes(), key_id.as_bytes()].concat()
}

const REQUEST_INFO: &[u8] = b"postern/v1/request";
const OUTCOME_INFO: &[u8] = b"postern/v1/outcome";
/// An X25519 public key.
const ENC_LEN: usize = 32;
/// AES-GCM's.
const TAG_LEN: usize = 16;

#[cfg(test)]
mod tests;
