//! The one table of what the socket answers when something was not done.

use tonic::{Code, Status};
use tunnel_runtime::chain;

use super::{
    AnswerError, BundleError, CancelError, ClockError, ConfirmError, MembershipError, OperatorError,
    ResumeError, RevokeError, RotateKeysError, challenges::NotOpen, proof::NotProven,
};

/// An error that has a place in the table.
pub(super) trait Coded: std::error::Error {
    fn code(&self) -> Code;
}

/// The status of `error`, its whole chain as the message.
pub(super) fn of<E: Coded>(error: &E) -> Status {
    Status::new(error.code(), chain(error).to_string())
}

impl Coded for NotProven {
    fn code(&self) -> Code {
        Code::PermissionDenied
    }
}

impl Coded for NotOpen {
    fn code(&self) -> Code {
        Code::FailedPrecondition
    }
}

impl Coded for AnswerError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown => Code::NotFound,
            Self::NotPending(_)
            | Self::Changed
            | Self::NotPlanned
            | Self::PlanChanged
            | Self::Policy(_)
            | Self::Refusing(_) => Code::FailedPrecondition,
            Self::Replayed => Code::AlreadyExists,
            Self::NotStored(_) => Code::DataLoss,
        }
    }
}

impl Coded for RevokeError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown => Code::NotFound,
            Self::NotLive(_) => Code::FailedPrecondition,
            Self::NotStored(_) => Code::DataLoss,
        }
    }
}

impl Coded for CancelError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown => Code::NotFound,
            Self::NotNow(_) => Code::FailedPrecondition,
            Self::NotStored(_) => Code::DataLoss,
        }
    }
}

impl Coded for BundleError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown | Self::NoFile => Code::NotFound,
            Self::Changed | Self::Refused(_) => Code::FailedPrecondition,
            Self::NotStored(_) => Code::DataLoss,
        }
    }
}

impl Coded for ResumeError {
    fn code(&self) -> Code {
        match self {
            Self::NotPaused | Self::Other(_) | Self::Again => Code::FailedPrecondition,
            Self::Replayed => Code::AlreadyExists,
            Self::NotStored(_) => Code::DataLoss,
        }
    }
}

impl Coded for OperatorError {
    fn code(&self) -> Code {
        match self {
            Self::NotDenied => Code::FailedPrecondition,
            Self::Full => Code::ResourceExhausted,
            Self::Replayed => Code::AlreadyExists,
            Self::NotStored(_) => Code::DataLoss,
        }
    }
}

impl Coded for ClockError {
    fn code(&self) -> Code {
        match self {
            Self::Bounds => Code::InvalidArgument,
            Self::Replayed => Code::AlreadyExists,
            Self::NotStored(_) => Code::DataLoss,
        }
    }
}

impl Coded for ConfirmError {
    fn code(&self) -> Code {
        match self {
            Self::NothingWaits | Self::Changed | Self::Over(_) => Code::FailedPrecondition,
            Self::WrongWords => Code::InvalidArgument,
            Self::TooMany(_) => Code::ResourceExhausted,
            Self::NotStored(_) => Code::DataLoss,
        }
    }
}

impl Coded for RotateKeysError {
    fn code(&self) -> Code {
        match self {
            Self::NotEnrolled => Code::FailedPrecondition,
            Self::Sign(_) => Code::Internal,
            Self::NotStored(_) => Code::DataLoss,
        }
    }
}

impl Coded for MembershipError {
    fn code(&self) -> Code {
        match self {
            Self::Refused(_) => Code::FailedPrecondition,
            Self::Unknown(_) => Code::NotFound,
            Self::Malformed(_) => Code::InvalidArgument,
            Self::NotStored(_) => Code::DataLoss,
        }
    }
}
