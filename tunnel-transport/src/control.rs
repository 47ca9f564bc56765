//! Control messages of a tunnel: framed, and repeated until acknowledged where nothing may be lost.
//!
//! The bookkeeping ([`outbox`], [`inbox`]) is pure; [`Control`] is the thin I/O around it. One task owns a
//! [`Control`] and calls [`Control::next`] in its loop, which also writes what [`ControlSender`]s queued.

pub mod inbox;
mod io;
mod message;
pub mod outbox;

use std::time::Duration;

pub use self::{
    io::{Control, ControlError, ControlSender, SendError},
    message::ControlMessage,
};

/// Bounds of a control stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlLimits {
    /// Messages queued or unacknowledged at a time; more are refused.
    pub queued: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// An unacknowledged message is sent again after this long.
    pub repeat: Duration,
    /// A peer that reads nothing for this long, while there is something to write, is lost.
    pub stalled: Duration,
}

impl Default for ControlLimits {
    fn default() -> Self {
        Self {
            queued: 256,
            // A few messages of the largest size.
            bytes: 4 << 20,
            // Longer than any healthy acknowledgement: storing on disk included.
            repeat: Duration::from_secs(5),
            stalled: Duration::from_secs(10),
        }
    }
}
