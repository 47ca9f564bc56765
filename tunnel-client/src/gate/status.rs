//! The one table from what the gate refuses to the status an operator sees: code, reason, and what to do next.
//!
//! No refusal is `UNKNOWN`, and none is silent.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tunnel_protos::{ClusterName, MethodName};

use super::grants::Over;

/// Why a call is refused or broken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Not a gRPC call.
    Shape(Shape),
    /// The grant certificate is over.
    CertificateExpired,
    /// The grant is over.
    GrantOver(Over),
    /// The grant's first certificate is not issued yet.
    GrantWaiting,
    /// The grant does not hold the method.
    NotGranted(MethodName),
    /// Today's policy is stricter than the level granted.
    PolicyStricter {
        /// The method.
        method: MethodName,
        /// The rule that says so.
        rule: String,
    },
    /// A limit of the policy is reached.
    Limit {
        /// The rule that sets it.
        rule: String,
        /// Which.
        limit: Limit,
    },
    /// The grant has as many sessions as one may have.
    Sessions,
    /// The engine cannot be reached.
    EngineDown,
    /// The connection to the engine broke during the call.
    EngineLost,
    /// What listens there does not speak gRPC.
    EngineNotGrpc,
    /// The engine's headers are larger than the gate takes.
    EngineHeaders,
    /// The engine sent more frames than the gate takes.
    EngineFlood,
    /// The engine ended the call without a status.
    EngineNoStatus,
    /// This client is shutting down.
    Draining,
    /// The call could not be recorded.
    AuditUnwritable,
    /// The call's time is over.
    Deadline,
}

/// What makes a request something else than a gRPC call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Not POST.
    Method,
    /// Not exactly `/package.Service/Method`.
    Path,
    /// Not `application/grpc`.
    ContentType,
    /// No `te: trailers`.
    Te,
    /// A `grpc-timeout` that is none.
    Timeout,
}

/// Which of a rule's limits is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Bytes from the engine.
    Bytes,
    /// Calls begun in one minute.
    CallsPerMinute,
    /// Calls open at the same time.
    Streams,
}

impl Refusal {
    /// The gRPC code.
    pub fn code(&self) -> Code {
        self.row().0
    }

    /// The machine-readable reason: a label of bounded cardinality.
    pub fn reason(&self) -> &'static str {
        self.row().1
    }

    /// The status as the operator sees it; `cluster` goes into the command to run.
    pub fn status(&self, cluster: &ClusterName) -> Status {
        let mut metadata = HashMap::from([("cluster".to_owned(), cluster.to_string())]);
        metadata.extend(self.facts().map(|(key, value)| (key.to_owned(), value)));
        let details = ErrorDetails::with_error_info(self.reason(), DOMAIN, metadata);
        Status::with_error_details(self.code(), self.sentence(cluster), details)
    }

    fn row(&self) -> (Code, &'static str) {
        match self {
            Self::Shape(_) => (Code::PermissionDenied, "NOT_A_GRPC_CALL"),
            Self::CertificateExpired => (Code::Unauthenticated, "CERTIFICATE_EXPIRED"),
            Self::GrantOver(Over::Ended) => (Code::Unauthenticated, "GRANT_ENDED"),
            Self::GrantOver(Over::Revoked) => (Code::Unauthenticated, "GRANT_REVOKED"),
            Self::GrantOver(Over::Withdrawn) => (Code::Unauthenticated, "GRANT_WITHDRAWN"),
            Self::GrantOver(Over::Expired) => (Code::Unauthenticated, "GRANT_EXPIRED"),
            Self::GrantWaiting => (Code::FailedPrecondition, "GRANT_NOT_ACTIVE"),
            Self::NotGranted(_) => (Code::PermissionDenied, "METHOD_NOT_GRANTED"),
            Self::PolicyStricter { .. } => (Code::PermissionDenied, "POLICY_STRICTER"),
            Self::Limit { .. } => (Code::ResourceExhausted, "POLICY_LIMIT"),
            Self::Sessions => (Code::ResourceExhausted, "TOO_MANY_SESSIONS"),
            Self::EngineDown => (Code::Unavailable, "ENGINE_UNREACHABLE"),
            Self::EngineLost => (Code::Unavailable, "ENGINE_CONNECTION_LOST"),
            Self::EngineNotGrpc => (Code::Unavailable, "ENGINE_NOT_GRPC"),
            Self::EngineHeaders => (Code::Unavailable, "ENGINE_HEADERS_TOO_LARGE"),
            Self::EngineFlood => (Code::Unavailable, "ENGINE_FLOOD"),
            Self::EngineNoStatus => (Code::Unavailable, "ENGINE_WITHOUT_STATUS"),
            Self::Draining => (Code::Unavailable, "CLIENT_DRAINING"),
            Self::AuditUnwritable => (Code::Unavailable, "AUDIT_UNWRITABLE"),
            Self::Deadline => (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        }
    }

    fn sentence(&self, cluster: &ClusterName) -> String {
        let again = format!("run `tunnelctl connect {cluster}` for a new one");
        match self {
            Self::Shape(shape) => format!("not a gRPC call: {}", shape.sentence()),
            Self::CertificateExpired => format!("the certificate has expired; {again}"),
            Self::GrantOver(Over::Ended) => format!("the grant has ended; {again}"),
            Self::GrantOver(Over::Revoked) => {
                format!("the customer revoked the grant; ask them why, then {again}")
            }
            Self::GrantOver(Over::Withdrawn) => format!("the grant was withdrawn by its operator; {again}"),
            Self::GrantOver(Over::Expired) => format!("the grant expired before it was used; {again}"),
            Self::GrantWaiting => "the grant is not in use yet; wait for `tunnelctl connect` to finish".to_owned(),
            Self::NotGranted(method) => format!(
                "{method} is not granted; run `tunnelctl connect {cluster} --method {method} --reason …` to ask for it"
            ),
            Self::PolicyStricter { method, rule } => format!(
                "the customer's policy no longer lets {method} pass ({rule}); run `tunnelctl connect {cluster} --method {method} --reason …` to ask again"
            ),
            Self::Limit { rule, limit } => format!("{} ({rule}); {}", limit.sentence(), limit.advice()),
            Self::Sessions => "the grant has too many open sessions; close one and try again".to_owned(),
            Self::EngineDown => "the engine does not answer; see `tunnelctl clusters` and try again".to_owned(),
            Self::EngineLost => "the connection to the engine broke; try again if the call may be repeated".to_owned(),
            Self::EngineNotGrpc => "the engine did not answer with gRPC; ask the customer to check the profile's endpoint".to_owned(),
            Self::EngineHeaders => "the engine sent more headers than the gate takes; the call was cut".to_owned(),
            Self::EngineFlood => {
                "the engine sent more frames than the gate takes; its connection was cut, try again".to_owned()
            }
            Self::EngineNoStatus => "the engine ended the call without a status; check the engine's log".to_owned(),
            Self::Draining => "the customer's client is shutting down; connect again".to_owned(),
            Self::AuditUnwritable => "the customer's audit log cannot be written, so nothing that mutates passes; tell the customer".to_owned(),
            Self::Deadline => "the deadline passed before the engine answered; allow more time or a shorter call".to_owned(),
        }
    }

    /// What an `ErrorInfo` carries besides the reason.
    fn facts(&self) -> impl Iterator<Item = (&'static str, String)> {
        let (method, rule) = match self {
            Self::NotGranted(method) => (Some(method), None),
            Self::PolicyStricter { method, rule } => (Some(method), Some(rule)),
            Self::Limit { rule, .. } => (None, Some(rule)),
            _ => (None, None),
        };
        let method = method.map(|method| ("method", method.to_string()));
        method.into_iter().chain(rule.map(|rule| ("rule", rule.clone())))
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
    fn sentence(self) -> &'static str {
        match self {
            Self::Bytes => "the grant has moved as many bytes as the policy allows",
            Self::CallsPerMinute => "the grant makes more calls in a minute than the policy allows",
            Self::Streams => "the grant has as many open calls as the policy allows",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Bytes => "ask for a new grant",
            Self::CallsPerMinute => "wait a minute",
            Self::Streams => "end one first",
        }
    }
}

/// The domain of every `google.rpc.ErrorInfo` that Postern makes.
pub const DOMAIN: &str = "postern.dev";

#[cfg(test)]
mod tests;
