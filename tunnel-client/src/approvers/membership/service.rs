//! One method each: prove who asks, check texts, hand it to a desk.

use std::sync::Arc;

use prost::Message;
use tonic::{Request, Response, Status};
use tunnel_certs::{statement::approval::Subject, words::Words};
use tunnel_protos::{
    Digest,
    approvers::{self as api, membership_server::Membership},
};

use super::Offices;
use crate::approvers::{
    Desk, Peer,
    counter::{Counter, note},
    errors::ConfirmError,
    hygiene,
    service::taken,
    status,
};

pub(in crate::approvers) struct Service<D> {
    counter: Arc<Counter<D>>,
    offices: Offices,
}

impl<D: Desk> Service<D> {
    pub(in crate::approvers) fn new(counter: Arc<Counter<D>>, offices: Offices) -> Self {
        Self { counter, offices }
    }

    /// By user id or by a signed approval of exactly the entry that waits; the words in any case.
    async fn confirm(&self, peer: Peer, asked: api::ConfirmEntryRequest) -> Result<(), Status> {
        let words: Words =
            asked.words.parse().map_err(|error| Status::invalid_argument(format!("{error}")))?;
        let entry = self.waiting()?;
        let wanted = |subject: &Subject| *subject == Subject::EnrollConfirm { entry };
        let (by, note) = self.counter.approver(peer, &asked.note, asked.approval, wanted)?;
        let confirmed = self.offices.enrollment.confirm(entry, words, note, by).await;
        confirmed.map_err(|error| status::of(&error))
    }

    fn waiting(&self) -> Result<Digest, Status> {
        self.offices.enrollment.waiting().ok_or_else(|| status::of(&ConfirmError::NothingWaits))
    }

    fn enrollment(&self) -> Response<api::EnrollmentView> {
        Response::new(hygiene::enrollment(self.offices.enrollment.view()))
    }

    fn trust(&self) -> Response<api::TrustView> {
        Response::new(hygiene::trust(self.offices.trust.trust()))
    }
}

#[tonic::async_trait]
impl<D: Desk> Membership for Service<D> {
    async fn get_enrollment(
        &self,
        _: Request<api::GetEnrollmentRequest>,
    ) -> Result<Response<api::EnrollmentView>, Status> {
        Ok(self.enrollment())
    }

    async fn confirm_entry(
        &self,
        request: Request<api::ConfirmEntryRequest>,
    ) -> Result<Response<api::EnrollmentView>, Status> {
        let (peer, asked) = taken(request)?;
        self.confirm(peer, asked).await?;
        Ok(self.enrollment())
    }

    async fn rotate_keys(
        &self,
        request: Request<api::RotateKeysRequest>,
    ) -> Result<Response<api::EnrollmentView>, Status> {
        let (peer, _) = taken(request)?;
        let rotated = self.offices.enrollment.rotate_keys(self.counter.anyone(peer)).await;
        rotated.map_err(|error| status::of(&error))?;
        Ok(self.enrollment())
    }

    async fn get_trust(&self, _: Request<api::GetTrustRequest>) -> Result<Response<api::TrustView>, Status> {
        Ok(self.trust())
    }

    async fn import_trust(
        &self,
        request: Request<api::ImportTrustRequest>,
    ) -> Result<Response<api::TrustView>, Status> {
        let (peer, asked) = taken(request)?;
        let bundle = asked.trust_bundle.unwrap_or_default().encode_to_vec();
        let imported = self.offices.trust.import_trust(bundle, self.counter.anyone(peer)).await;
        imported.map_err(|error| status::of(&error))?;
        Ok(self.trust())
    }

    async fn remove_root(
        &self,
        request: Request<api::RemoveRootRequest>,
    ) -> Result<Response<api::TrustView>, Status> {
        let (peer, asked) = taken(request)?;
        let (note, by) = (note(&asked.note)?, self.counter.anyone(peer));
        let removed = self.offices.trust.remove_root(&asked.fingerprint, note, by).await;
        removed.map_err(|error| status::of(&error))?;
        Ok(self.trust())
    }

    async fn rotate_access_ca(
        &self,
        request: Request<api::RotateAccessCaRequest>,
    ) -> Result<Response<api::AccessCaView>, Status> {
        let (peer, asked) = taken(request)?;
        let rotated = self.offices.trust.rotate_access_ca(asked.if_due, self.counter.anyone(peer)).await;
        rotated.map(Response::new).map_err(|error| status::of(&error))
    }
}

#[cfg(test)]
mod tests;
