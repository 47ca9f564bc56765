//! Every bound of the gate's HTTP/2, both ways, each with its reason.

use std::time::Duration;

use h2::{client, server};
use tokio::time::Instant;

/// For TLS, and again for HTTP/2's own handshake: far more than any path needs, short for someone who sends nothing.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

/// After a cut: time for every open call's status to leave, and for the operator to go by itself.
pub(super) const FAREWELL: Duration = Duration::from_millis(300);

/// After that: time for GOAWAY and the resets to leave before the connection is dropped.
pub(super) const LAST_WORD: Duration = Duration::from_millis(100);

/// A session without calls ends after this; gRPC channels reconnect by themselves.
pub(super) const IDLE: Duration = Duration::from_secs(600);

/// Sessions of one grant at the same time; a channel needs one. So many more are let in to be told so, and
/// beyond those none: a grant, live or over, must not take all streams of the tunnel.
pub(super) const SESSIONS: usize = 64;

/// Calls of one session at the same time.
const STREAMS: u32 = 1024;

/// What a gRPC client sends is far smaller; its own servers' default is 8 KiB.
const OPERATOR_HEADERS: u32 = 32 * 1024;

/// Engines may put details into trailers; more is an attack on the operator's client.
const ENGINE_HEADERS: u32 = 64 * 1024;

/// One stream in flight: fills 100 Mbit/s at 150 ms.
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;

/// All streams of a connection together: what one session can make us hold in each direction.
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Large frames cost the engine and us fewer system calls.
const FRAME: u32 = 256 * 1024;

/// Written but not sent, per stream.
const SEND_BUFFER: usize = 256 * 1024;

/// Overhead of small DATA frames that wait for a slow reader: some 65,000 of them, far above what h2 assumes,
/// because a stream of small messages to a slow operator is no attack.
const FRAME_OVERHEAD: usize = 16 * 1024 * 1024;

/// Resets by the operator in one second: more is the rapid-reset attack.
pub(super) const RESETS_PER_SECOND: u32 = 200;

/// Frames that move nothing (PING, SETTINGS, PRIORITY, unknown and empty ones) in one second. A client that waits for
/// the answer to each, as measuring ones do, cannot send so many through a broker.
pub(super) const IDLE_FRAMES_PER_SECOND: u32 = 4_000;

/// The side toward operators.
pub(super) fn server() -> server::Builder {
    let mut builder = server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(FRAME_OVERHEAD)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(OPERATOR_HEADERS);
    builder
}

/// The side toward the engine.
pub(super) fn client() -> client::Builder {
    let mut builder = client::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(FRAME_OVERHEAD)
        .max_header_list_size(ENGINE_HEADERS)
        .enable_push(false);
    builder
}

/// Counts something that an operator does by the second.
#[derive(Debug)]
pub(super) struct Rate {
    most: u32,
    began: Instant,
    count: u32,
}

impl Rate {
    /// Allows `most` per second.
    pub(super) fn new(most: u32) -> Self {
        Self { most, began: Instant::now(), count: 0 }
    }

    /// Counts `more`; true if it is too many.
    pub(super) fn is_too_many(&mut self, more: u32, now: Instant) -> bool {
        if now.duration_since(self.began) >= SECOND {
            (self.began, self.count) = (now, 0);
        }
        self.count = self.count.saturating_add(more);
        self.count > self.most
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_counted_by_the_second() {
        let (mut rate, now) = (Rate::new(200), Instant::now());
        assert!((0..200).all(|_| !rate.is_too_many(1, now)));
        assert!(rate.is_too_many(1, now));
        let later = now + SECOND;
        assert!(!rate.is_too_many(200, later));
        assert!(rate.is_too_many(1, later + SECOND / 2));
    }
}
