//! Outcomes for tests.

use tunnel_certs::statement::outcome::{Granted, Outcome};
use tunnel_protos::{
    Digest, TargetName,
    v1::{GrantLevel, RequestState},
};

use crate::testing::{NOW, deadlines};

/// An outcome in `state`, the first of its request.
pub(crate) fn outcome(state: RequestState) -> Outcome {
    let granted = Granted {
        methods: vec![("a.B/C".parse().unwrap(), GrantLevel::Auto)],
        targets: vec![TargetName::default_target()],
    };
    Outcome {
        request_digest: Digest::new([7; 32]),
        sequence: 1,
        state,
        time: NOW,
        reason: String::new(),
        rule: String::new(),
        approvals_had: 0,
        approvals_needed: 1,
        notified: vec![("alice".into(), NOW)],
        deadlines: deadlines(NOW),
        granted: (state != RequestState::Pending).then_some(granted),
        issued: None,
    }
}
