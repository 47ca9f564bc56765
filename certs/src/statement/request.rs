//! Operators' requests: what they hold, and every check that needs no memory of earlier ones.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tunnel_protos::{
    ClusterName, Digest, GrantId, Label, MethodPattern, OperatorName, PersonText, RequestId, TargetName,
    UnixMillis, v1,
};

use super::envelope::EnvelopeError;
use crate::{
    key::{SealingPublicKey, SignError, Signer},
    verify::{OperatorVerifier, VerifyError},
    words::Words,
};

/// What an operator asks; every field has been checked against its grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Chosen by the operator; the id of the grant it may become.
    pub id: RequestId,
    /// The cluster's name.
    pub cluster: ClusterName,
    /// The cluster's label.
    pub label: Label,
    /// Who asks: the name in the signing certificate.
    pub operator: OperatorName,
    /// When.
    pub issued: UnixMillis,
    /// At most 24 h after `issued`, never after the signing certificate.
    pub expires: UnixMillis,
    /// Why.
    pub reason: Reason,
    /// Outcomes are sealed to it.
    pub outcome_key: SealingPublicKey,
    /// What.
    pub kind: Kind,
}

/// Why something is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The occasion.
    pub occasion: Occasion,
    /// Not blank.
    pub text: PersonText,
    /// May be empty.
    pub ticket: PersonText,
}

/// The occasion of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// Something is broken.
    Incident,
    /// Planned work.
    Change,
    /// A customer's question.
    Support,
    /// Anything else.
    Other,
}

/// The kinds of request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Methods of the engine.
    Access(Access),
    /// A certificate under a live grant.
    Certificate(Certificate),
    /// The end of an own request or grant.
    Withdraw(Withdraw),
}

/// Asks for methods of the engine's admin gRPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// 1 to 64.
    pub methods: Vec<MethodPattern>,
    /// 1 to 64.
    pub targets: Vec<TargetName>,
    /// Also methods that the profile maps to operations.
    pub raw: bool,
    /// How long the work may take.
    pub wanted: Duration,
}

/// Asks for a certificate under a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The grant.
    pub grant: GrantId,
    /// PKCS#10 (DER); its self-signature and key were checked.
    pub csr: Vec<u8>,
}

/// Ends the same operator's request or grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdraw {
    /// Which.
    pub request: RequestId,
}

/// A request that proved itself, with what identifies it.
#[derive(Debug, Clone)]
pub struct Opened {
    /// What is asked.
    pub request: Request,
    /// `SHA-256(PAE)`.
    pub digest: Digest,
    /// The digest's words.
    pub words: Words,
}

/// Who and where a request must be for and from.
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
    /// The signer's certificate does not hold.
    #[error("the operator's certificate")]
    Certificate(#[source] VerifyError),
    /// Proven, but not to be followed.
    #[error("the request is not acceptable: {fault}")]
    Refused {
        /// Proven signer.
        operator: OperatorName,
        /// Digest of the envelope.
        digest: Digest,
        /// Id and outcome key, if at least these could be read: where to send the refusal.
        reply: Option<(RequestId, SealingPublicKey)>,
        /// What is wrong.
        fault: Fault,
    },
}

/// What is wrong with a request whose signature was proven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Unknown fields or no message at all.
    #[error("{0}")]
    Payload(String),
}

impl OpenError {
    /// Whether the operator's signature had been proven: only then is an outcome sent and a refusal logged.
    pub fn is_proven(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

/// Signs a request with the operator's key, whose certificate goes along.
pub fn make(
    request: &Request,
    signer: &dyn Signer,
    certificate: &CertificateDer<'_>,
) -> Result<v1::Envelope, SignError> {
    todo!()
}

/// Opens an envelope's bytes with every check that needs no client state; `received` is the first receipt.
pub fn open(
    bytes: &[u8],
    place: Place<'_>,
    received: UnixMillis,
    now: UnixMillis,
) -> Result<Opened, OpenError> {
    todo!()
}
