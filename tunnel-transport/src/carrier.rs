//! The seam between tunnels and what carries them: an enum, so that no byte passes through a boxed future.
//!
//! QUIC is the only carrier today; a TCP carrier adds one variant to each of these types and nothing elsewhere.

use std::{net::SocketAddr, time::Duration};

use crate::{Closed, Code, Stats, StreamError, quic};

/// One authenticated connection.
#[derive(Debug)]
pub(crate) enum Carrier {
    Quic(quic::Connection),
}

/// The writing half of a stream.
#[derive(Debug)]
pub(crate) enum CarrierSend {
    Quic(quinn::SendStream),
}

/// The reading half of a stream.
#[derive(Debug)]
pub(crate) enum CarrierRecv {
    Quic(quinn::RecvStream),
}

impl Carrier {
    pub(crate) async fn open(&self) -> Result<(CarrierSend, CarrierRecv), Closed> {
        match self {
            Self::Quic(connection) => connection.open().await,
        }
    }

    pub(crate) async fn accept(&self) -> Result<(CarrierSend, CarrierRecv), Closed> {
        match self {
            Self::Quic(connection) => connection.accept().await,
        }
    }

    pub(crate) fn close(&self, code: Code, retry_after: Option<Duration>) {
        match self {
            Self::Quic(connection) => connection.close(code, retry_after),
        }
    }

    pub(crate) async fn closed(&self) -> Closed {
        match self {
            Self::Quic(connection) => connection.closed().await,
        }
    }

    pub(crate) async fn flushed(&self) {
        match self {
            Self::Quic(connection) => connection.flushed().await,
        }
    }

    pub(crate) fn close_reason(&self) -> Option<Closed> {
        match self {
            Self::Quic(connection) => connection.close_reason(),
        }
    }

    pub(crate) fn remote_address(&self) -> SocketAddr {
        match self {
            Self::Quic(connection) => connection.remote_address(),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        match self {
            Self::Quic(connection) => connection.stats(),
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Quic(_) => "quic",
        }
    }
}

impl CarrierSend {
    pub(crate) fn finish(&mut self) -> Result<(), StreamError> {
        match self {
            Self::Quic(stream) => stream.finish().map_err(|_| StreamError::Ended),
        }
    }

    /// Does nothing on a stream that is over already.
    pub(crate) fn reset(&mut self, code: Code) {
        match self {
            Self::Quic(stream) => drop(stream.reset(code.number().into())),
        }
    }
}

impl CarrierRecv {
    /// Does nothing on a stream that is over already.
    pub(crate) fn stop(&mut self, code: Code) {
        match self {
            Self::Quic(stream) => drop(stream.stop(code.number().into())),
        }
    }
}
