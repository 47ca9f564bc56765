//! The operation's own API, served to sessions of its grant and to nobody else.
//!
//! Only the gate can reach it, and the gate writes which grant calls: that names the operation.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt, stream};
use tokio::time::sleep;
use tonic::{Request, Response, Status, metadata::MetadataMap, service::Routes};
use tunnel_protos::{
    GrantId, RequestId,
    operations::v1::{
        self as api, BundleChunk, Event, Operation,
        operations_server::{Operations, OperationsServer},
    },
    v1::RequestState,
};
use tunnel_runtime::grpc::{GrpcLimits, GrpcServer, MAX_MESSAGE};

use super::{Archive, Desk, FetchError, Office, Refused, board::Watching};

/// The server of `postern.operations.v1.Operations`; the gate gives it one connection for each session.
pub fn server<O: Office>(office: O, desk: Desk, archive: Arc<dyn Archive>) -> GrpcServer {
    let service = OperationsServer::new(Service { office, desk, archive })
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    GrpcServer::new(Routes::new(service), LIMITS)
}

#[derive(Debug)]
struct Service<O> {
    office: O,
    desk: Desk,
    archive: Arc<dyn Archive>,
}

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl<O: Office> Operations for Service<O> {
    type WatchStream = Replies<Event>;
    type FetchBundleStream = Replies<BundleChunk>;

    async fn get(&self, request: Request<api::GetRequest>) -> Result<Response<Operation>, Status> {
        let id = operation_of(request.metadata())?;
        self.operation(&id).map(Response::new)
    }

    async fn start(&self, request: Request<api::StartRequest>) -> Result<Response<Operation>, Status> {
        let id = operation_of(request.metadata())?;
        self.office.start(id).await.map_err(|error| status(&error))?;
        self.operation(&id).map(Response::new)
    }

    async fn watch(
        &self,
        request: Request<api::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let id = operation_of(request.metadata())?;
        self.operation(&id)?;
        let follow = Follow {
            office: self.office.clone(),
            desk: self.desk.clone(),
            after: request.into_inner().after,
            watching: None,
            id,
        };
        let batches = stream::unfold(follow, |mut follow| async move {
            let events = follow.next().await?;
            Some((stream::iter(events.into_iter().map(Ok)), follow))
        });
        Ok(Response::new(batches.flatten().boxed()))
    }

    async fn cancel(&self, request: Request<api::CancelRequest>) -> Result<Response<Operation>, Status> {
        let id = operation_of(request.metadata())?;
        self.office.cancel(id).await.map_err(|error| status(&error))?;
        self.operation(&id).map(Response::new)
    }

    async fn fetch_bundle(
        &self,
        request: Request<api::FetchBundleRequest>,
    ) -> Result<Response<Self::FetchBundleStream>, Status> {
        let id = operation_of(request.metadata())?;
        self.operation(&id)?;
        let chunks = self.archive.fetch(&id, request.into_inner().offset);
        let chunks = chunks.map_err(|error| not_fetched(&error))?;
        Ok(Response::new(chunks.map(|chunk| chunk.map_err(Status::unavailable)).boxed()))
    }
}

impl<O: Office> Service<O> {
    fn operation(&self, id: &RequestId) -> Result<Operation, Status> {
        self.office.operation(id).ok_or_else(|| status(&Refused::Unknown))
    }
}

/// Follows one operation from before its run to the end of it.
struct Follow<O> {
    office: O,
    desk: Desk,
    id: RequestId,
    after: u64,
    watching: Option<Watching>,
}

impl<O: Office> Follow<O> {
    /// None once the operation is over and all was told.
    async fn next(&mut self) -> Option<Vec<Event>> {
        loop {
            let watching = self.watching.take().or_else(|| self.desk.watch(&self.id, self.after));
            let Some(mut watching) = watching else {
                self.still_waits().await?;
                continue;
            };
            if let Some(events) = watching.next().await {
                self.after = events.last().map_or(self.after, |event| event.number);
                self.watching = Some(watching);
                return Some(events);
            }
            // Over, or planned again, which is waiting anew.
            self.still_waits().await?;
        }
    }

    /// Waits a moment; none if there is nothing to wait for.
    async fn still_waits(&self) -> Option<()> {
        let waits =
            |state| matches!(state, RequestState::Pending | RequestState::Approved | RequestState::Running);
        self.office.state(&self.id).filter(|state| waits(*state))?;
        sleep(MOMENT).await;
        Some(())
    }
}

/// The operation is the grant: whose session calls, the gate wrote.
fn operation_of(metadata: &MetadataMap) -> Result<RequestId, Status> {
    let grant = metadata.get(GRANT).and_then(|value| value.to_str().ok());
    let grant: Option<GrantId> = grant.and_then(|text| text.parse().ok());
    grant.map(RequestId::from).ok_or_else(|| Status::unauthenticated("no grant calls"))
}

fn status(error: &Refused) -> Status {
    match error {
        Refused::Unknown => Status::not_found(error.to_string()),
        Refused::NotNow(_) => Status::failed_precondition(error.to_string()),
        Refused::Busy => Status::unavailable(error.to_string()),
    }
}

fn not_fetched(error: &FetchError) -> Status {
    match error {
        FetchError::None => Status::not_found(error.to_string()),
        FetchError::Held => Status::failed_precondition(error.to_string()),
        FetchError::Offset(_) => Status::out_of_range(error.to_string()),
        FetchError::Unreadable => Status::unavailable(error.to_string()),
    }
}

const GRANT: &str = "postern-grant";
/// Nobody sees the difference, and nobody's engine is asked for it.
const MOMENT: Duration = Duration::from_millis(500);
/// A few people who each watch and look; the gate bounds what each session may do.
const LIMITS: GrpcLimits =
    GrpcLimits { connections: 1024, requests: 1024, deadline: Duration::from_secs(30) };

#[cfg(test)]
mod tests;
