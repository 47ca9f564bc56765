//! Why a command ended without its result, and the exit code that says so: the one table of both.

use tunnel_protos::ClusterName;
use tunnel_runtime::exit::Exit;

use crate::{
    access::advice::Told,
    api::{CallError, SetupError},
    call, context,
    ending::Ending,
    enroll, entries, operate, operator, proxy,
    requester::{
        self, CertificateError,
        record::{self, Record},
    },
    rotation, session, signing, trust,
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
    #[error(transparent)]
    Enrollment(#[from] enroll::Error),
    #[error(transparent)]
    Trust(#[from] trust::Error),
    #[error(transparent)]
    Signing(#[from] signing::Error),
    #[error(transparent)]
    Rotation(#[from] rotation::Error),
    #[error(transparent)]
    Operation(#[from] operate::Error),
    /// The broker takes the operator, or itself, for someone else.
    #[error(
        "the broker says {what} is {said:?}, you say {wanted:?}: check the address, the suffix and the identity"
    )]
    Disagrees { what: &'static str, said: String, wanted: String },
    /// Nobody answers at a door that was just granted.
    #[error("granted, but the door does not answer; try again: tunnelctl connect {cluster} --resume {grant}")]
    Unproven { cluster: ClusterName, grant: tunnel_protos::GrantId, source: session::DialError },
    /// Nothing of this machine to go on with.
    #[error(
        "no open grant or request with {0} on this machine; ask: tunnelctl connect {0} --method 'package.Service/*' --reason 'why you need it'"
    )]
    NoGrant(ClusterName),
    /// The request is over, and this machine knows how it ended.
    #[error("{}", .told.text)]
    Over { record: Box<Record>, told: Box<Told>, call: Option<tonic::Code> },
    /// Nobody was asked, so there is nothing to look around in.
    #[error("no session with {0}; get one: tunnelctl connect {0}, or give --protoset")]
    NoSession(ClusterName),
    /// The local end of a proxy.
    #[error(transparent)]
    Proxy(#[from] proxy::Error),
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
    /// The facts beside the message, one line each.
    pub(crate) fn details(&self) -> &[String] {
        match self {
            Self::Call(error) => error.details(),
            _ => &[],
        }
    }

    /// The exit code.
    pub(crate) fn ending(&self) -> Ending {
        match self {
            Self::Context(_)
            | Self::Operator(_)
            | Self::Setup(_)
            | Self::Input { .. }
            | Self::Usage(_)
            | Self::NoGrant(_)
            | Self::NoSession(_)
            | Self::Signing(signing::Error::NoKey)
            | Self::Proxy(proxy::Error::Exposed(_))
            | Self::Record(
                record::Error::Unknown(_) | record::Error::Nameless(_) | record::Error::Ambiguous(..),
            ) => Exit::Usage.into(),
            Self::Broker(_)
            | Self::Entry(_)
            | Self::Request(_)
            | Self::Record(_)
            | Self::Certificate(_)
            | Self::Session(_)
            | Self::Door(_)
            | Self::Unproven { .. }
            | Self::Disagrees { .. }
            | Self::Enrollment(_)
            | Self::Trust(_)
            | Self::Signing(_)
            | Self::Rotation(_)
            | Self::Proxy(_)
            | Self::NoDoor(_) => Exit::Failed.into(),
            Self::Over { call: Some(code), .. } => Ending::Status(*code as u8),
            Self::Over { told, .. } => told.exit.into(),
            Self::Call(error) => error.ending(),
            Self::Operation(error) => error.ending(),
        }
    }
}
