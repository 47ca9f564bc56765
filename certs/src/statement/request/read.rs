//! From the message to the typed request: grammar and bounds of each field, nothing about trust or time.

use std::{str::FromStr, time::Duration};

use tunnel_protos::{PersonText, v1};

use super::{Access, Certificate, Kind, Occasion, Reason, Request, VERSION, Withdraw, read_operation};
use crate::{
    csr::{self, CsrError},
    key::SealingPublicKey,
};

/// What is wrong with a request whose signature was proven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Unknown fields, or no message at all.
    #[error("{0}")]
    Payload(String),
    /// A version that this build does not speak.
    #[error("version {0} is not spoken here")]
    Version(u32),
    /// A field outside its grammar.
    #[error("its {0} is malformed or missing")]
    Field(&'static str),
    /// A text that could disguise something.
    #[error("its {field} is {error}")]
    Text {
        /// Which.
        field: &'static str,
        /// Why.
        error: tunnel_protos::text::TextError,
    },
    /// None, or too many.
    #[error("it names {got} {what}, which is none or too many")]
    Number {
        /// Of what.
        what: &'static str,
        /// How many came.
        got: usize,
    },
    /// None of the kinds that this build knows.
    #[error("it asks for nothing that is known here")]
    NoKind,
    /// A certificate request that holds no usable key.
    #[error("its certificate request is refused: {0}")]
    Csr(CsrError),
    /// Another operator than the one who signed.
    #[error("it names another operator than its certificate")]
    Operator,
    /// For another cluster.
    #[error("it is for another cluster")]
    Cluster,
    /// Issued while the operator's certificate was not valid.
    #[error("it was issued outside the life of the operator's certificate")]
    Issued,
    /// Issued too far in the future.
    #[error("it was issued in the future; are the clocks right?")]
    Future,
    /// Over.
    #[error("it has expired, or the clocks are wrong")]
    Expired,
    /// Valid for longer than a request may be.
    #[error("it is valid for more than 24 hours, or never")]
    Life,
    /// Valid for longer than its signer.
    #[error("it outlives the operator's certificate")]
    OutlivesCertificate,
}

/// Reads every field of `message`.
pub(super) fn request(message: v1::Request) -> Result<Request, Fault> {
    if message.version != VERSION {
        return Err(Fault::Version(message.version));
    }
    Ok(Request {
        id: field("id", &message.id)?,
        cluster: field("cluster", &message.cluster)?,
        label: field("label", &message.label)?,
        operator: field("operator", &message.operator)?,
        issued: tunnel_protos::UnixMillis(message.issued_ms),
        expires: tunnel_protos::UnixMillis(message.expires_ms),
        reason: reason(&message.reason.ok_or(Fault::Field("reason"))?)?,
        outcome_key: outcome_key(&message.outcome_key)?,
        kind: kind(message.kind.ok_or(Fault::NoKind)?)?,
    })
}

/// Reads the key that outcomes are sealed to.
pub(super) fn outcome_key(raw: &[u8]) -> Result<SealingPublicKey, Fault> {
    SealingPublicKey::try_from(raw).map_err(|_| Fault::Field("outcome key"))
}

fn reason(message: &v1::Reason) -> Result<Reason, Fault> {
    let occasion = match message.r#type() {
        v1::ReasonType::Unspecified => return Err(Fault::Field("reason's type")),
        v1::ReasonType::Incident => Occasion::Incident,
        v1::ReasonType::Change => Occasion::Change,
        v1::ReasonType::Support => Occasion::Support,
        v1::ReasonType::Other => Occasion::Other,
    };
    let reason =
        Reason { occasion, text: text("reason", &message.text)?, ticket: text("ticket", &message.ticket)? };
    if reason.text.is_blank() { Err(Fault::Field("reason")) } else { Ok(reason) }
}

fn kind(message: v1::request::Kind) -> Result<Kind, Fault> {
    match message {
        v1::request::Kind::Access(message) => access(&message).map(Kind::Access),
        v1::request::Kind::Operation(message) => {
            read_operation::operation(message).map(Box::new).map(Kind::Operation)
        }
        v1::request::Kind::Certificate(message) => certificate(message).map(Kind::Certificate),
        v1::request::Kind::Withdraw(message) => {
            Ok(Kind::Withdraw(Withdraw { request: field("withdrawn request", &message.request)? }))
        }
    }
}

fn access(message: &v1::AccessRequest) -> Result<Access, Fault> {
    if message.wanted_ms == 0 {
        return Err(Fault::Field("wanted duration"));
    }
    Ok(Access {
        methods: list("methods", "method pattern", &message.methods)?,
        targets: list("targets", "target", &message.targets)?,
        raw: message.raw,
        wanted: Duration::from_millis(message.wanted_ms),
    })
}

fn certificate(message: v1::CertificateRequest) -> Result<Certificate, Fault> {
    csr::public_key(&message.csr).map_err(Fault::Csr)?;
    Ok(Certificate { grant: field("grant", &message.grant)?, csr: message.csr })
}

fn list<T: FromStr>(what: &'static str, item: &'static str, texts: &[String]) -> Result<Vec<T>, Fault> {
    if !(1..=MAX_ITEMS).contains(&texts.len()) {
        return Err(Fault::Number { what, got: texts.len() });
    }
    texts.iter().map(|text| field(item, text)).collect()
}

pub(super) fn field<T: FromStr>(name: &'static str, text: &str) -> Result<T, Fault> {
    text.parse().map_err(|_| Fault::Field(name))
}

pub(super) fn text(field: &'static str, text: &str) -> Result<PersonText, Fault> {
    text.parse().map_err(|error| Fault::Text { field, error })
}

/// As many as an approver can read.
const MAX_ITEMS: usize = 64;
