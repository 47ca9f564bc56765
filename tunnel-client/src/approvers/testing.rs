//! A desk that remembers what it was asked, and answers as it was told.

use std::sync::Arc;

use parking_lot::Mutex;
use tunnel_certs::words::Words;
use tunnel_protos::{
    Digest, GrantId, Label, OperatorName, PauseId, PersonText, RequestId, UnixMillis,
    approvers::{
        AccessCaView, BundleView, EnrollmentView, OperatorView, PauseView, RequestView, SessionsView, Status,
        TrustView,
    },
    v1::RequestState,
};

use super::{
    AnswerError, Approver, BundleError, BundlesDesk, CancelError, ClockError, ConfirmError, Desk,
    EnrollmentDesk, FileParts, Known, MembershipDesk, MembershipError, Offices, OperatorDenied,
    OperatorError, ResumeError, RevokeError, Revoked, RotateKeysError, Who,
};
use crate::policy::Approvers;

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW: UnixMillis = UnixMillis(1_767_225_600_000);

/// What the desk was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Approve(RequestId, Digest, Option<Digest>, String, Approver),
    CancelOperation(RequestId, String, Who),
    ReleaseBundle(RequestId, [u8; 32], String, Approver),
    DeleteBundle(RequestId, Who),
    Deny(RequestId, Option<Digest>, String, Who),
    Revoke(GrantId, String, Who),
    Pause(String, Who),
    Resume(PauseId, String, Approver),
    DenyOperator(OperatorName, String, Who),
    AllowOperator(OperatorName, String, Approver),
    ResetClock(UnixMillis, String, Approver),
    Confirm(Digest, Words, String, Approver),
    RotateKeys(Who),
    ImportTrust(Vec<u8>, Who),
    RemoveRoot(String, String, Who),
    RotateAccessCa(bool, Who),
}

#[derive(Clone, Default)]
pub(crate) struct Remembering(pub(crate) Arc<Mutex<Memory>>);

#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) views: Vec<RequestView>,
    pub(crate) operators: Vec<OperatorView>,
    pub(crate) sessions: SessionsView,
    pub(crate) approvers: Approvers,
    pub(crate) status: Status,
    pub(crate) enrollment: EnrollmentView,
    pub(crate) trust: TrustView,
    pub(crate) bundles: Vec<BundleView>,
    pub(crate) asked: Vec<Asked>,
    /// The machine's clock instead of [`NOW`].
    pub(crate) real_time: bool,
}

impl Remembering {
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.0.lock().asked.clone()
    }

    pub(crate) fn offices(&self) -> Offices {
        let desk = || Arc::new(self.clone());
        Offices { trust: desk(), enrollment: desk(), bundles: desk() }
    }

    fn remember(&self, asked: Asked) {
        self.0.lock().asked.push(asked);
    }
}

impl Desk for Remembering {
    fn label(&self) -> Label {
        Label::from_random([11; 17])
    }

    fn now(&self) -> UnixMillis {
        if self.0.lock().real_time { UnixMillis::from_system(std::time::SystemTime::now()) } else { NOW }
    }

    fn approvers(&self) -> Approvers {
        self.0.lock().approvers.clone()
    }

    fn list(&self, _all: bool) -> Vec<RequestView> {
        self.0.lock().views.clone()
    }

    fn known(&self, prefix: &str) -> Vec<Known> {
        let known = |view: &RequestView| Known {
            id: view.id.clone(),
            state: view.state(),
            operation: view.operation.is_some(),
        };
        self.0.lock().views.iter().filter(|view| view.id.starts_with(prefix)).map(known).collect()
    }

    fn view(&self, id: &str) -> Option<RequestView> {
        self.0.lock().views.iter().find(|view| view.id == id).cloned()
    }

    fn status(&self) -> Status {
        self.0.lock().status.clone()
    }

    fn sessions(&self) -> SessionsView {
        self.0.lock().sessions.clone()
    }

    fn operators(&self) -> Vec<OperatorView> {
        self.0.lock().operators.clone()
    }

    async fn approve(
        &self,
        request: RequestId,
        digest: Digest,
        plan: Option<Digest>,
        note: PersonText,
        by: Approver,
    ) -> Result<(), AnswerError> {
        let shown = |view: &RequestView| view.id == request.to_string() && view.digest == digest.as_bytes();
        if !self.0.lock().views.iter().any(shown) {
            return Err(AnswerError::Changed);
        }
        let used = |asked: &Asked| matches!(asked, Asked::Approve(.., used) if used.signed().is_some() && used.signed() == by.signed());
        if self.asked().iter().any(used) {
            return Err(AnswerError::Replayed);
        }
        self.remember(Asked::Approve(request, digest, plan, note.to_string(), by));
        Ok(())
    }

    async fn deny(
        &self,
        request: RequestId,
        digest: Option<Digest>,
        note: PersonText,
        by: Who,
    ) -> Result<(), AnswerError> {
        self.remember(Asked::Deny(request, digest, note.to_string(), by));
        Ok(())
    }

    async fn cancel_operation(
        &self,
        request: RequestId,
        note: PersonText,
        by: Who,
    ) -> Result<(), CancelError> {
        self.remember(Asked::CancelOperation(request, note.to_string(), by));
        Ok(())
    }

    async fn revoke(&self, grant: GrantId, note: PersonText, by: Who) -> Result<Revoked, RevokeError> {
        if self.asked().iter().any(|asked| matches!(asked, Asked::Revoke(known, ..) if *known == grant)) {
            return Err(RevokeError::NotLive(RequestState::Revoked));
        }
        self.remember(Asked::Revoke(grant, note.to_string(), by));
        Ok(Revoked { sessions_cut: 3 })
    }

    async fn pause(&self, note: PersonText, by: Who) -> PauseView {
        let view = PauseView {
            id: PauseId::random().to_string(),
            since_ms: NOW.0,
            who: by.to_string(),
            note: note.to_string(),
            sessions_cut: 2,
            stored: true,
        };
        self.remember(Asked::Pause(note.to_string(), by));
        self.0.lock().status.pause = Some(view.clone());
        view
    }

    async fn resume(&self, pause: PauseId, note: PersonText, by: Approver) -> Result<(), ResumeError> {
        self.remember(Asked::Resume(pause, note.to_string(), by));
        self.0.lock().status.pause.take().map(|_| ()).ok_or(ResumeError::NotPaused)
    }

    async fn deny_operator(
        &self,
        operator: OperatorName,
        note: PersonText,
        by: Who,
    ) -> Result<OperatorDenied, OperatorError> {
        self.remember(Asked::DenyOperator(operator, note.to_string(), by));
        Ok(OperatorDenied { requests_denied: 1, grants_revoked: 2, sessions_cut: 3 })
    }

    async fn allow_operator(
        &self,
        operator: OperatorName,
        note: PersonText,
        by: Approver,
    ) -> Result<(), OperatorError> {
        self.remember(Asked::AllowOperator(operator, note.to_string(), by));
        Ok(())
    }

    async fn reset_clock(
        &self,
        to: UnixMillis,
        note: PersonText,
        by: Approver,
    ) -> Result<UnixMillis, ClockError> {
        self.remember(Asked::ResetClock(to, note.to_string(), by));
        Ok(NOW)
    }
}

#[tonic::async_trait]
impl EnrollmentDesk for Remembering {
    fn view(&self) -> EnrollmentView {
        self.0.lock().enrollment.clone()
    }

    fn waiting(&self) -> Option<Digest> {
        Digest::try_from(&self.0.lock().enrollment.waiting_entry_digest[..]).ok()
    }

    async fn confirm(
        &self,
        entry: Digest,
        words: Words,
        note: PersonText,
        by: Approver,
    ) -> Result<(), ConfirmError> {
        if words != Words::of(&entry) {
            return Err(ConfirmError::WrongWords);
        }
        self.remember(Asked::Confirm(entry, words, note.to_string(), by));
        Ok(())
    }

    async fn rotate_keys(&self, by: Who) -> Result<(), RotateKeysError> {
        self.remember(Asked::RotateKeys(by));
        Ok(())
    }
}

#[tonic::async_trait]
impl BundlesDesk for Remembering {
    fn list(&self) -> Vec<BundleView> {
        self.0.lock().bundles.clone()
    }

    async fn read(&self, _: RequestId, path: String) -> Result<FileParts, BundleError> {
        if path != "status.json" {
            return Err(BundleError::NoFile);
        }
        let parts = [Ok(b"{\"ok\":".to_vec()), Ok(b"true}".to_vec())];
        Ok(Box::pin(futures_util::stream::iter(parts)))
    }

    async fn release(
        &self,
        id: RequestId,
        bundle: [u8; 32],
        note: PersonText,
        by: Approver,
    ) -> Result<(), BundleError> {
        self.remember(Asked::ReleaseBundle(id, bundle, note.to_string(), by));
        Ok(())
    }

    async fn delete(&self, id: RequestId, by: Who) -> Result<(), BundleError> {
        self.remember(Asked::DeleteBundle(id, by));
        Ok(())
    }
}

#[tonic::async_trait]
impl MembershipDesk for Remembering {
    fn trust(&self) -> TrustView {
        self.0.lock().trust.clone()
    }

    async fn import_trust(&self, bundle: Vec<u8>, by: Who) -> Result<(), MembershipError> {
        self.remember(Asked::ImportTrust(bundle, by));
        Ok(())
    }

    async fn remove_root(&self, fingerprint: &str, note: PersonText, by: Who) -> Result<(), MembershipError> {
        self.remember(Asked::RemoveRoot(fingerprint.to_owned(), note.to_string(), by));
        Ok(())
    }

    async fn rotate_access_ca(&self, if_due: bool, by: Who) -> Result<AccessCaView, MembershipError> {
        self.remember(Asked::RotateAccessCa(if_due, by));
        Ok(AccessCaView { rotated: true, ..Default::default() })
    }
}
