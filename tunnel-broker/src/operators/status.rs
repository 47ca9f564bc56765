//! The one place that turns errors into gRPC statuses; every message says what to do next where there is something.

use tonic::Status;

use tunnel_protos::OperatorName;

use crate::{
    enroll::AdminError,
    entries,
    mailbox::{SubmitError, sealed::ShapeError, watch::WatchError},
    trust,
};

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
    /// The caller may not administer this broker.
    #[error("{0} is no administrator of this broker; its configuration names them under `administrators`")]
    NotAdministrator(OperatorName),
    /// Something belongs into the message that is not there, or is not what it should be.
    #[error("{0}")]
    Missing(&'static str),
    /// The certificates do not allow it.
    #[error("{0}")]
    Phase(tunnel_certs::rotation::Refusal),
    /// Not administered.
    #[error("{0}")]
    Admin(AdminError),
    /// The trust bundle is not in force.
    #[error("{}", tunnel_runtime::chain(.0))]
    Trust(trust::PublishError),
    /// The entry is not served.
    #[error("{}", tunnel_runtime::chain(.0))]
    Entry(entries::PublishError),
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        let text = error.to_string();
        match error {
            CallError::Expired => Self::unauthenticated(text),
            CallError::Anonymous => Self::internal(text),
            CallError::ClusterName
            | CallError::EnvelopeId
            | CallError::NoRequest
            | CallError::Shape(_)
            | CallError::Missing(_)
            | CallError::Admin(AdminError::Malformed(_)) => Self::invalid_argument(text),
            CallError::NotAdministrator(_) => Self::permission_denied(text),
            CallError::NoCluster
            | CallError::Watch(WatchError::Unknown)
            | CallError::Admin(AdminError::Unknown(_)) => Self::not_found(text),
            CallError::TooFast
            | CallError::TooManyWatches
            | CallError::Submit(SubmitError::Full)
            | CallError::Admin(AdminError::Full(_)) => Self::resource_exhausted(text),
            CallError::Submit(SubmitError::Foreign) | CallError::Admin(AdminError::Conflict(_)) => {
                Self::already_exists(text)
            }
            CallError::Phase(_)
            | CallError::Admin(AdminError::Phase(_))
            | CallError::Admin(AdminError::NotNow(_))
            | CallError::Trust(
                trust::PublishError::Refused(_)
                | trust::PublishError::Changed(_)
                | trust::PublishError::OtherSuffix
                | trust::PublishError::Unfit,
            )
            | CallError::Entry(entries::PublishError::Refused(_) | entries::PublishError::OtherCluster(..)) => {
                Self::failed_precondition(text)
            }
            CallError::Admin(AdminError::Authority(_) | AdminError::Folder(_)) => Self::internal(text),
            CallError::Draining
            | CallError::Submit(SubmitError::Store(_))
            | CallError::Watch(WatchError::Store(_))
            | CallError::Admin(AdminError::Store(_))
            | CallError::Trust(trust::PublishError::Store(_))
            | CallError::Entry(entries::PublishError::Store(_)) => Self::unavailable(text),
        }
    }
}
