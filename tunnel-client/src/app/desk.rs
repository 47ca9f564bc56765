//! The customer's commands, handed to the rooms that answer them.

use tunnel_protos::{
    Digest, GrantId, Label, OperatorName, PauseId, PersonText, RequestId, UnixMillis,
    approvers::{AuditStatus, OperatorView, PauseView, RequestView, SessionsView, Status},
};

use super::status::Glance;
use crate::{
    approvers::EnrollmentDesk,
    approvers::{
        AnswerError, Approver, CancelError, ClockError, Desk, Known, OperatorDenied, OperatorError,
        ResumeError, RevokeError, Revoked, Who,
    },
    audit::{self, Audit},
    engine::EngineState,
    enrollment::Entries,
    gate::{self, grants::GrantsView},
    policy::{Approvers, PolicyState},
    requests::Requests,
    trust::{AccessCa, Trust},
};

/// Answers on the approvers' socket.
#[derive(Clone)]
pub(super) struct AppDesk {
    pub(super) label: Label,
    pub(super) requests: Requests,
    pub(super) glance: Glance,
    pub(super) engine: EngineState,
    pub(super) policy: PolicyState,
    pub(super) view: GrantsView,
    pub(super) sessions: gate::Sessions,
    pub(super) audit: Audit,
    pub(super) trust: Trust,
    pub(super) access: AccessCa,
    pub(super) entries: Entries,
}

impl Desk for AppDesk {
    fn label(&self) -> Label {
        self.label
    }

    fn now(&self) -> UnixMillis {
        self.requests.clock().now()
    }

    fn approvers(&self) -> Approvers {
        self.policy.policy.borrow().approvers().clone()
    }

    fn list(&self, all: bool) -> Vec<RequestView> {
        self.requests.list(all)
    }

    fn known(&self, prefix: &str) -> Vec<Known> {
        self.requests.known(prefix)
    }

    fn view(&self, id: &str) -> Option<RequestView> {
        self.requests.view(&id.parse().ok()?)
    }

    fn status(&self) -> Status {
        Status { audit: Some(audit_status(&self.audit)), warnings: self.warnings(), ..self.belonging() }
    }

    fn sessions(&self) -> SessionsView {
        self.sessions.view(self.now())
    }

    fn operators(&self) -> Vec<OperatorView> {
        self.requests.operators()
    }

    async fn approve(
        &self,
        request: RequestId,
        digest: Digest,
        plan: Option<Digest>,
        note: PersonText,
        by: Approver,
    ) -> Result<(), AnswerError> {
        self.requests.approve(request, digest, plan, note, by).await
    }

    async fn deny(
        &self,
        request: RequestId,
        digest: Option<Digest>,
        note: PersonText,
        by: Who,
    ) -> Result<(), AnswerError> {
        self.requests.deny(request, digest, note, by).await
    }

    async fn cancel_operation(
        &self,
        request: RequestId,
        note: PersonText,
        by: Who,
    ) -> Result<(), CancelError> {
        self.requests.cancel_operation(request, note, by).await
    }

    async fn revoke(&self, grant: GrantId, note: PersonText, by: Who) -> Result<Revoked, RevokeError> {
        self.requests.revoke(grant, note, by).await
    }

    async fn pause(&self, note: PersonText, by: Who) -> PauseView {
        self.requests.pause(note, by).await
    }

    async fn resume(&self, pause: PauseId, note: PersonText, by: Approver) -> Result<(), ResumeError> {
        self.requests.resume(pause, note, by).await
    }

    async fn deny_operator(
        &self,
        operator: OperatorName,
        note: PersonText,
        by: Who,
    ) -> Result<OperatorDenied, OperatorError> {
        self.requests.deny_operator(operator, note, by).await
    }

    async fn allow_operator(
        &self,
        operator: OperatorName,
        note: PersonText,
        by: Approver,
    ) -> Result<(), OperatorError> {
        self.requests.allow_operator(operator, note, by).await
    }

    async fn reset_clock(
        &self,
        to: UnixMillis,
        note: PersonText,
        by: Approver,
    ) -> Result<UnixMillis, ClockError> {
        self.requests.reset_clock(to, note, by).await
    }
}

impl AppDesk {
    fn warnings(&self) -> Vec<String> {
        let now = self.requests.clock().now();
        let profile = self.engine.error.borrow().clone();
        let profile = (!profile.is_empty()).then(|| {
            format!(
                "the engine profile's file is not in force: {profile} (mend it; it is read again by itself)"
            )
        });
        let trust = self.trust.warnings(now).into_iter().chain(self.access.warning(now));
        trust.chain(profile).chain(unexported(&self.audit.status())).collect()
    }

    /// The glance, with what is believed now.
    fn belonging(&self) -> Status {
        let (belief, access) =
            (self.trust.belief().borrow().clone(), self.access.subscribe().borrow().clone());
        let (leaf, enrollment) = (belief.leaf.as_ref(), self.entries.view());
        Status {
            replica: leaf.map(|leaf| leaf.replica.to_string()).unwrap_or_default(),
            trust_bundle_expires_ms: belief.bundle.expires.0,
            mesh_certificate_expires_ms: leaf.map_or(0, |leaf| leaf.not_after().0),
            access_ca_expires_ms: access.current().validity().1.0,
            entry_expires_ms: enrollment.entry_expires_ms,
            registration_words: enrollment.registration_words,
            ..self.glance.status(&self.requests, &self.engine.engine.borrow(), &self.policy, &self.view)
        }
    }
}

/// What age no longer removes.
fn unexported(audit: &audit::Status) -> Option<String> {
    let files = audit.held;
    (files > 0).then(|| {
        format!(
            "{files} files of the audit log are older than `audit.retention` and stay until they are exported: \
             `tunnel-client audit export --new`, then `tunnel-client audit mark FILE`"
        )
    })
}

fn audit_status(audit: &Audit) -> AuditStatus {
    let audit::Status { last_record, error, indeterminate, held: _ } = audit.status();
    AuditStatus { last_record, error, indeterminate }
}
