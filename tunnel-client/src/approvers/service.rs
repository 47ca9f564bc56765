//! The gRPC service over a [`Desk`]: finds what a short id means, checks texts, maps errors to statuses.

use tokio::net::unix::UCred;
use tonic::{Request, Response, Status};
use tunnel_protos::{
    GrantId, PersonText,
    approvers::{self as api, approvers_server::Approvers},
};
use tunnel_runtime::chain;

use super::{Desk, Peer, RevokeError, hygiene};

pub(super) struct Service<D> {
    desk: D,
}

impl<D: Desk> Service<D> {
    pub(super) fn new(desk: D) -> Self {
        Self { desk }
    }

    /// The one request whose id begins with `prefix`.
    fn find(&self, prefix: &str) -> Result<api::RequestView, Status> {
        if prefix.len() < SHORTEST_PREFIX {
            return Err(Status::invalid_argument("give at least 4 characters of the id"));
        }
        let mut matching = self.desk.list(true).into_iter().filter(|view| view.id.starts_with(prefix));
        match (matching.next(), matching.next()) {
            (Some(view), None) => Ok(view),
            (None, _) => {
                Err(Status::not_found("no request with this id; `tunnel-client requests --all` lists them"))
            }
            (Some(_), Some(_)) => Err(Status::invalid_argument("several ids begin so; give more characters")),
        }
    }
}

#[tonic::async_trait]
impl<D: Desk> Approvers for Service<D> {
    async fn list_requests(
        &self,
        request: Request<api::ListRequestsRequest>,
    ) -> Result<Response<api::ListRequestsReply>, Status> {
        let views = self.desk.list(request.into_inner().all);
        let requests = views.into_iter().map(hygiene::request).collect();
        Ok(Response::new(api::ListRequestsReply { requests }))
    }

    async fn get_request(
        &self,
        request: Request<api::GetRequestRequest>,
    ) -> Result<Response<api::RequestView>, Status> {
        let view = self.find(&request.into_inner().id)?;
        Ok(Response::new(hygiene::request(view)))
    }

    async fn revoke(
        &self,
        request: Request<api::RevokeRequest>,
    ) -> Result<Response<api::RevokeReply>, Status> {
        let by = peer(&request)?;
        let api::RevokeRequest { id, note } = request.into_inner();
        let note = note
            .parse::<PersonText>()
            .map_err(|error| Status::invalid_argument(format!("the note is {error}")))?;
        let id = self.find(&id)?.id;
        let grant = id.parse::<GrantId>().map_err(|_| Status::not_found("this request can hold no grant"))?;
        let revoked = self.desk.revoke(grant, note, by).await.map_err(|error| revoke_status(&error))?;
        Ok(Response::new(api::RevokeReply { id, sessions_cut: revoked.sessions_cut }))
    }

    async fn get_status(&self, _: Request<api::GetStatusRequest>) -> Result<Response<api::Status>, Status> {
        Ok(Response::new(hygiene::status(self.desk.status())))
    }
}

/// Without the kernel's word on who asks, nothing is changed.
fn peer<T>(request: &Request<T>) -> Result<Peer, Status> {
    let credentials = request.extensions().get::<UCred>();
    let uid = credentials.map(UCred::uid).ok_or_else(|| Status::internal("the socket names no peer"))?;
    Ok(Peer { uid })
}

fn revoke_status(error: &RevokeError) -> Status {
    let message = chain(error).to_string();
    match error {
        RevokeError::Unknown => Status::not_found(message),
        RevokeError::NotLive(_) => Status::failed_precondition(message),
        RevokeError::NotStored(_) => Status::data_loss(message),
    }
}

/// Short enough to type, long enough that one matches by chance only among thousands.
const SHORTEST_PREFIX: usize = 4;
