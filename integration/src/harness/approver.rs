//! The customer's engineer at the client's Unix socket.

use std::path::{Path, PathBuf};

use anyhow::Result;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;
use tunnel_certs::statement::approval::Answer;
use tunnel_protos::approvers::{
    AnswerRequest, DenyOperatorReply, DenyOperatorRequest, GetRequestRequest, GetStatusRequest,
    ListRequestsRequest, PauseRequest, PauseView, RequestView, ResumeRequest, RevokeReply, RevokeRequest,
    Status, approvers_client::ApproversClient, bundles_client::BundlesClient,
    membership_client::MembershipClient,
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
        Ok(self.client().list_requests(request).await?.into_inner().requests)
    }

    /// One request.
    pub async fn show(&self, id: &str) -> Result<RequestView, tonic::Status> {
        let request = GetRequestRequest { id: id.to_owned() };
        Ok(self.client().get_request(request).await?.into_inner())
    }

    /// Says yes or no to a request.
    pub async fn answer(&self, request: AnswerRequest, answer: Answer) -> Result<RequestView, tonic::Status> {
        let mut client = self.client();
        let answered = match answer {
            Answer::Yes => client.approve(request).await,
            Answer::No => client.deny(request).await,
        };
        Ok(answered?.into_inner())
    }

    /// Ends a grant.
    pub async fn revoke(&self, id: &str) -> Result<RevokeReply> {
        let request = RevokeRequest { id: id.to_owned(), note: "a test ends it".to_owned() };
        Ok(self.client().revoke(request).await?.into_inner())
    }

    /// Stops everything.
    pub async fn pause(&self) -> Result<PauseView> {
        Ok(self.client().pause(PauseRequest { note: "a test pauses".to_owned() }).await?.into_inner())
    }

    /// Ends a pause, by a signed approval.
    pub async fn resume(&self, pause: &str, approval: Vec<u8>) -> Result<()> {
        let request = ResumeRequest { pause_id: pause.to_owned(), note: String::new(), approval };
        self.client().resume(request).await?;
        Ok(())
    }

    /// Operations and their bundles, as generated.
    pub fn bundles(&self) -> BundlesClient<Channel> {
        BundlesClient::new(self.channel()).max_decoding_message_size(LARGEST_ANSWER)
    }

    /// Refuses an operator from now on.
    pub async fn deny_operator(&self, operator: &str) -> Result<DenyOperatorReply> {
        let request = DenyOperatorRequest { operator: operator.to_owned(), note: "a test denies".to_owned() };
        Ok(self.client().deny_operator(request).await?.into_inner())
    }

    /// The client at a glance.
    pub async fn status(&self) -> Result<Status> {
        Ok(self.client().get_status(GetStatusRequest {}).await?.into_inner())
    }

    /// Enrollment, trust and keys, as generated.
    pub fn membership(&self) -> MembershipClient<Channel> {
        MembershipClient::new(self.channel())
    }

    fn client(&self) -> ApproversClient<Channel> {
        ApproversClient::new(self.channel()).max_decoding_message_size(LARGEST_ANSWER)
    }

    fn channel(&self) -> Channel {
        let socket = self.socket.clone();
        let connect = move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        };
        let endpoint = Endpoint::from_static("http://localhost").timeout(super::PATIENCE);
        endpoint.connect_with_connector_lazy(service_fn(connect))
    }
}

/// Some thousands of requests in one list, as the client's own commands take them.
const LARGEST_ANSWER: usize = 64 << 20;
