//! Who looks and who acts: the seam behind which an engine stands, and a Kubernetes cluster may.
//!
//! Whatever stands behind it, every wait ends by a deadline, and dropping a wait leaves nothing of ours behind.

pub(super) mod engine;

use std::{future::Future, time::Duration};

use super::{Collecting, Progress, found::Found};

/// Looks at components and changes them.
pub(super) trait Executor: Clone + Send + Sync + 'static {
    /// What is there now of these components, and whether all is well; an error is one sentence.
    fn look(&self, components: &[String]) -> impl Future<Output = Result<Found, String>> + Send;

    /// Does one step's work.
    fn call(&self, work: Work, progress: Progress) -> impl Future<Output = Result<(), CallFailed>> + Send;
}

/// The work of a step.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// A call, exactly as the plan says it, at the first of these targets that can be reached.
    Call {
        targets: String,
        method: String,
        json: String,
        timeout: Duration,
        /// Whose rules for progress and success count; empty for none.
        task: String,
    },
    /// A debug bundle.
    Collect(Collecting),
}

/// Why a step's work failed; one sentence each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallFailed {
    /// It was answered with a no.
    #[error("{0}")]
    Refused(String),
    /// It ended badly after it had begun: what it did until then is done.
    #[error("{0}")]
    Ended(String),
    /// No target could be reached: it took no effect.
    #[error("{0}")]
    Unsent(String),
    /// No answer came: it may have taken effect.
    #[error("{0}")]
    Lost(String),
}
