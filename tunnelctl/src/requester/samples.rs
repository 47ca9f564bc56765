//! Outcomes for tests.

use tunnel_certs::statement::outcome::Outcome;
use tunnel_protos::{
    Digest, UnixMillis,
    v1::{Deadlines, RequestState},
};

/// An outcome in `state`, the first of its request.
pub(crate) fn outcome(state: RequestState) -> Outcome {
    Outcome {
        request_digest: Digest::new([7; 32]),
        sequence: 1,
        state,
        time: UnixMillis(1_000),
        reason: String::new(),
        rule: String::new(),
        approvals_had: 0,
        approvals_needed: 1,
        notified: vec![("alice".into(), UnixMillis(1_000))],
        deadlines: Deadlines { pending_until_ms: 60_000, ..Deadlines::default() },
        granted: None,
        issued: None,
    }
}
