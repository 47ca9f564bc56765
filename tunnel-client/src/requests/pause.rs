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

/// The pause now; none while work goes on.
pub type PauseState = watch::Receiver<Option<Pause>>;
