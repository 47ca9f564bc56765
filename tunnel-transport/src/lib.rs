//! One tunnel, both ends: carriers, stream headers, control frames, limits, close codes, backoff.
//!
//! The broker opens every stream, the control stream first; a replica may open none. This crate moves bytes and
//! control messages and knows neither requests nor policy. It spawns nothing: callers own every task.

pub mod backoff;
mod carrier;
pub mod codes;
pub mod control;
pub mod frame;
pub mod header;
mod incoming;
pub mod limits;
pub mod quic;
mod stream;
mod tunnel;

pub use self::{
    codes::Code,
    header::{Header, Kind},
    incoming::{AcceptError, Incoming, Offer},
    limits::{Deadlines, Limits},
    stream::{RecvHalf, SendHalf, Stream, StreamError, Written},
    tunnel::{Closed, OpenError, Stats, Tunnel},
};
