//! How the life of a tunnel ended, what its broker is told, and whether dialing again may help.

use std::time::Duration;

use tunnel_transport::{
    Closed, Code,
    control::{ControlError, SendError},
};

/// How the life of a tunnel ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the tunnel is closed")]
    Closed(#[source] Closed),
    #[error("the broker did not {0} in time")]
    Late(&'static str),
    #[error("the broker's first stream is not a control stream")]
    NoControl,
    #[error("the control stream")]
    Control(#[source] ControlError),
    #[error("the broker chose a version that was not offered: {0}")]
    Version(u32),
    #[error("no probe arrived for {0:?}")]
    Silent(Duration),
    #[error("a certificate of the tunnel ends")]
    Expired,
    #[error("cannot queue a control message")]
    Send(#[source] SendError),
    #[error("drained")]
    Drained,
    #[error("another tunnel took its place")]
    Replaced,
}

impl End {
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Closed(_) => Code::Done,
            Self::Late(_) => Code::Deadline,
            Self::NoControl => Code::Malformed,
            Self::Control(error) => error.code(),
            Self::Version(_) => Code::Version,
            Self::Silent(_) => Code::Silent,
            Self::Expired => Code::Expired,
            Self::Send(_) => Code::Busy,
            Self::Drained | Self::Replaced => Code::Draining,
        }
    }

    pub(super) fn is_retryable(&self) -> bool {
        match self {
            Self::Closed(closed) => closed.is_retryable(),
            Self::Version(_) | Self::NoControl => false,
            Self::Late(_)
            | Self::Control(_)
            | Self::Silent(_)
            | Self::Expired
            | Self::Send(_)
            | Self::Drained
            | Self::Replaced => true,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Closed(closed) => closed.retry_after(),
            _ => None,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Closed(Closed::ByPeer { code, .. }) => code.as_str(),
            Self::Closed(_) => "lost",
            other => other.code().as_str(),
        }
    }
}
