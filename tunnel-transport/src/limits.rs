//! Bounds of one tunnel: what a peer can make grow, and how long anything may take.

use std::time::Duration;

/// What one tunnel may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Streams open at a time, control included.
    pub streams: u32,
    /// Streams that wait for the peer's answer at a time; more are refused, so that a stuck replica fills nothing.
    pub pending_opens: u32,
    /// Bytes received and not yet read, per stream: bandwidth × delay of one session.
    pub stream_window: u32,
    /// Bytes received and not yet read, per tunnel.
    pub tunnel_window: u32,
    /// Bytes written and not yet acknowledged, per tunnel.
    pub send_window: u32,
    /// A tunnel on which nothing arrives for so long is lost; more than two probe intervals.
    pub idle: Duration,
}

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Resolve aside, until both identities are known.
    pub handshake: Duration,
    /// Until the header of a new stream has come.
    pub header: Duration,
    /// Until the peer has answered a new stream.
    pub open: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // One grant's sessions are few; a thousand is a robot gone wild.
            streams: 1024,
            pending_opens: 64,
            // 2 MiB over 40 ms are 50 MB/s for one session; the tunnel takes four such at once.
            stream_window: 2 << 20,
            tunnel_window: 8 << 20,
            send_window: 8 << 20,
            // Probes come at most 30 s apart, and two may be missed.
            idle: Duration::from_secs(90),
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            // Three round trips at 1 s, with losses.
            handshake: Duration::from_secs(10),
            // The header is written together with the opening of the stream.
            header: Duration::from_secs(5),
            // An operator who waits longer sees a dead cluster anyway.
            open: Duration::from_secs(5),
        }
    }
}
