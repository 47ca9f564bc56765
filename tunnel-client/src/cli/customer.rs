//! The connection to the daemon's socket, each step with a deadline.

use std::{future::Future, io, path::Path, path::PathBuf, time::Duration};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::{
    Code, Response, Status, Streaming,
    transport::{Channel, Endpoint},
};
use tunnel_certs::key::{KeyError, SignError};
use tunnel_protos::{
    approvers::{
        RequestView, approvers_client::ApproversClient, bundles_client::BundlesClient,
        membership_client::MembershipClient,
    },
    text::escape,
    v1::RequestState,
};
use tunnel_runtime::exit::Exit;

/// Why a customer's command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Nobody answers on the socket, or it may not be opened.
    #[error(
        "no tunnel-client answers on {path}; is it running, and may you open its socket? (`--socket` or POSTERN_SOCKET names another)"
    )]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon refused.
    #[error("{message}")]
    Refused {
        /// Its status.
        code: Code,
        /// Why, and what to do.
        message: String,
    },
    /// The request cannot be answered any more.
    #[error(
        "the request is {0} already; there is nothing to answer (`tunnel-client show` tells what became of it)"
    )]
    Over(&'static str, Exit),
    /// What was typed cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// The person at the terminal said no to it.
    #[error("nothing was done")]
    Declined,
    /// The approver key.
    #[error("the approver key")]
    Key(#[source] KeyError),
    /// The approver key did not sign.
    #[error("the approver key")]
    Sign(#[source] SignError),
    /// A file of a bundle, or a plan, is not what it is said to be.
    #[error("what came is not what its digest says; nothing was done")]
    Damaged,
    /// Standard input or output.
    #[error("cannot read the answer or print the result")]
    Io(#[from] io::Error),
}

impl Failed {
    /// The program's exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Refused { code: Code::PermissionDenied, .. } => Exit::Denied,
            Self::Over(_, exit) => *exit,
            Self::Usage(_) | Self::Refused { code: Code::InvalidArgument, .. } => Exit::Usage,
            Self::Unreachable { .. }
            | Self::Refused { .. }
            | Self::Declined
            | Self::Damaged
            | Self::Key(_)
            | Self::Sign(_)
            | Self::Io(_) => Exit::Failed,
        }
    }

    /// Why a request that is not pending cannot be answered; none if it can.
    pub(super) fn over(view: &RequestView) -> Option<Self> {
        let (word, exit) = match view.state() {
            RequestState::Pending => return None,
            RequestState::Denied => ("denied", Exit::Denied),
            RequestState::Revoked => ("revoked", Exit::Denied),
            RequestState::Withdrawn => ("withdrawn", Exit::Failed),
            RequestState::Expired => ("expired", Exit::Expired),
            RequestState::Approved | RequestState::Active | RequestState::Running => {
                ("approved", Exit::Failed)
            }
            _ => ("over", Exit::Failed),
        };
        Some(Self::Over(word, exit))
    }
}

/// The daemon's API.
pub(super) type Client = ApproversClient<Channel>;
/// Its API of belonging to a vendor.
pub(super) type Membership = MembershipClient<Channel>;

/// Connects to the daemon.
pub(super) async fn connect(socket: &Path) -> Result<Client, Failed> {
    Ok(ApproversClient::new(channel(socket).await?).max_decoding_message_size(LARGEST_ANSWER))
}

/// Connects to the daemon for what is about belonging to a vendor.
pub(super) async fn membership(socket: &Path) -> Result<Membership, Failed> {
    Ok(MembershipClient::new(channel(socket).await?))
}

/// Its API of operations and bundles.
pub(super) type Bundles = BundlesClient<Channel>;

/// Connects to the daemon for operations and bundles.
pub(super) async fn bundles(socket: &Path) -> Result<Bundles, Failed> {
    Ok(BundlesClient::new(channel(socket).await?).max_decoding_message_size(LARGEST_ANSWER))
}

async fn channel(socket: &Path) -> Result<Channel, Failed> {
    let path = socket.to_owned();
    let connector = tower::service_fn(move |_: http::Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://approvers").connect_timeout(CONNECT).timeout(ANSWER);
    let channel = endpoint.connect_with_connector(connector).await;
    let unreachable = |error: tonic::transport::Error| {
        // The transport's own words repeat those of the system.
        let error: &dyn std::error::Error = &error;
        let system = std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error);
        Failed::Unreachable { path: socket.to_owned(), source: io::Error::other(system.to_string()) }
    };
    channel.map_err(unreachable)
}

/// Waits for one answer.
pub(super) async fn answered<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Failed> {
    let late = |_| Err(Status::deadline_exceeded(""));
    let answer = tokio::time::timeout(ANSWER, call).await.unwrap_or_else(late);
    answer.map(Response::into_inner).map_err(|status| refused(&status))
}

/// The next message of a stream; none at its end.
pub(super) async fn next<T>(stream: &mut Streaming<T>) -> Result<Option<T>, Failed> {
    let late = |_| Err(Status::deadline_exceeded(""));
    let message = tokio::time::timeout(ANSWER, stream.message()).await.unwrap_or_else(late);
    message.map_err(|status| refused(&status))
}

/// Why the daemon did not do it.
pub(super) fn refused(status: &Status) -> Failed {
    let message = match status.code() {
        Code::DeadlineExceeded | Code::Cancelled => {
            "the client did not answer in time; look at its log".to_owned()
        }
        Code::Unavailable | Code::Unknown if status.message().contains("transport") => {
            "the client has gone away; is it still running?".to_owned()
        }
        _ => escape(status.message(), LONGEST_MESSAGE),
    };
    Failed::Refused { code: status.code(), message }
}

/// A local socket answers at once or not at all.
const CONNECT: Duration = Duration::from_secs(3);
/// A revocation may wait for the disk.
const ANSWER: Duration = Duration::from_secs(15);
/// A list of 2,000 requests with all their methods.
const LARGEST_ANSWER: usize = 64 << 20;
/// An error and its causes.
const LONGEST_MESSAGE: usize = 2000;
