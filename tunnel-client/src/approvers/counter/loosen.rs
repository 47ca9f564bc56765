//! What needs an approver, and the no to a request, which an approver may sign too.

use tonic::Status;
use tunnel_certs::statement::approval::{Answer, Subject};
use tunnel_protos::{
    Digest, OperatorName, PauseId, PersonText, UnixMillis,
    approvers::{self as api, RequestView},
};

use super::{
    super::{
        challenges, proof, status,
        who::{Approver, Peer, Who},
    },
    Counter, Desk, is_pending, note, operator, request_id, shown, shown_plan,
};

impl<D: Desk> Counter<D> {
    pub(in crate::approvers) async fn approve(
        &self,
        peer: Peer,
        asked: api::AnswerRequest,
    ) -> Result<RequestView, Status> {
        let view = self.find(&asked.id, is_pending)?;
        let (id, digest) = (request_id(&view)?, shown(&view, &asked.digest)?);
        let plan = shown_plan(&asked.plan_digest)?;
        let wanted = answered(digest, plan, Answer::Yes);
        let (by, note) = self.approver(peer, &asked.note, asked.approval, wanted)?;
        let approved = self.desk.approve(id, digest, plan, note, by).await;
        approved.map_err(|error| status::of(&error))?;
        self.find(&view.id, is_pending)
    }

    pub(in crate::approvers) async fn deny(
        &self,
        peer: Peer,
        asked: api::AnswerRequest,
    ) -> Result<RequestView, Status> {
        let view = self.find(&asked.id, is_pending)?;
        let id = request_id(&view)?;
        let digest = (!asked.digest.is_empty()).then(|| shown(&view, &asked.digest)).transpose()?;
        let (by, note) = if asked.approval.is_empty() {
            (self.anyone(peer), note(&asked.note)?)
        } else {
            let digest = shown(&view, &view.digest)?;
            let wanted = answered(digest, shown_plan(&asked.plan_digest)?, Answer::No);
            let signed = self.approver(peer, &asked.note, asked.approval, wanted);
            signed.map(|(by, note)| (Who::Approver(by), note))?
        };
        let denied = self.desk.deny(id, digest, note, by).await;
        denied.map_err(|error| status::of(&error))?;
        self.find(&view.id, is_pending)
    }

    pub(in crate::approvers) async fn resume(
        &self,
        peer: Peer,
        asked: api::ResumeRequest,
    ) -> Result<api::ResumeReply, Status> {
        let pause: PauseId = asked.pause_id.parse().map_err(|_| {
            Status::invalid_argument("say which pause was shown: `tunnel-client status` shows its id")
        })?;
        let wanted = |subject: &Subject| *subject == Subject::Resume { pause };
        let (by, note) = self.approver(peer, &asked.note, asked.approval, wanted)?;
        let who = by.to_string();
        let resumed = self.desk.resume(pause, note, by).await;
        resumed.map(|()| api::ResumeReply { who }).map_err(|error| status::of(&error))
    }

    pub(in crate::approvers) async fn allow_operator(
        &self,
        peer: Peer,
        asked: api::AllowOperatorRequest,
    ) -> Result<api::AllowOperatorReply, Status> {
        let operator = operator(&asked.operator)?;
        let denied_since = self.denied_since(&operator);
        let wanted = |subject: &Subject| {
            *subject == Subject::AllowOperator { operator: operator.clone(), denied_since }
        };
        let (by, note) = self.approver(peer, &asked.note, asked.approval, wanted)?;
        let who = by.to_string();
        let allowed = self.desk.allow_operator(operator, note, by).await;
        allowed.map(|()| api::AllowOperatorReply { who }).map_err(|error| status::of(&error))
    }

    pub(in crate::approvers) fn challenge(&self) -> api::Challenge {
        let expires = self.desk.now().plus(challenges::LIFE);
        api::Challenge { challenge: self.challenges.draw().as_bytes().to_vec(), expires_ms: expires.0 }
    }

    pub(in crate::approvers) async fn reset_clock(
        &self,
        peer: Peer,
        asked: api::ResetClockRequest,
    ) -> Result<api::ResetClockReply, Status> {
        let to = UnixMillis(asked.to_ms);
        let mut used = None;
        let wanted = |subject: &Subject| match subject {
            Subject::ClockReset { challenge, to: signed } if *signed == to => {
                used = Some(*challenge);
                true
            }
            _ => false,
        };
        let (by, note) = self.approver(peer, &asked.note, asked.approval, wanted)?;
        if let Some(challenge) = used {
            self.challenges.take(&challenge).map_err(|error| status::of(&error))?;
        }
        let reset = self.desk.reset_clock(to, note, by).await;
        let from = reset.map_err(|error| status::of(&error))?;
        Ok(api::ResetClockReply { from_ms: from.0, to_ms: to.0 })
    }

    /// Who loosens, and the note that counts: a signed one if there is a signed approval.
    pub(in crate::approvers) fn approver(
        &self,
        peer: Peer,
        written: &str,
        approval: Vec<u8>,
        wanted: impl FnOnce(&Subject) -> bool,
    ) -> Result<(Approver, PersonText), Status> {
        let approvers = self.desk.approvers();
        let proven = if approval.is_empty() {
            let note = note(written)?;
            proof::by_uid(peer, self.host, &approvers).map(|by| (by, note))
        } else {
            proof::by_signature(approval, &self.desk.label(), self.desk.now(), &approvers, wanted)
        };
        proven.map_err(|error| status::of(&error))
    }

    fn denied_since(&self, operator: &OperatorName) -> UnixMillis {
        let views = self.desk.operators();
        let found = views.iter().find(|view| view.operator == operator.as_str());
        UnixMillis(found.map_or(0, |view| view.denied_since_ms))
    }
}

/// Accepts this answer to this request, as it was planned if it was.
fn answered(request: Digest, plan: Option<Digest>, answer: Answer) -> impl FnOnce(&Subject) -> bool {
    move |subject| *subject == Subject::Request { request, plan, answer }
}
