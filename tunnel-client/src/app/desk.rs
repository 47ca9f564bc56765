//! The customer's commands, handed to the rooms that answer them.

use tunnel_protos::{
    GrantId, PersonText,
    approvers::{RequestView, Status},
};

use super::status::Glance;
use crate::{
    approvers::{Desk, Peer, RevokeError, Revoked},
    engine::Engine,
    gate::grants::GrantsView,
    policy::PolicyState,
    requests::Requests,
};

/// Answers on the approvers' socket.
#[derive(Clone)]
pub(super) struct AppDesk {
    pub(super) requests: Requests,
    pub(super) glance: Glance,
    pub(super) engine: Engine,
    pub(super) policy: PolicyState,
    pub(super) view: GrantsView,
}

impl Desk for AppDesk {
    fn list(&self, all: bool) -> Vec<RequestView> {
        self.requests.list(all)
    }

    async fn revoke(&self, grant: GrantId, note: PersonText, by: Peer) -> Result<Revoked, RevokeError> {
        self.requests.revoke(grant, note, by).await
    }

    fn status(&self) -> Status {
        self.glance.status(&self.requests, &self.engine, &self.policy, &self.view)
    }
}
