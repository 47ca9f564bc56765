//! What can go wrong between us and the broker, and whether trying again can help.

use std::path::PathBuf;

use tonic::{Code, Status};
use tunnel_certs::{credential::CredentialError, file::FileError, tls::TlsError};

use crate::console::safe;

/// Why there is no way to the API at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The file of CA certificates could not be read.
    #[error("cannot read the API's CA certificates")]
    File(#[source] FileError),
    /// The file holds no certificates.
    #[error("no CA certificates in {}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CredentialError,
    },
    /// The system has none.
    #[error("the system has no public CA certificates: give the API's with --api-ca")]
    NoSystemRoots,
    /// The identity cannot be shown in TLS.
    #[error("cannot prepare TLS")]
    Tls(#[source] TlsError),
    /// No DNS name.
    #[error("{0:?} is not the DNS name of an API")]
    Name(String),
}

/// Why a call to the broker failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The broker could not be reached, or broke off.
    #[error("cannot reach the broker ({0}): check the address and the CA of your context; is the broker up?")]
    Unreachable(String),
    /// The broker answered with an error.
    #[error("the broker refused {call}: {message} ({code:?})")]
    Refused {
        /// The method.
        call: &'static str,
        /// The gRPC status.
        code: Code,
        /// The broker's words, safe to show.
        message: String,
    },
    /// The broker ended a stream that has no end.
    #[error("the broker closed the stream")]
    Closed,
    /// No answer in time.
    #[error("the broker did not answer {0} in time; try again")]
    Deadline(&'static str),
}

impl CallError {
    pub(super) fn status(call: &'static str, status: &Status) -> Self {
        let message = safe(status.message());
        match status.code() {
            Code::Unavailable => Self::Unreachable(reasons(status, message)),
            code => Self::Refused { call, code, message },
        }
    }

    /// Whether the same call may work a moment later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Closed | Self::Deadline(_) => true,
            Self::Refused { code, .. } => matches!(
                code,
                Code::Unknown
                    | Code::Cancelled
                    | Code::DeadlineExceeded
                    | Code::ResourceExhausted
                    | Code::Aborted
                    | Code::Internal
            ),
        }
    }

    /// Whether the broker said that it is too early.
    pub fn is_not_yet(&self) -> bool {
        matches!(self, Self::Refused { code: Code::FailedPrecondition, .. })
    }

    /// Whether the broker said that it knows no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: Code::NotFound, .. })
    }
}

/// tonic hides the cause of a broken connection in the status's sources.
fn reasons(status: &Status, message: String) -> String {
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(status);
    while let Some(error) = next {
        causes.push(error.to_string());
        next = error.source();
    }
    causes.pop().map_or(message, |root| safe(&root))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: Code) -> CallError {
        CallError::status("Submit", &Status::new(code, "no\u{1b}[2J"))
    }

    #[test]
    fn only_passing_troubles_are_retried() {
        for code in [Code::Unavailable, Code::Internal, Code::ResourceExhausted, Code::Unknown] {
            assert!(error(code).is_retryable(), "{code:?}");
        }
        for code in [Code::PermissionDenied, Code::Unauthenticated, Code::InvalidArgument, Code::NotFound] {
            assert!(!error(code).is_retryable(), "{code:?}");
        }
        assert!(CallError::Deadline("Submit").is_retryable());
    }

    #[test]
    fn the_brokers_words_are_escaped() {
        assert!(!error(Code::NotFound).to_string().contains('\u{1b}'));
        assert!(!error(Code::Unavailable).to_string().contains('\u{1b}'));
    }
}
