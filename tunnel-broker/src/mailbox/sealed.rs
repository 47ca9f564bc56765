//! Sealed requests and outcomes whose shape was checked; what is inside stays unread.

use tunnel_certs::{crypto, seal};
use tunnel_protos::{
    EnvelopeId, Label, SealingKeyId,
    v1::{SealedOutcome, SealedRequest},
};

/// A field of a sealed message that cannot be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed message's {0} is malformed")]
pub(crate) struct ShapeError(&'static str);

/// A sealed request of the right shape, with its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    pub(crate) id: EnvelopeId,
    pub(crate) label: Label,
    pub(crate) sealed: SealedRequest,
}

/// A sealed outcome of the right shape, with the name of its request and the digest of its own bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) id: EnvelopeId,
    pub(crate) sha256: [u8; 32],
    pub(crate) sealed: SealedOutcome,
}

impl TryFrom<SealedRequest> for Request {
    type Error = ShapeError;

    fn try_from(sealed: SealedRequest) -> Result<Self, ShapeError> {
        let label = sealed.label.parse().map_err(|_| ShapeError("label"))?;
        check(sealed.key_id.len() == SealingKeyId::LEN, "key id")?;
        check(sealed.enc.len() == ENC, "encapsulated key")?;
        check((TAG..=MAX_REQUEST + TAG).contains(&sealed.ciphertext.len()), "ciphertext")?;
        Ok(Self { id: seal::envelope_id(&sealed), label, sealed })
    }
}

impl TryFrom<SealedOutcome> for Outcome {
    type Error = ShapeError;

    fn try_from(sealed: SealedOutcome) -> Result<Self, ShapeError> {
        let id = EnvelopeId::try_from(&sealed.envelope_id[..]).map_err(|_| ShapeError("envelope id"))?;
        check(sealed.enc.len() == ENC, "encapsulated key")?;
        check((TAG..=MAX_OUTCOME + TAG).contains(&sealed.ciphertext.len()), "ciphertext")?;
        let sha256 = crypto::sha256(&prost::Message::encode_to_vec(&sealed));
        Ok(Self { id, sha256, sealed })
    }
}

fn check(right: bool, field: &'static str) -> Result<(), ShapeError> {
    if right { Ok(()) } else { Err(ShapeError(field)) }
}

/// X25519.
const ENC: usize = 32;
/// AES-256-GCM.
const TAG: usize = 16;
/// As the messages' comments say.
const MAX_REQUEST: usize = 65_536;
const MAX_OUTCOME: usize = 262_144;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The field that is wrong, and how it is made so.
    type Case<T> = (&'static str, fn(&mut T));

    /// A request that nobody can open.
    pub(crate) fn request(n: u8) -> SealedRequest {
        SealedRequest {
            label: "k3v7aaaaaa".to_owned(),
            key_id: vec![1; 8],
            enc: vec![n; 32],
            ciphertext: vec![n; 40].into(),
        }
    }

    /// An outcome that nobody can open.
    pub(crate) fn outcome(id: EnvelopeId, n: u8) -> SealedOutcome {
        SealedOutcome {
            envelope_id: id.as_bytes().to_vec(),
            enc: vec![n; 32],
            ciphertext: vec![n; 40].into(),
        }
    }

    #[test]
    fn requests_of_another_shape_are_refused() {
        let cases: [Case<SealedRequest>; 5] = [
            ("label", |r| r.label = "K3v7aaaaaa".to_owned()),
            ("key id", |r| r.key_id = vec![1; 9]),
            ("encapsulated key", |r| r.enc = vec![1; 31]),
            ("ciphertext", |r| r.ciphertext = vec![1; 15].into()),
            ("ciphertext", |r| r.ciphertext = vec![1; MAX_REQUEST + TAG + 1].into()),
        ];
        for (field, bend) in cases {
            let mut sealed = request(1);
            bend(&mut sealed);
            assert_eq!(Request::try_from(sealed), Err(ShapeError(field)));
        }
    }

    #[test]
    fn outcomes_of_another_shape_are_refused() {
        let cases: [Case<SealedOutcome>; 3] = [
            ("envelope id", |o| o.envelope_id = vec![1; 31]),
            ("encapsulated key", |o| o.enc = vec![]),
            ("ciphertext", |o| o.ciphertext = vec![1; MAX_OUTCOME + TAG + 1].into()),
        ];
        for (field, bend) in cases {
            let mut sealed = outcome(EnvelopeId::new([1; 32]), 1);
            bend(&mut sealed);
            assert_eq!(Outcome::try_from(sealed), Err(ShapeError(field)));
        }
    }

    #[test]
    fn outcomes_are_told_apart_by_their_bytes() {
        let id = EnvelopeId::new([1; 32]);
        let digest = |n| Outcome::try_from(outcome(id, n)).unwrap().sha256;
        assert_eq!(digest(1), digest(1));
        assert_ne!(digest(1), digest(2));
    }
}
