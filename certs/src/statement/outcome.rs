//! The client's answers to requests, signed by the cluster key.

mod read;
mod write;

use prost::Message;
use rustls_pki_types::CertificateDer;
use tunnel_protos::{Digest, Door, MethodName, TargetName, UnixMillis, v1};

use super::envelope::{self, EnvelopeError, PayloadType};
use crate::{
    key::{PublicKey, SignError, Signer},
    verify::Leaf,
};

/// An answer, its fields checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Digest of the request's envelope.
    pub request_digest: Digest,
    /// Rises by one with each outcome of the same request, from 1.
    pub sequence: u64,
    /// Where the request stands.
    pub state: v1::RequestState,
    /// When the client said so.
    pub time: UnixMillis,
    /// One sentence for the operator; may be empty.
    pub reason: String,
    /// The rule that decided, as far as disclosed; may be empty.
    pub rule: String,
    /// Approvals given.
    pub approvals_had: u32,
    /// Approvals needed.
    pub approvals_needed: u32,
    /// Who was notified, and when; at most 16.
    pub notified: Vec<(String, UnixMillis)>,
    /// The four deadlines.
    pub deadlines: v1::Deadlines,
    /// What was granted, from Approved on.
    pub granted: Option<Granted>,
    /// Present when a certificate request is Done.
    pub issued: Option<Issued>,
}

/// The extent of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// Every concrete method with its level; at most 4,096.
    pub methods: Vec<(MethodName, v1::GrantLevel)>,
    /// The targets; at most 64.
    pub targets: Vec<TargetName>,
}

/// A certificate, and where to use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The grant certificate.
    pub certificate: CertificateDer<'static>,
    /// Doors by target; at most 64.
    pub doors: Vec<(TargetName, Door)>,
    /// The gate's anchors, one or two.
    pub anchors: Vec<CertificateDer<'static>>,
}

/// Why an outcome was refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The envelope does not hold.
    #[error("the outcome's envelope")]
    Envelope(#[source] EnvelopeError),
    /// An answer to another request.
    #[error("the outcome answers another request")]
    OtherRequest,
    /// Older than one seen before.
    #[error("outcome {got} came after outcome {seen}")]
    Sequence {
        /// The highest seen.
        seen: u64,
        /// The one that came.
        got: u64,
    },
    /// A field outside its grammar.
    #[error("the outcome's {0} is malformed")]
    Field(&'static str),
    /// A certificate for another key than asked.
    #[error("the certificate in the outcome is not for the key that was asked for")]
    OtherKey,
}

/// Signs an outcome with the cluster key.
pub fn make(outcome: &Outcome, cluster_key: &dyn Signer) -> Result<v1::Envelope, SignError> {
    let payload = write::message(outcome).encode_to_vec();
    envelope::sign(PayloadType::Outcome, payload, &[(cluster_key, None)])
}

/// Opens an envelope's bytes: signed by `cluster_key`, about `request`, not before `last_sequence` (0 for none yet).
pub fn open(
    bytes: &[u8],
    cluster_key: &PublicKey,
    request: &Digest,
    last_sequence: u64,
) -> Result<Outcome, OpenError> {
    let keys = std::slice::from_ref(cluster_key);
    let (message, _) = envelope::open(bytes, PayloadType::Outcome, keys).map_err(OpenError::Envelope)?;
    let outcome = read::outcome(message)?;
    if outcome.request_digest != *request {
        return Err(OpenError::OtherRequest);
    }
    // The same one again is no step back: delivery is at least once.
    if outcome.sequence == 0 || outcome.sequence < last_sequence {
        return Err(OpenError::Sequence { seen: last_sequence, got: outcome.sequence });
    }
    Ok(outcome)
}

impl Issued {
    /// Refuses a certificate for another key than the one that was asked for.
    pub fn check_key(&self, asked: &PublicKey) -> Result<(), OpenError> {
        match Leaf::read(&self.certificate) {
            Ok(leaf) if leaf.key.as_ref() == Some(asked) => Ok(()),
            Ok(_) => Err(OpenError::OtherKey),
            Err(_) => Err(OpenError::Field("certificate")),
        }
    }
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests;
