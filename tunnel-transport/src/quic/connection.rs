//! A QUIC connection as a carrier: its streams, its end, and quinn's errors in our words.

use std::{net::SocketAddr, time::Duration};

use quinn::{ConnectionError, ReadError, StoppedError, TransportErrorCode, VarInt, WriteError};

use super::farewell;
use crate::{
    Closed, Code, Stats, StreamError, Written,
    carrier::{CarrierRecv, CarrierSend},
};

/// A connection past its handshake.
#[derive(Debug)]
pub(crate) struct Connection {
    connection: quinn::Connection,
    /// The endpoint of a dialed connection has no other owner; a listener's has.
    endpoint: Option<quinn::Endpoint>,
}

impl Connection {
    pub(super) const fn new(connection: quinn::Connection, endpoint: Option<quinn::Endpoint>) -> Self {
        Self { connection, endpoint }
    }

    pub(crate) async fn open(&self) -> Result<(CarrierSend, CarrierRecv), Closed> {
        let (send, recv) = self.connection.open_bi().await.map_err(|error| closed(&error))?;
        Ok((CarrierSend::Quic(send), CarrierRecv::Quic(recv)))
    }

    pub(crate) async fn accept(&self) -> Result<(CarrierSend, CarrierRecv), Closed> {
        let (send, recv) = self.connection.accept_bi().await.map_err(|error| closed(&error))?;
        Ok((CarrierSend::Quic(send), CarrierRecv::Quic(recv)))
    }

    pub(crate) fn close(&self, code: Code, retry_after: Option<Duration>) {
        farewell::announce(&self.connection);
        let reason = retry_after.map(|after| after.as_millis().to_string()).unwrap_or_default();
        self.connection.close(code.number().into(), reason.as_bytes());
    }

    pub(crate) async fn closed(&self) -> Closed {
        closed(&self.connection.closed().await)
    }

    pub(crate) async fn flushed(&self) {
        self.connection.closed().await;
        if let Some(endpoint) = &self.endpoint {
            endpoint.wait_idle().await;
        }
    }

    pub(crate) fn close_reason(&self) -> Option<Closed> {
        self.connection.close_reason().as_ref().map(closed)
    }

    pub(crate) fn remote_address(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    pub(crate) fn stats(&self) -> Stats {
        let stats = self.connection.stats();
        Stats {
            rtt: stats.path.rtt,
            sent: stats.udp_tx.bytes,
            received: stats.udp_rx.bytes,
            lost_packets: stats.path.lost_packets,
        }
    }
}

/// Longer waits than this are a mistake or a trick.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

pub(super) fn closed(error: &ConnectionError) -> Closed {
    match error {
        ConnectionError::ApplicationClosed(close) => Closed::ByPeer {
            code: Code::from_number(close.error_code.into_inner()),
            retry_after: retry_after(&close.reason),
        },
        ConnectionError::LocallyClosed => Closed::ByUs,
        ConnectionError::TimedOut => Closed::TimedOut,
        ConnectionError::VersionMismatch
        | ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::Reset
        | ConnectionError::CidsExhausted => Closed::Lost(format!("{error}{}", about_time(error))),
    }
}

/// A certificate out of its time is more often a wrong clock than a careless vendor; TLS has one alert for both.
fn about_time(error: &ConnectionError) -> &'static str {
    let code = match error {
        ConnectionError::TransportError(error) => error.code,
        ConnectionError::ConnectionClosed(close) => close.error_code,
        _ => return "",
    };
    if code == TransportErrorCode::crypto(CERTIFICATE_EXPIRED) {
        " (are the clocks of this machine and of its peer right?)"
    } else {
        ""
    }
}

/// Of RFC 8446, 6.2.
const CERTIFICATE_EXPIRED: u8 = 45;

fn retry_after(reason: &[u8]) -> Option<Duration> {
    let millis = std::str::from_utf8(reason).ok()?.parse().ok()?;
    Some(Duration::from_millis(millis).min(MAX_RETRY_AFTER))
}

pub(crate) fn read_error(error: ReadError) -> StreamError {
    match error {
        ReadError::Reset(code) => StreamError::Reset(code_of(code)),
        ReadError::ConnectionLost(error) => StreamError::Closed(closed(&error)),
        ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
            StreamError::Ended
        }
    }
}

pub(crate) fn write_error(error: WriteError) -> StreamError {
    match error {
        WriteError::Stopped(code) => StreamError::Stopped(code_of(code)),
        WriteError::ConnectionLost(error) => StreamError::Closed(closed(&error)),
        WriteError::ClosedStream | WriteError::ZeroRttRejected => StreamError::Ended,
    }
}

pub(crate) fn stopped_error(error: StoppedError) -> StreamError {
    match error {
        StoppedError::ConnectionLost(error) => StreamError::Closed(closed(&error)),
        StoppedError::ZeroRttRejected => StreamError::Ended,
    }
}

pub(crate) fn stop_code(code: Option<VarInt>) -> Option<Code> {
    code.map(code_of)
}

pub(crate) const fn written(written: quinn::Written) -> Written {
    Written { bytes: written.bytes, chunks: written.chunks }
}

fn code_of(code: VarInt) -> Code {
    Code::from_number(code.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_time_is_digits_and_bounded() {
        assert_eq!(retry_after(b"1500"), Some(Duration::from_millis(1500)));
        assert_eq!(retry_after(b"18446744073709551615"), Some(MAX_RETRY_AFTER));
        for bad in [&b""[..], b"-1", b"1s", b"\xff", b"99999999999999999999999"] {
            assert_eq!(retry_after(bad), None);
        }
    }

    #[test]
    fn a_restarted_peer_is_worth_another_dial() {
        assert!(closed(&ConnectionError::Reset).is_retryable());
        assert!(closed(&ConnectionError::TimedOut).is_retryable());
    }
}
