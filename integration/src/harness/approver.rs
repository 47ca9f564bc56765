//! The customer's engineer at the client's Unix socket.

use std::path::{Path, PathBuf};

use anyhow::Result;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;
use tunnel_protos::approvers::{
    GetStatusRequest, ListRequestsRequest, RequestView, RevokeReply, RevokeRequest, Status,
    approvers_client::ApproversClient,
};

/// Whoever can open the socket.
#[derive(Debug, Clone)]
pub struct Approver {
    socket: PathBuf,
}

impl Approver {
    /// At the socket of a running client.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Every request, ended ones included.
    pub async fn requests(&self) -> Result<Vec<RequestView>> {
        let request = ListRequestsRequest { all: true };
        Ok(self.client()?.list_requests(request).await?.into_inner().requests)
    }

    /// Ends a grant.
    pub async fn revoke(&self, id: &str) -> Result<RevokeReply> {
        let request = RevokeRequest { id: id.to_owned(), note: "a test ends it".to_owned() };
        Ok(self.client()?.revoke(request).await?.into_inner())
    }

    /// The client at a glance.
    pub async fn status(&self) -> Result<Status> {
        Ok(self.client()?.get_status(GetStatusRequest {}).await?.into_inner())
    }

    fn client(&self) -> Result<ApproversClient<Channel>> {
        let socket = self.socket.clone();
        let connect = move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        };
        let endpoint = Endpoint::from_static("http://localhost").timeout(super::PATIENCE);
        Ok(ApproversClient::new(endpoint.connect_with_connector_lazy(service_fn(connect))))
    }
}
