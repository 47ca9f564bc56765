//! From received bytes to a request that may be decided: proof first, then everything else.

use std::time::Duration;

use prost::Message;
use rustls_pki_types::CertificateDer;
use tunnel_protos::{ClusterName, Digest, Label, OperatorName, RequestId, UnixMillis, v1};

use super::{
    Opened, Request,
    read::{self, Fault},
};
use crate::{
    key::SealingPublicKey,
    statement::envelope::{self, EnvelopeError, PayloadType},
    verify::{OperatorCertificate, OperatorVerifier, VerifyError},
    words::Words,
};

/// Who and where a request must be from and for.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Verifies operators.
    pub operators: &'a OperatorVerifier,
    /// Our cluster.
    pub cluster: &'a ClusterName,
    /// Our label.
    pub label: &'a Label,
}

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The envelope does not hold.
    #[error("the request's envelope")]
    Envelope(#[source] EnvelopeError),
    /// The signer's certificate does not hold at first receipt.
    #[error("the operator's certificate")]
    Certificate(#[source] VerifyError),
    /// Proven, but not to be followed.
    #[error("the request is refused: {fault}")]
    Refused {
        /// Proven signer.
        operator: OperatorName,
        /// Digest of the envelope.
        digest: Digest,
        /// Where to send the refusal, if that could be read.
        reply: Option<Reply>,
        /// What is wrong.
        fault: Box<Fault>,
    },
}

impl OpenError {
    /// Whether the operator's signature had been proven: only then is an outcome sent and a refusal logged.
    pub fn is_proven(&self) -> bool {
        match self {
            Self::Envelope(_) | Self::Certificate(_) => false,
            Self::Refused { .. } => true,
        }
    }
}

/// Where the outcome of a refused request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The request's id.
    pub id: RequestId,
    /// The key to seal to.
    pub outcome_key: SealingPublicKey,
}

/// Opens an envelope's bytes with every check that needs no client state.
///
/// `received` is the first receipt: the operator's certificate must be valid then, so that a stolen key of an expired
/// one proves nothing. `now` tells whether the request has expired since.
pub fn open(
    bytes: &[u8],
    place: Place<'_>,
    received: UnixMillis,
    now: UnixMillis,
) -> Result<Opened, OpenError> {
    let envelope = envelope::decode(bytes, PayloadType::Request).map_err(OpenError::Envelope)?;
    let signer = prove(&envelope, place.operators, received)?;
    let digest = envelope::digest(&envelope);
    let checked = read_payload(&envelope).and_then(|request| {
        check(&request, place, &signer, received, now)?;
        Ok(request)
    });
    match checked {
        Ok(request) => Ok(Opened { request, digest, words: Words::of(&digest) }),
        Err(fault) => {
            let (operator, reply, fault) = (signer.operator, reply(&envelope), Box::new(fault));
            Err(OpenError::Refused { operator, digest, reply, fault })
        }
    }
}

/// The operator behind the first signature whose certificate and bytes hold.
fn prove(
    envelope: &v1::Envelope,
    operators: &OperatorVerifier,
    received: UnixMillis,
) -> Result<OperatorCertificate, OpenError> {
    let mut refused = OpenError::Envelope(EnvelopeError::Unproven { got: 0, wanted: 1 });
    for der in envelope.signatures.iter().filter_map(|signature| signature.certificate.as_ref()) {
        match operators.verify(&[CertificateDer::from_slice(der)], received) {
            Ok(signer) => match envelope::verify(envelope, std::slice::from_ref(&signer.key), 1) {
                Ok(_) => return Ok(signer),
                Err(error) => refused = OpenError::Envelope(error),
            },
            Err(error) => refused = OpenError::Certificate(error),
        }
    }
    Err(refused)
}

fn read_payload(envelope: &v1::Envelope) -> Result<Request, Fault> {
    let message = envelope::payload(envelope, PayloadType::Request);
    read::request(message.map_err(|error| Fault::Payload(error.to_string()))?)
}

fn check(
    request: &Request,
    place: Place<'_>,
    signer: &OperatorCertificate,
    received: UnixMillis,
    now: UnixMillis,
) -> Result<(), Fault> {
    if request.operator != signer.operator {
        return Err(Fault::Operator);
    }
    if request.cluster != *place.cluster || request.label != *place.label {
        return Err(Fault::Cluster);
    }
    check_times(request, signer)?;
    if request.issued > received.plus(AHEAD) {
        return Err(Fault::Future);
    }
    if request.expires <= received.max(now) { Err(Fault::Expired) } else { Ok(()) }
}

/// Issued within the certificate's life, for at most 24 h, never longer than the certificate.
fn check_times(request: &Request, signer: &OperatorCertificate) -> Result<(), Fault> {
    if !(signer.not_before..=signer.not_after).contains(&request.issued) {
        return Err(Fault::Issued);
    }
    if request.expires <= request.issued || request.expires > request.issued.plus(MAX_LIFE) {
        return Err(Fault::Life);
    }
    if request.expires > signer.not_after { Err(Fault::OutlivesCertificate) } else { Ok(()) }
}

/// Read leniently: an operator with a newer `tunnelctl` shall learn that the cluster does not know a field.
fn reply(envelope: &v1::Envelope) -> Option<Reply> {
    let message = v1::Request::decode(&envelope.payload[..]).ok()?;
    let outcome_key = read::outcome_key(&message.outcome_key).ok()?;
    Some(Reply { id: message.id.parse().ok()?, outcome_key })
}

/// Longest life of a request.
pub const MAX_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How far an operator's clock may be ahead.
const AHEAD: Duration = Duration::from_secs(120);
