//! The one table from what the gate refuses to the status an operator sees: code, reason, and what to do next.
//!
//! No refusal is `UNKNOWN`, and none is silent.

mod details;
mod sentence;

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;
use tunnel_protos::{ClusterName, GrantId, MethodName, UnixMillis};

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
    /// The customer paused everything.
    Paused {
        /// When.
        since: UnixMillis,
        /// Why, for operators; may be empty.
        note: String,
    },
    /// The grant does not hold the method.
    NotGranted(MethodName),
    /// The method belongs to an operation, which is asked for instead.
    OfOperation {
        /// The method.
        method: MethodName,
        /// The operation, as `tunnelctl request` names it.
        operation: &'static str,
        /// Of which component, or which task.
        name: String,
    },
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
    /// The profile has no descriptors to reflect.
    NoDescriptors,
    /// A reflection request that is none, or too large.
    Reflection,
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

/// Which of a rule's limits is reached, and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Bytes from the engine.
    Bytes(u64),
    /// Calls begun in one minute.
    CallsPerMinute {
        /// So many may.
        most: u32,
        /// Until the next may.
        again: Duration,
    },
    /// Calls open at the same time.
    Streams(u32),
}

/// Whose calls are refused: what the commands that a refusal names need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The cluster.
    pub cluster: ClusterName,
    /// The grant.
    pub grant: GrantId,
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

    /// The status as `caller` sees it, who called `method` if that is a method at all.
    pub fn status(&self, caller: &Caller, method: Option<&MethodName>) -> Status {
        let sentence = self.sentence(caller, method);
        Status::with_error_details(self.code(), sentence, self.details(caller, method))
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
            Self::Paused { .. } => (Code::FailedPrecondition, "PAUSED_BY_CUSTOMER"),
            Self::NotGranted(_) => (Code::PermissionDenied, "METHOD_NOT_GRANTED"),
            Self::OfOperation { .. } => (Code::PermissionDenied, "METHOD_OF_OPERATION"),
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
            Self::NoDescriptors => (Code::Unimplemented, "NO_DESCRIPTORS"),
            Self::Reflection => (Code::InvalidArgument, "BAD_REFLECTION_REQUEST"),
        }
    }
}

/// The domain of every `google.rpc.ErrorInfo` that Postern makes.
pub const DOMAIN: &str = "postern.dev";

#[cfg(test)]
mod tests;
