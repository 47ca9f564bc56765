//! One sentence for each refusal: what is the matter, and what to do about it.

use tunnel_protos::{GrantId, MethodName, text::escape};

use super::{Caller, Limit, Refusal, Shape};
use crate::gate::{grants::Over, methods::is_reflection};

impl Refusal {
    /// What an operator reads.
    pub(super) fn sentence(&self, caller: &Caller, method: Option<&MethodName>) -> String {
        let Caller { cluster, grant } = caller;
        match self {
            Self::Shape(shape) => format!("not a gRPC call: {}", shape.sentence()),
            Self::CertificateExpired => {
                format!(
                    "the certificate has expired; run `tunnelctl connect {cluster} --resume {grant}` for a new one"
                )
            }
            Self::GrantOver(over) => {
                format!("{}; run `{}` for a new one", over.sentence(grant), ask(caller, method))
            }
            Self::NotGranted(method) => {
                format!("{method} is not granted; run `{}` to ask for it", ask(caller, Some(method)))
            }
            Self::OfOperation { method, operation, name } => {
                format!(
                    "{method} belongs to an operation; run `tunnelctl request {operation} {cluster} {name} --reason …` \
                     to ask for that"
                )
            }
            Self::PolicyStricter { method, rule } => {
                let ask = ask(caller, Some(method));
                format!(
                    "the customer's policy no longer lets {method} pass ({rule}); run `{ask}` to ask again"
                )
            }
            Self::Limit { rule, limit } => limit.sentence(rule, &ask(caller, method)),
            Self::Paused { since, note } => {
                let why = if note.is_empty() { String::new() } else { format!(": {}", escape(note, NOTE)) };
                format!(
                    "paused by the customer since {since}{why}; ask them, and try again when they have resumed"
                )
            }
            Self::GrantWaiting => GRANT_WAITING.to_owned(),
            Self::Sessions => SESSIONS.to_owned(),
            Self::EngineDown => ENGINE_DOWN.to_owned(),
            Self::EngineLost => ENGINE_LOST.to_owned(),
            Self::EngineNotGrpc => ENGINE_NOT_GRPC.to_owned(),
            Self::EngineHeaders => ENGINE_HEADERS.to_owned(),
            Self::EngineFlood => ENGINE_FLOOD.to_owned(),
            Self::EngineNoStatus => ENGINE_NO_STATUS.to_owned(),
            Self::Draining => DRAINING.to_owned(),
            Self::AuditUnwritable => AUDIT_UNWRITABLE.to_owned(),
            Self::Deadline => DEADLINE.to_owned(),
            Self::NoDescriptors => NO_DESCRIPTORS.to_owned(),
            Self::Reflection => REFLECTION.to_owned(),
        }
    }
}

/// The command that asks for what was called.
fn ask(caller: &Caller, method: Option<&MethodName>) -> String {
    let cluster = &caller.cluster;
    // An operation's own API comes with its grant only.
    if method.is_some_and(MethodName::is_reserved) {
        return format!("tunnelctl request … {cluster} … --reason …");
    }
    // Clients reflect by themselves, on the way to what their caller wants.
    let wanted = method.map(MethodName::as_str).filter(|name| !is_reflection(name));
    let method = wanted.unwrap_or("…");
    format!("tunnelctl connect {cluster} --method {method} --reason …")
}

/// Longer than any note.
const NOTE: usize = 1024;

impl Over {
    fn sentence(self, grant: &GrantId) -> String {
        let sentence = match self {
            Self::Ended => "the grant has ended",
            // The signed outcome has the customer's own words.
            Self::Revoked => {
                return format!("the customer revoked the grant (`tunnelctl watch {grant}` tells why)");
            }
            Self::Withdrawn => "the grant was withdrawn by its operator",
            Self::Expired => "the grant expired before it was used",
        };
        sentence.to_owned()
    }
}

impl Shape {
    fn sentence(self) -> &'static str {
        match self {
            Self::Method => "the HTTP method must be POST",
            Self::Path => "the path must be exactly /package.Service/Method",
            Self::ContentType => "the content type must be application/grpc",
            Self::Te => "the header `te: trailers` is missing",
            Self::Timeout => "grpc-timeout must be 1 to 8 digits and a unit",
        }
    }
}

impl Limit {
    fn sentence(self, rule: &str, ask: &str) -> String {
        match self {
            Self::Bytes(most) => {
                format!("the grant has moved the {most} bytes that {rule} allows; run `{ask}` for a new one")
            }
            Self::CallsPerMinute { most, again } => format!(
                "the grant made the {most} calls that {rule} allows in a minute; try again in {} s",
                again.as_secs().max(1)
            ),
            Self::Streams(most) => {
                format!("the grant has the {most} calls open that {rule} allows; end one and try again")
            }
        }
    }
}

const GRANT_WAITING: &str = "the grant is not in use yet; wait for `tunnelctl connect` to finish";
const SESSIONS: &str = "the grant has too many open sessions; close one and try again";
const ENGINE_DOWN: &str = "the engine does not answer; see `tunnelctl clusters` and try again";
const ENGINE_LOST: &str = "the connection to the engine broke; try again if the call may be repeated";
const ENGINE_NOT_GRPC: &str =
    "the engine did not answer with gRPC; ask the customer to check the profile's endpoint";
const ENGINE_HEADERS: &str =
    "the engine sent more headers than the gate takes, so the call was cut; look at the engine's log";
const ENGINE_FLOOD: &str =
    "the engine sent more frames than the gate takes, so its connection was cut; try again";
const ENGINE_NO_STATUS: &str = "the engine ended the call without a status; check the engine's log";
const DRAINING: &str = "the customer's client is shutting down; connect again";
const AUDIT_UNWRITABLE: &str =
    "the customer's audit log cannot be written, so nothing that mutates passes; tell the customer";
const DEADLINE: &str = "the deadline passed before the engine answered; allow more time or a shorter call";
const NO_DESCRIPTORS: &str = "the customer's profile has no descriptors, so there is nothing to list; give your client the engine's own (grpcurl: -protoset)";
const REFLECTION: &str = "not a reflection request of at most 64 KiB, uncompressed; update the client or give it descriptors of its own";
