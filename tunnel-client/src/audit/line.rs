//! One record as one line of JSON, and how lines hang together: each names the SHA-256 of the line before.
//!
//! Invariant: the bytes of a line, its line break not counted, never change once written; hashes, and later the
//! leaves of a Merkle tree, are over exactly these bytes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use tunnel_certs::crypto;
use tunnel_protos::UnixMillis;

/// SHA-256 of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LineHash([u8; 32]);

impl LineHash {
    /// What the first line of a log continues from.
    pub const NONE: Self = Self([0; 32]);

    /// The hash of a line without its line break.
    pub fn of(line: &[u8]) -> Self {
        Self(crypto::sha256(line))
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        data_encoding::HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

impl FromStr for LineHash {
    type Err = data_encoding::DecodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = data_encoding::DecodeError { position: 0, kind: data_encoding::DecodeKind::Length };
        data_encoding::HEXLOWER.decode(text.as_bytes())?.try_into().map(Self).map_err(|_| wrong)
    }
}

impl Serialize for LineHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where the next line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// Its sequence.
    pub next: u64,
    /// What it continues from.
    pub prev: LineHash,
}

impl Chain {
    /// The beginning of a log.
    pub const START: Self = Self { next: 1, prev: LineHash::NONE };

    /// Puts a record into `out` as the next line, and moves on.
    pub fn append(
        &mut self,
        out: &mut Vec<u8>,
        time: UnixMillis,
        body: &impl Serialize,
    ) -> serde_json::Result<()> {
        let begin = out.len();
        let written = Written { seq: self.next, time: time.0, prev: self.prev, body };
        serde_json::to_writer(&mut *out, &written)?;
        *self = self.after(&out[begin..]);
        out.push(b'\n');
        Ok(())
    }

    /// Where the next line goes after this one stands at the present place.
    pub fn after(&self, line: &[u8]) -> Self {
        Self { next: self.next + 1, prev: LineHash::of(line) }
    }
}

#[derive(Serialize)]
struct Written<'a, B> {
    seq: u64,
    time: i64,
    prev: LineHash,
    #[serde(flatten)]
    body: &'a B,
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its sequence, from 1.
    pub seq: u64,
    /// When.
    pub time: UnixMillis,
    /// The hash of the line before.
    pub prev: LineHash,
    /// What happened.
    pub kind: String,
    /// The rest.
    pub fields: Map<String, Value>,
}

#[derive(Deserialize)]
struct Read {
    seq: u64,
    time: i64,
    prev: String,
    kind: String,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Line {
    /// Reads a line, without its line break; none if it is no record.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let Read { seq, time, prev, kind, fields } = serde_json::from_slice(line).ok()?;
        Some(Self { seq, time: UnixMillis(time), prev: prev.parse().ok()?, kind, fields })
    }

    /// A text among its fields; empty if there is none of this name.
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// A number among its fields; none if there is none of this name.
    pub fn number(&self, field: &str) -> Option<u64> {
        self.fields.get(field).and_then(Value::as_u64)
    }
}
