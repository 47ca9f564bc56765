//! One method each: find the request, prove who asks, hand it to a desk.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt};
use tonic::{Request, Response, Status};
use tunnel_certs::statement::approval::Subject;
use tunnel_protos::{
    Digest, RequestId,
    approvers::{self as api, bundles_server::Bundles},
};

use super::BundlesDesk;
use crate::approvers::{
    Desk, Peer,
    counter::{Counter, is_operation, note, request_id},
    hygiene,
    service::taken,
    status,
};

pub(in crate::approvers) struct Service<D> {
    counter: Arc<Counter<D>>,
    bundles: Arc<dyn BundlesDesk>,
}

impl<D: Desk> Service<D> {
    pub(in crate::approvers) fn new(counter: Arc<Counter<D>>, bundles: Arc<dyn BundlesDesk>) -> Self {
        Self { counter, bundles }
    }

    /// The operation whose id begins so.
    fn find(&self, prefix: &str) -> Result<(RequestId, api::RequestView), Status> {
        let view = self.counter.find(prefix, is_operation)?;
        if view.operation.is_none() {
            return Err(Status::failed_precondition("this request is about no operation"));
        }
        Ok((request_id(&view)?, view))
    }

    fn again(&self, id: &RequestId) -> Result<Response<api::RequestView>, Status> {
        let view = self.counter.find(&id.to_string(), is_operation)?;
        Ok(Response::new(hygiene::request(view)))
    }

    async fn release(&self, peer: Peer, asked: api::ReleaseBundleRequest) -> Result<RequestId, Status> {
        let (id, view) = self.find(&asked.id)?;
        let bundle: [u8; 32] = asked.bundle_digest[..].try_into().map_err(|_| {
            Status::invalid_argument(
                "say which bundle was shown: `bundle_digest` is the 32 bytes of its SHA-256",
            )
        })?;
        let request = Digest::try_from(&view.digest[..]);
        let request = request.map_err(|_| Status::internal("the request has no digest"))?;
        let wanted = |subject: &Subject| *subject == Subject::ReleaseBundle { request, bundle };
        let (by, note) = self.counter.approver(peer, &asked.note, asked.approval, wanted)?;
        let released = self.bundles.release(id, bundle, note, by).await;
        released.map(|()| id).map_err(|error| status::of(&error))
    }
}

#[tonic::async_trait]
impl<D: Desk> Bundles for Service<D> {
    async fn cancel_operation(
        &self,
        request: Request<api::CancelOperationRequest>,
    ) -> Result<Response<api::RequestView>, Status> {
        let (peer, asked) = taken(request)?;
        let (id, _) = self.find(&asked.id)?;
        let (note, by) = (note(&asked.note)?, self.counter.anyone(peer));
        let cancelled = self.counter.desk.cancel_operation(id, note, by).await;
        cancelled.map_err(|error| status::of(&error))?;
        self.again(&id)
    }

    async fn list_bundles(
        &self,
        _: Request<api::ListBundlesRequest>,
    ) -> Result<Response<api::ListBundlesReply>, Status> {
        let bundles = self.bundles.list().into_iter().take(MOST_BUNDLES).map(hygiene::bundle).collect();
        Ok(Response::new(api::ListBundlesReply { bundles }))
    }

    type ReadBundleFileStream = Pin<Box<dyn Stream<Item = Result<api::BundleFileChunk, Status>> + Send>>;

    async fn read_bundle_file(
        &self,
        request: Request<api::ReadBundleFileRequest>,
    ) -> Result<Response<Self::ReadBundleFileStream>, Status> {
        let asked = request.into_inner();
        let (id, _) = self.find(&asked.id)?;
        let parts = self.bundles.read(id, asked.path).await.map_err(|error| status::of(&error))?;
        let chunk = |part: Result<Vec<u8>, _>| match part {
            Ok(data) => Ok(api::BundleFileChunk { data }),
            Err(error) => Err(status::of(&error)),
        };
        // What stalls must not keep a place for ever.
        Ok(Response::new(Box::pin(parts.map(chunk).take_until(self.counter.drained()))))
    }

    async fn release_bundle(
        &self,
        request: Request<api::ReleaseBundleRequest>,
    ) -> Result<Response<api::RequestView>, Status> {
        let (peer, asked) = taken(request)?;
        let id = self.release(peer, asked).await?;
        self.again(&id)
    }

    async fn delete_bundle(
        &self,
        request: Request<api::DeleteBundleRequest>,
    ) -> Result<Response<api::RequestView>, Status> {
        let (peer, asked) = taken(request)?;
        let (id, _) = self.find(&asked.id)?;
        let deleted = self.bundles.delete(id, self.counter.anyone(peer)).await;
        deleted.map_err(|error| status::of(&error))?;
        self.again(&id)
    }
}

/// More than lie anywhere; bounds what one answer holds in memory.
const MOST_BUNDLES: usize = 1000;

#[cfg(test)]
mod tests;
