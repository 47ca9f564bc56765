//! The QUIC carrier: UDP, mesh mutual TLS 1.3, ALPN [`ALPN`].
//!
//! The broker listens and opens every stream; a replica's transport parameters allow it none, so a hostile
//! replica cannot make a broker hold stream state. Connections are driven on the runtime that finishes their
//! handshake, not on the one that accepts.

mod config;
mod connection;
mod dial;
mod farewell;
mod listener;
mod reset_key;
mod runtime;
mod socket;

pub(crate) use self::connection::{Connection, read_error, stop_code, stopped_error, write_error, written};
pub use self::{
    config::{ClientTls, ConfigError, ServerTls},
    dial::{Dial, DialError, dial},
    listener::{Admission, BindError, HandshakeError, Handshaking, Listener},
    reset_key::ResetKey,
};

/// The protocol of tunnels over QUIC, version 1.
pub const ALPN: &[u8] = b"postern/1";

#[cfg(test)]
mod tests;
