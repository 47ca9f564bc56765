//! Why a command ended without its result, and the exit code that says so: the one table of both.

use tunnel_runtime::exit::Exit;

use crate::{
    api::{CallError, SetupError},
    call, context,
    ending::Ending,
    entries, operator,
    requester::{self, CertificateError, record},
    session,
};

/// Why a command ended without its result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Context(#[from] context::Error),
    #[error(transparent)]
    Operator(#[from] operator::Error),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    Broker(#[from] CallError),
    #[error(transparent)]
    Entry(#[from] entries::Error),
    #[error(transparent)]
    Request(#[from] requester::Error),
    #[error(transparent)]
    Record(#[from] record::Error),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Session(#[from] session::Error),
    #[error(transparent)]
    Door(#[from] session::DialError),
    #[error(transparent)]
    Call(#[from] call::Error),
    /// The broker takes the operator, or itself, for someone else.
    #[error(
        "the broker says {what} is {said:?}, you say {wanted:?}: check the address, the suffix and the identity"
    )]
    Disagrees { what: &'static str, said: String, wanted: String },
    /// Nobody answers at a door that was just granted.
    #[error("granted, but the door does not answer; try again: tunnelctl connect CLUSTER --resume {grant}")]
    Unproven { grant: tunnel_protos::GrantId, source: session::DialError },
    /// A file that a login was given.
    #[error("cannot use {what} {path}")]
    Input {
        what: &'static str,
        path: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// The grant has no door for a target asked for.
    #[error("the grant has no door for target {0}: name it with --target when you connect")]
    NoDoor(tunnel_protos::TargetName),
}

impl Failure {
    /// The exit code.
    pub(crate) fn ending(&self) -> Ending {
        match self {
            Self::Context(_)
            | Self::Operator(_)
            | Self::Setup(_)
            | Self::Input { .. }
            | Self::Usage(_)
            | Self::Record(record::Error::Unknown(_)) => Exit::Usage.into(),
            Self::Broker(_)
            | Self::Entry(_)
            | Self::Request(_)
            | Self::Record(_)
            | Self::Certificate(_)
            | Self::Session(_)
            | Self::Door(_)
            | Self::Unproven { .. }
            | Self::Disagrees { .. }
            | Self::NoDoor(_) => Exit::Failed.into(),
            Self::Call(error) => error.ending(),
        }
    }
}
