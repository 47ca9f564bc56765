//! What the API needs of the rest of the client: the seam to `requests/` and the status.

use std::future::Future;

use tunnel_protos::{
    GrantId, PersonText,
    approvers::{RequestView, Status},
    v1::RequestState,
};

/// Where the customer's commands land; `requests/` implements it.
pub trait Desk: Clone + Send + Sync + 'static {
    /// Requests, newest first; ended ones too if `all`.
    fn list(&self, all: bool) -> Vec<RequestView>;

    /// Ends a live grant for ever and cuts its sessions.
    fn revoke(
        &self,
        grant: GrantId,
        note: PersonText,
        by: Peer,
    ) -> impl Future<Output = Result<Revoked, RevokeError>> + Send;

    /// The client at a glance.
    fn status(&self) -> Status;
}

/// Who is at the other end of the socket, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// User id.
    pub uid: u32,
}

/// A grant was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// Sessions that were open under it.
    pub sessions_cut: u32,
}

/// Why nothing was revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// No request of this id.
    #[error("no such request")]
    Unknown,
    /// Only live grants and pending requests can be revoked.
    #[error("the request is {0:?} already; there is nothing to revoke")]
    NotLive(RequestState),
    /// It is revoked in memory, and sessions are cut, but a restart would forget it.
    #[error("revoked, but not stored: it would come back with a restart; free the disk and revoke again")]
    NotStored(#[source] Box<dyn std::error::Error + Send + Sync>),
}
