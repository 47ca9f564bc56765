//! The customer's engineer: looks, answers with a key, revokes, and asks again until the client has said something.

use std::time::Duration;

use anyhow::{Context, Result};
use tonic::{Code, Status};
use tunnel_certs::statement::approval::{Answer, Subject};
use tunnel_protos::{
    Digest, Label, RequestId,
    approvers::{AnswerRequest, RequestView},
};

use crate::harness::{approver::Approver, approver_key::ApproverKey, client::ClientSettings, wait::until};

/// Whoever holds the approver's key, at the client's socket.
#[derive(Debug, Clone)]
pub(super) struct Customer {
    socket: Approver,
    label: Label,
    key: ApproverKey,
}

impl Customer {
    pub(super) fn new(settings: &ClientSettings, key: ApproverKey) -> Self {
        Self { socket: Approver::new(&settings.socket()), label: settings.label, key }
    }

    /// Waits until the client answers.
    pub(super) async fn answers(&self) -> Result<()> {
        until("the client answers", RECOVERY, || self.socket.status()).await.map(drop)
    }

    /// One request as the client knows it; none if it knows none.
    pub(super) async fn look(&self, id: RequestId) -> Result<Option<RequestView>> {
        let look = || async {
            match self.socket.show(&id.to_string()).await {
                Ok(view) => Ok(Some(view)),
                Err(status) if status.code() == Code::NotFound => Ok(None),
                Err(status) => Err(status),
            }
        };
        until("the client shows a request", RECOVERY, look).await
    }

    /// Everything that the client knows.
    pub(super) async fn requests(&self) -> Result<Vec<RequestView>> {
        until("the client lists its requests", RECOVERY, || self.socket.requests()).await
    }

    /// Answers a request until the client says that it took the answer.
    pub(super) async fn answer(&self, id: RequestId, digest: Digest, answer: Answer) -> Result<()> {
        let try_once = || async {
            match self.answer_once(id, digest, answer).await {
                Ok(_) => Ok(()),
                // An answer whose acknowledgement was lost: what stands is looked at.
                Err(status) if status.code() == Code::FailedPrecondition => self.stands(id, answer).await,
                Err(status) => Err(anyhow::Error::from(status)),
            }
        };
        until("the client takes an answer", RECOVERY, try_once).await
    }

    async fn answer_once(
        &self,
        id: RequestId,
        digest: Digest,
        answer: Answer,
    ) -> Result<RequestView, Status> {
        let subject = Subject::Request { request: digest, plan: None, answer };
        let approval = self.key.sign(self.label, subject);
        let request = AnswerRequest {
            id: id.to_string(),
            digest: digest.as_bytes().to_vec(),
            note: String::new(),
            approval: approval.map_err(|error| Status::internal(format!("{error:#}")))?,
            plan_digest: Vec::new(),
        };
        self.socket.answer(request, answer).await
    }

    async fn stands(&self, id: RequestId, answer: Answer) -> Result<()> {
        use tunnel_protos::v1::RequestState as State;
        let view = self.look(id).await?.context("the request is gone")?;
        let yes = !matches!(view.state(), State::Pending | State::Denied | State::Expired);
        let no = view.state() == State::Denied;
        let as_answered = if answer == Answer::Yes { yes } else { no };
        anyhow::ensure!(as_answered, "{answer:?} became {:?}: {}", view.state(), view.state_reason);
        Ok(())
    }

    /// Revokes a grant until the client says that it did.
    pub(super) async fn revoke(&self, id: RequestId) -> Result<()> {
        let text = id.to_string();
        let revoke = || async {
            let revoked = self.socket.revoke(&text).await;
            match revoked {
                Ok(_) => Ok(()),
                Err(error) => match self.look(id).await? {
                    Some(view) if view.state() == tunnel_protos::v1::RequestState::Revoked => Ok(()),
                    _ => Err(error),
                },
            }
        };
        until("the client revokes a grant", RECOVERY, revoke).await
    }
}

/// What a start after a power cut may take, on a machine under load.
pub(super) const RECOVERY: Duration = Duration::from_secs(30);
