//! The form of a record in logs, snapshots and exports: length, checksum, body. Decoding never trusts the length.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use crc::{CRC_32_ISCSI, Crc};
use thiserror::Error;

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Record {
    pub(in super::super) revision: u64,
    pub(in super::super) key: String,
    /// Absent: the key was deleted.
    pub(in super::super) value: Option<Value>,
}

/// A value and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Value {
    pub(in super::super) bytes: Bytes,
    /// Unix milliseconds; 0 never expires.
    pub(in super::super) expires_at: u64,
}

/// Bytes that are no record.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Corrupt {
    /// A length beyond what a record may have.
    #[error("impossible record length")]
    Length,
    /// Body and checksum differ.
    #[error("wrong checksum")]
    Checksum,
    /// The body does not decode.
    #[error("malformed record")]
    Body,
    /// The last record is cut off.
    #[error("truncated record")]
    Truncated,
}

impl Record {
    pub(in super::super) fn encode(&self, out: &mut impl BufMut) {
        let mut body = BytesMut::with_capacity(HEAD + self.key.len() + self.value_len());
        body.put_u64(self.revision);
        body.put_u8(u8::from(self.value.is_some()));
        body.put_u64(self.value.as_ref().map_or(0, |value| value.expires_at));
        body.put_u16(self.key.len() as u16);
        body.put_slice(self.key.as_bytes());
        body.put_slice(self.value.as_ref().map_or(&[], |value| &value.bytes));
        out.put_u32(body.len() as u32);
        out.put_u32(CHECKSUM.checksum(&body));
        out.put_slice(&body);
    }

    fn value_len(&self) -> usize {
        self.value.as_ref().map_or(0, |value| value.bytes.len())
    }

    fn decode(mut body: Bytes) -> Result<Self, Corrupt> {
        let malformed = |_| Corrupt::Body;
        let revision = body.try_get_u64().map_err(malformed)?;
        let is_put = body.try_get_u8().map_err(malformed)? == 1;
        let expires_at = body.try_get_u64().map_err(malformed)?;
        let key_len = usize::from(body.try_get_u16().map_err(malformed)?);
        if key_len == 0 || key_len > body.len() {
            return Err(Corrupt::Body);
        }
        let key = String::from_utf8(body.split_to(key_len).to_vec()).map_err(|_| Corrupt::Body)?;
        Ok(Self { revision, key, value: is_put.then_some(Value { bytes: body, expires_at }) })
    }
}

/// Takes records off bytes that arrive in pieces.
#[derive(Debug, Default)]
pub(in super::super) struct Decoder {
    buffer: BytesMut,
    taken: u64,
}

impl Decoder {
    pub(in super::super) fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next record, or nothing until more bytes come.
    pub(in super::super) fn next(&mut self) -> Result<Option<Record>, Corrupt> {
        let mut head = &self.buffer[..];
        let (Ok(length), Ok(checksum)) = (head.try_get_u32(), head.try_get_u32()) else { return Ok(None) };
        let length = length as usize;
        if !(HEAD..=MAX_BODY).contains(&length) {
            return Err(Corrupt::Length);
        }
        if head.len() < length {
            return Ok(None);
        }
        if CHECKSUM.checksum(&head[..length]) != checksum {
            return Err(Corrupt::Checksum);
        }
        self.buffer.advance(PREFIX);
        self.taken += (PREFIX + length) as u64;
        Record::decode(self.buffer.split_to(length).freeze()).map(Some)
    }

    /// Bytes of the records taken so far.
    pub(in super::super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Fails if a record was begun and not ended.
    pub(in super::super) fn finish(&self) -> Result<(), Corrupt> {
        if self.buffer.is_empty() { Ok(()) } else { Err(Corrupt::Truncated) }
    }
}

/// Length and checksum before each body.
const PREFIX: usize = 8;
/// Revision, kind, expiry and key length.
const HEAD: usize = 19;
/// Values end at 1 MiB; a longer length is damage and must not make us buffer.
const MAX_BODY: usize = 2 << 20;
/// Also spreads keys over shards: it is the same on every machine and in every release.
pub(super) const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
