//! The seam to the audit log. Explicitly nothing is written yet: this build keeps no audit log.
//!
//! Callers already do what the log will need: the intent before a decision is acted on or a mutating call is
//! forwarded, and a refusal if it cannot be recorded; the outcome after.

use tunnel_protos::{GrantId, MethodName, RequestId, TargetName, v1::RequestState};

/// The log of one replica; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Audit(());

/// What is about to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent<'a> {
    /// A request moves to a state.
    Move {
        /// Which request.
        request: &'a RequestId,
        /// Where to.
        state: RequestState,
        /// The rule that decided; may be empty.
        rule: &'a str,
    },
    /// A call that mutates is forwarded to the engine.
    Call {
        /// Under which grant.
        grant: &'a GrantId,
        /// To which target.
        target: &'a TargetName,
        /// What is called.
        method: &'a MethodName,
    },
}

/// What came of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The request has moved and is stored.
    Moved,
    /// The call ended.
    Called {
        /// gRPC status code.
        status: u32,
        /// Message bytes from the operator.
        bytes_in: u64,
        /// Message bytes to the operator.
        bytes_out: u64,
    },
    /// It did not happen.
    Failed,
}

/// A recorded intent that waits for its outcome; without one the log will say `indeterminate`.
#[derive(Debug)]
#[must_use = "an intent without an outcome is indeterminate"]
pub struct Entry(());

/// The log cannot be written: what mutates must be refused at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written")]
pub struct Unwritable;

impl Audit {
    /// Will record durably what is about to happen; does nothing yet.
    pub async fn intent(&self, _intent: Intent<'_>) -> Result<Entry, Unwritable> {
        std::future::ready(Ok(Entry(()))).await
    }

    /// Will record what came of it; does nothing yet.
    pub fn outcome(&self, _entry: Entry, _outcome: Outcome) {}
}
