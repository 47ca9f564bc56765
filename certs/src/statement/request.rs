//! Operators' requests: what they hold, and every check that needs no memory of earlier ones.

mod open;
pub mod operation;
mod read;
mod read_operation;

use std::time::Duration;

use prost::Message;
use rustls_pki_types::CertificateDer;
use tunnel_protos::{
    ClusterName, Digest, GrantId, Label, MethodPattern, OperatorName, PersonText, RequestId, TargetName,
    UnixMillis, v1,
};

pub use self::{
    open::{MAX_LIFE, OpenError, Place, Reply, open},
    operation::Operation,
    read::Fault,
};
use super::envelope::{self, PayloadType};
use crate::{
    key::{SealingPublicKey, SignError, Signer},
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
    /// An operation of the closed set.
    Operation(Box<Operation>),
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

/// Signs a request with the operator's key, whose certificate goes along.
pub fn make(
    request: &Request,
    signer: &dyn Signer,
    certificate: &CertificateDer<'_>,
) -> Result<v1::Envelope, SignError> {
    let payload = request.to_message().encode_to_vec();
    envelope::sign(PayloadType::Request, payload, &[(signer, Some(certificate))])
}

impl Request {
    fn to_message(&self) -> v1::Request {
        v1::Request {
            version: VERSION,
            cluster: self.cluster.to_string(),
            label: self.label.to_string(),
            id: self.id.to_string(),
            operator: self.operator.to_string(),
            issued_ms: self.issued.0,
            expires_ms: self.expires.0,
            reason: Some(self.reason.to_message()),
            outcome_key: self.outcome_key.as_bytes().to_vec(),
            kind: Some(self.kind.to_message()),
        }
    }
}

impl Reason {
    fn to_message(&self) -> v1::Reason {
        v1::Reason {
            r#type: self.occasion.to_message().into(),
            text: self.text.to_string(),
            ticket: self.ticket.to_string(),
        }
    }
}

impl Occasion {
    fn to_message(self) -> v1::ReasonType {
        match self {
            Self::Incident => v1::ReasonType::Incident,
            Self::Change => v1::ReasonType::Change,
            Self::Support => v1::ReasonType::Support,
            Self::Other => v1::ReasonType::Other,
        }
    }
}

impl Kind {
    fn to_message(&self) -> v1::request::Kind {
        match self {
            Self::Access(access) => v1::request::Kind::Access(v1::AccessRequest {
                methods: access.methods.iter().map(ToString::to_string).collect(),
                targets: access.targets.iter().map(ToString::to_string).collect(),
                raw: access.raw,
                wanted_ms: operation::millis(access.wanted),
            }),
            Self::Operation(operation) => v1::request::Kind::Operation(operation.to_message()),
            Self::Certificate(Certificate { grant, csr }) => {
                let (grant, csr) = (grant.to_string(), csr.clone());
                v1::request::Kind::Certificate(v1::CertificateRequest { grant, csr })
            }
            Self::Withdraw(Withdraw { request }) => {
                v1::request::Kind::Withdraw(v1::WithdrawRequest { request: request.to_string() })
            }
        }
    }
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests;
