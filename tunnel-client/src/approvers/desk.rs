//! What the API needs of the rest of the client: the seam to `requests/`, the gate's sessions and the status.

use std::future::Future;

use tunnel_protos::{
    Digest, GrantId, Label, OperatorName, PauseId, PersonText, RequestId, UnixMillis,
    approvers::{OperatorView, PauseView, RequestView, SessionsView, Status},
    v1::RequestState,
};

use super::{
    errors::{AnswerError, CancelError, ClockError, OperatorError, ResumeError, RevokeError},
    who::{Approver, Who},
};
use crate::policy::Approvers;

/// Where the customer's commands land; `requests/` does them.
///
/// What tightens takes [`Who`] and takes effect in memory before it is stored; what loosens takes an [`Approver`].
pub trait Desk: Clone + Send + Sync + 'static {
    /// The cluster's label: approvals for another one are refused.
    fn label(&self) -> Label;

    /// The time by which requests live.
    fn now(&self) -> UnixMillis;

    /// Who may say yes, by today's policy.
    fn approvers(&self) -> Approvers;

    /// The newest requests, newest first and at most [`MOST_REQUESTS`]; ended ones too if `all`. Of a plan they hold what a
    /// line shows.
    fn list(&self, all: bool) -> Vec<RequestView>;

    /// Requests whose id begins so, in a few words each: views are large, and any number are remembered.
    fn known(&self, prefix: &str) -> Vec<Known>;

    /// The request of this id.
    fn view(&self, id: &str) -> Option<RequestView>;

    /// The client at a glance.
    fn status(&self) -> Status;

    /// Sessions that are open now.
    fn sessions(&self) -> SessionsView;

    /// Operators that asked here, and those that are denied.
    fn operators(&self) -> Vec<OperatorView>;

    /// Says yes to a pending request whose envelope has this digest, and whose plan that one if it is an operation.
    fn approve(
        &self,
        request: RequestId,
        digest: Digest,
        plan: Option<Digest>,
        note: PersonText,
        by: Approver,
    ) -> impl Future<Output = Result<(), AnswerError>> + Send;

    /// Says no to a pending request, for ever; a digest that is given must be the envelope's.
    fn deny(
        &self,
        request: RequestId,
        digest: Option<Digest>,
        note: PersonText,
        by: Who,
    ) -> impl Future<Output = Result<(), AnswerError>> + Send;

    /// Stops an operation before its next step.
    fn cancel_operation(
        &self,
        request: RequestId,
        note: PersonText,
        by: Who,
    ) -> impl Future<Output = Result<(), CancelError>> + Send;

    /// Ends a live grant for ever and cuts its sessions.
    fn revoke(
        &self,
        grant: GrantId,
        note: PersonText,
        by: Who,
    ) -> impl Future<Output = Result<Revoked, RevokeError>> + Send;

    /// Stops everything, in memory first; an earlier pause stays as it is.
    fn pause(&self, note: PersonText, by: Who) -> impl Future<Output = PauseView> + Send;

    /// Ends the pause of this id.
    fn resume(
        &self,
        pause: PauseId,
        note: PersonText,
        by: Approver,
    ) -> impl Future<Output = Result<(), ResumeError>> + Send;

    /// Refuses an operator from now on and ends all that it has.
    fn deny_operator(
        &self,
        operator: OperatorName,
        note: PersonText,
        by: Who,
    ) -> impl Future<Output = Result<OperatorDenied, OperatorError>> + Send;

    /// Takes an operator off the deny list.
    fn allow_operator(
        &self,
        operator: OperatorName,
        note: PersonText,
        by: Approver,
    ) -> impl Future<Output = Result<(), OperatorError>> + Send;

    /// Sets the highest time ever seen to `to`; says what it was before.
    fn reset_clock(
        &self,
        to: UnixMillis,
        note: PersonText,
        by: Approver,
    ) -> impl Future<Output = Result<UnixMillis, ClockError>> + Send;
}

/// As much of a request as finding it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its id, in full.
    pub id: String,
    /// Where it stands.
    pub state: RequestState,
    /// Whether it asks for an operation.
    pub operation: bool,
}

/// A grant was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// Sessions that were open under it.
    pub sessions_cut: u32,
}

/// An operator was denied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OperatorDenied {
    /// Requests that were pending.
    pub requests_denied: u32,
    /// Grants that were live.
    pub grants_revoked: u32,
    /// Sessions that were open under them.
    pub sessions_cut: u32,
}

/// More than anyone reads; bounds what one answer holds in memory.
pub const MOST_REQUESTS: usize = 2000;
