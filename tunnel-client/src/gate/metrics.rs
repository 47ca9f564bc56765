//! The gate's metrics: names, labels of bounded cardinality, handles made once.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use tonic::Code;
use tunnel_runtime::grpc::code;

use super::End;

/// Sessions open now.
pub const SESSIONS: &str = "postern_client_sessions";
/// Sessions that ended, by how.
pub const SESSIONS_ENDED: &str = "postern_client_sessions_ended_total";
/// TLS handshakes by result.
pub const HANDSHAKES: &str = "postern_client_gate_handshakes_total";
/// Calls by class (`read`, `mutate`, `refused`) and gRPC code.
pub const CALLS: &str = "postern_client_calls_total";
/// Refused or broken calls by reason.
pub const REFUSALS: &str = "postern_client_refusals_total";
/// Message bytes by direction (`up` to the engine, `down` to the operator).
pub const BYTES: &str = "postern_client_bytes_total";
/// What went wrong with the engine, by kind.
pub const ENGINE_FAULTS: &str = "postern_client_engine_faults_total";

/// Describes every metric of this file; called once, when the recorder is in place.
pub fn describe() {
    describe_gauge!(SESSIONS, "Operators' sessions open now");
    describe_counter!(SESSIONS_ENDED, "Operators' sessions that ended, by how: closed, broken, cut, abuse");
    describe_counter!(HANDSHAKES, "Handshakes at the gate, by result");
    describe_counter!(CALLS, "Calls by class and gRPC code");
    describe_counter!(REFUSALS, "Calls refused or broken off by the gate, by reason");
    describe_counter!(BYTES, "Message bytes by direction");
    describe_counter!(ENGINE_FAULTS, "What went wrong with the engine, by kind");
    // There before their first event, or they would never increase.
    for fault in [EngineFault::Unreachable, EngineFault::Hung, EngineFault::Call] {
        counter!(ENGINE_FAULTS, "kind" => fault.label()).increment(0);
    }
}

/// What a call is to the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Changes nothing.
    Read,
    /// May change something.
    Mutate,
    /// Was not forwarded.
    Refused,
}

/// How a handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handshake {
    /// A session.
    Ok,
    /// By an alert, or the peer went away.
    Failed,
    /// Not in time.
    Deadline,
    /// No such door.
    UnknownDoor,
    /// Newer ones took its place.
    PushedOut,
}

/// What went wrong with the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EngineFault {
    /// No connection.
    Unreachable,
    /// No answer to a ping.
    Hung,
    /// It misbehaved within a call.
    Call,
}

/// Counts a session that is over.
pub(super) fn session_ended(end: End) {
    counter!(SESSIONS_ENDED, "reason" => end.name()).increment(1);
}

impl Handshake {
    pub(super) fn count(self) {
        let result = match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Deadline => "deadline",
            Self::UnknownDoor => "unknown_door",
            Self::PushedOut => "pushed_out",
        };
        counter!(HANDSHAKES, "result" => result).increment(1);
    }
}

impl EngineFault {
    pub(super) fn count(self) {
        counter!(ENGINE_FAULTS, "kind" => self.label()).increment(1);
    }

    fn label(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Hung => "hung",
            Self::Call => "call",
        }
    }
}

impl Class {
    fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Mutate => "mutate",
            Self::Refused => "refused",
        }
    }
}

/// Handles of what is counted for every call or chunk; made when the gate is built.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) sessions: Gauge,
    pub(super) up: Counter,
    pub(super) down: Counter,
    read: Vec<Counter>,
    mutate: Vec<Counter>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        Self {
            sessions: gauge!(SESSIONS),
            up: counter!(BYTES, "direction" => "up"),
            down: counter!(BYTES, "direction" => "down"),
            read: by_code(Class::Read),
            mutate: by_code(Class::Mutate),
        }
    }

    /// Counts a call that ended with `code`.
    pub(super) fn call(&self, class: Class, code: Code) {
        let of_class = match class {
            Class::Read => &self.read,
            Class::Mutate => &self.mutate,
            Class::Refused => {
                return counter!(CALLS, "class" => class.label(), "code" => code::name(code)).increment(1);
            }
        };
        if let Some(counter) = of_class.get(code as usize) {
            counter.increment(1);
        }
    }

    /// Counts a refusal.
    pub(super) fn refusal(reason: &'static str) {
        counter!(REFUSALS, "reason" => reason).increment(1);
    }
}

fn by_code(class: Class) -> Vec<Counter> {
    let one = |name: &&'static str| counter!(CALLS, "class" => class.label(), "code" => *name);
    code::NAMES.iter().map(one).collect()
}
