//! The first frame of every stream: what it is for.
//!
//! Invariant: a [`Header`] that exists has the fields that its kind needs and no malformed ones.

use std::net::SocketAddr;

use bytes::Bytes;
use prost::Message;
use tunnel_protos::{Door, Label, v1};

use crate::{
    Code,
    frame::{self, FrameError, HEADER_CAP},
};

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Control messages; the first stream of a tunnel, and the only one of its kind.
    Control,
    /// An operator's TLS connection to a gate.
    Session {
        /// Where it goes.
        door: Door,
    },
    /// The replica echoes what follows, at most 64 bytes.
    Probe,
    /// A session on its way to the broker that holds the tunnel.
    Forward {
        /// Of which cluster.
        label: Label,
        /// Where it goes.
        door: Door,
    },
}

/// The first frame of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the stream is for.
    pub kind: Kind,
    /// The operator's address as the broker claims it; for the log only.
    pub peer: Option<SocketAddr>,
    /// W3C trace context, shape checked.
    pub trace: Option<v1::Trace>,
}

/// Why a header was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Longer than its cap.
    #[error("the header")]
    Frame(#[from] FrameError),
    /// Not protobuf.
    #[error("the header is not a message")]
    Decode(#[source] prost::DecodeError),
    /// A kind of a newer version, or none.
    #[error("a stream of unknown kind {0}")]
    Kind(i32),
    /// A field is missing or malformed.
    #[error("the header's {0} is missing or malformed")]
    Field(&'static str),
}

impl HeaderError {
    /// What the peer is told.
    pub fn code(&self) -> Code {
        match self {
            Self::Frame(FrameError::TooLarge { .. }) => Code::TooLarge,
            Self::Decode(_) | Self::Field(_) => Code::Malformed,
            Self::Kind(_) => Code::UnknownKind,
        }
    }
}

impl Header {
    /// A header of `kind` and nothing else.
    pub const fn new(kind: Kind) -> Self {
        Self { kind, peer: None, trace: None }
    }

    /// The frame to send.
    pub fn encode(&self) -> Result<Bytes, FrameError> {
        frame::encode(&v1::Header::from(self), HEADER_CAP)
    }

    /// Reads the message of a frame.
    pub fn decode(message: Bytes) -> Result<Self, HeaderError> {
        v1::Header::decode(message).map_err(HeaderError::Decode)?.try_into()
    }
}

impl From<&Header> for v1::Header {
    fn from(header: &Header) -> Self {
        let (kind, label, door) = match header.kind {
            Kind::Control => (v1::StreamKind::Control, None, None),
            Kind::Session { door } => (v1::StreamKind::Session, None, Some(door)),
            Kind::Probe => (v1::StreamKind::Probe, None, None),
            Kind::Forward { label, door } => (v1::StreamKind::Forward, Some(label), Some(door)),
        };
        Self {
            kind: kind.into(),
            label: label.map(|label| label.to_string()).unwrap_or_default(),
            door: door.map(|door| door.to_string()).unwrap_or_default(),
            peer: header.peer.map(|peer| peer.to_string()).unwrap_or_default(),
            trace: header.trace.clone(),
        }
    }
}

impl TryFrom<v1::Header> for Header {
    type Error = HeaderError;

    fn try_from(wire: v1::Header) -> Result<Self, HeaderError> {
        let kind = kind(&wire)?;
        let peer = match wire.peer.as_str() {
            "" => None,
            peer => Some(peer.parse().map_err(|_| HeaderError::Field("peer"))?),
        };
        // A bad trace context is no reason to fail a session: W3C says to start a new one.
        Ok(Self { kind, peer, trace: wire.trace.filter(is_well_formed) })
    }
}

fn kind(wire: &v1::Header) -> Result<Kind, HeaderError> {
    let door = || wire.door.parse().map_err(|_| HeaderError::Field("door"));
    let label = || wire.label.parse().map_err(|_| HeaderError::Field("label"));
    match v1::StreamKind::try_from(wire.kind) {
        Ok(v1::StreamKind::Control) => Ok(Kind::Control),
        Ok(v1::StreamKind::Session) => Ok(Kind::Session { door: door()? }),
        Ok(v1::StreamKind::Probe) => Ok(Kind::Probe),
        Ok(v1::StreamKind::Forward) => Ok(Kind::Forward { label: label()?, door: door()? }),
        Ok(v1::StreamKind::Unspecified) | Err(_) => Err(HeaderError::Kind(wire.kind)),
    }
}

/// `version-traceid-parentid-flags` in lower-case hex, and a printable state of at most 512 bytes.
fn is_well_formed(trace: &v1::Trace) -> bool {
    let hex = |part: &str| part.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    let parts: Vec<_> = trace.traceparent.split('-').collect();
    let parent = parts.iter().map(|part| part.len()).eq([2, 32, 16, 2]) && parts.iter().all(|part| hex(part));
    let printable = |c: u8| c.is_ascii_graphic() || c == b' ';
    parent && trace.tracestate.len() <= 512 && trace.tracestate.bytes().all(printable)
}

#[cfg(test)]
mod tests;
