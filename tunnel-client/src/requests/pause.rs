//! A pause as those who must obey it see it: in force while the watched value is there.

use tokio::sync::watch;
use tunnel_protos::{PauseId, UnixMillis};

/// A pause in force: nothing passes the gate until an approver resumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// What a resume names.
    pub id: PauseId,
    /// When it began.
    pub since: UnixMillis,
    /// An approver's name, or `uid 1001`, or `client` if it paused itself.
    pub who: String,
    /// One line; may be empty.
    pub note: String,
    /// False while a restart would forget it.
    pub stored: bool,
}

impl Pause {
    /// What operators are told of why; empty for what the client says of itself, which is for the customer.
    pub fn told(&self) -> &str {
        if self.who == CLIENT { "" } else { &self.note }
    }

    /// Who paused and why, as operators are told.
    pub(super) fn sentence(&self) -> String {
        let Self { who, .. } = self;
        match self.told() {
            "" => format!("Paused by the customer ({who})"),
            note => format!("Paused by the customer ({who}: {note})"),
        }
    }
}

/// Who paused, where nobody did but the client.
pub(super) const CLIENT: &str = "client";

/// The pause now; none while work goes on.
pub type PauseState = watch::Receiver<Option<Pause>>;
