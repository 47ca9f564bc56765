//! The one place that turns errors into gRPC statuses; every message says what to do next where there is something.

use tonic::Status;

use crate::mailbox::{SubmitError, sealed::ShapeError, watch::WatchError};

/// Why a call of the operators' API failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// The connection outlived the caller's certificate.
    #[error("the operator identity has expired, connect again with a fresh one")]
    Expired,
    /// The connection carries no identity: a fault here.
    #[error("the caller's identity is missing")]
    Anonymous,
    /// Not a name of a cluster.
    #[error("not a cluster name: two names with a slash between, like acme/prod")]
    ClusterName,
    /// Not there, or not the caller's to see: the two look the same from outside.
    #[error("no such cluster at this broker; `tunnelctl clusters` lists those that it shows to you")]
    NoCluster,
    /// Not 32 bytes.
    #[error("an envelope id has 32 bytes")]
    EnvelopeId,
    /// Nothing to submit.
    #[error("the request is missing")]
    NoRequest,
    /// Not a sealed request.
    #[error("{0}")]
    Shape(ShapeError),
    /// Too many in a minute.
    #[error("too many requests, wait a minute")]
    TooFast,
    /// Too many at a time.
    #[error("too many watches, end one first")]
    TooManyWatches,
    /// The broker is going away.
    #[error("the broker is draining, connect again")]
    Draining,
    /// Not taken.
    #[error("{0}")]
    Submit(SubmitError),
    /// Not watched.
    #[error("{0}")]
    Watch(WatchError),
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        let text = error.to_string();
        match error {
            CallError::Expired => Self::unauthenticated(text),
            CallError::Anonymous => Self::internal(text),
            CallError::ClusterName | CallError::EnvelopeId | CallError::NoRequest | CallError::Shape(_) => {
                Self::invalid_argument(text)
            }
            CallError::NoCluster | CallError::Watch(WatchError::Unknown) => Self::not_found(text),
            CallError::TooFast | CallError::TooManyWatches | CallError::Submit(SubmitError::Full) => {
                Self::resource_exhausted(text)
            }
            CallError::Submit(SubmitError::Foreign) => Self::already_exists(text),
            CallError::Draining
            | CallError::Submit(SubmitError::Store(_))
            | CallError::Watch(WatchError::Store(_)) => Self::unavailable(text),
        }
    }
}
