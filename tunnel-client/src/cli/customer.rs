//! A customer's command over the daemon's socket, each step with a deadline.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};
use tunnel_protos::approvers::{self as api, approvers_client::ApproversClient};
use tunnel_runtime::exit::Exit;

/// What a customer asks.
#[derive(Debug)]
pub(super) enum Question {
    Requests { all: bool },
    Show { id: String },
    Revoke { id: String, note: String },
    Status,
}

/// What the daemon answered.
#[derive(Debug)]
pub(super) enum Answer {
    Requests(api::ListRequestsReply),
    Request(Box<api::RequestView>),
    Revoked(api::RevokeReply),
    Status(Box<api::Status>),
}

/// Why a customer's command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Nobody answers on the socket, or it may not be opened.
    #[error(
        "no tunnel-client answers on {path}; is it running, and may you open its socket? (--socket names another)"
    )]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the transport said.
        source: tonic::transport::Error,
    },
    /// The daemon refused.
    #[error("{0}")]
    Refused(String),
}

impl Failed {
    /// The program's exit code.
    pub fn exit(&self) -> Exit {
        Exit::Failed
    }
}

pub(super) struct Customer(ApproversClient<Channel>);

impl Customer {
    pub(super) async fn connect(socket: &Path) -> Result<Self, Failed> {
        let path = socket.to_owned();
        let connector = tower::service_fn(move |_: http::Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://approvers").connect_timeout(CONNECT).timeout(ANSWER);
        let channel = endpoint.connect_with_connector(connector).await;
        let unreachable = |source| Failed::Unreachable { path: socket.to_owned(), source };
        Ok(Self(ApproversClient::new(channel.map_err(unreachable)?)))
    }

    pub(super) async fn ask(&mut self, question: Question) -> Result<Answer, Failed> {
        let client = &mut self.0;
        let answer = match question {
            Question::Requests { all } => client
                .list_requests(api::ListRequestsRequest { all })
                .await
                .map(|r| Answer::Requests(r.into_inner())),
            Question::Show { id } => {
                let reply = client.get_request(api::GetRequestRequest { id }).await;
                reply.map(|r| Answer::Request(Box::new(r.into_inner())))
            }
            Question::Revoke { id, note } => {
                client.revoke(api::RevokeRequest { id, note }).await.map(|r| Answer::Revoked(r.into_inner()))
            }
            Question::Status => client
                .get_status(api::GetStatusRequest {})
                .await
                .map(|r| Answer::Status(Box::new(r.into_inner()))),
        };
        answer.map_err(|status| refused(&status))
    }
}

fn refused(status: &tonic::Status) -> Failed {
    match status.code() {
        Code::DeadlineExceeded | Code::Cancelled => {
            Failed::Refused("the client did not answer in time; look at its log".into())
        }
        _ => Failed::Refused(status.message().to_owned()),
    }
}

/// A local socket answers at once or not at all.
const CONNECT: Duration = Duration::from_secs(3);
/// A revocation may wait for the disk.
const ANSWER: Duration = Duration::from_secs(15);
