//! HTTP/2 frames by hand, for peers that keep no rule.

use bytes::{BufMut, Bytes, BytesMut};

pub(in crate::gate) const DATA: u8 = 0;
pub(in crate::gate) const HEADERS: u8 = 1;
pub(in crate::gate) const PRIORITY: u8 = 2;
pub(in crate::gate) const RST_STREAM: u8 = 3;
pub(in crate::gate) const SETTINGS: u8 = 4;
pub(in crate::gate) const PUSH_PROMISE: u8 = 5;
pub(in crate::gate) const PING: u8 = 6;
pub(in crate::gate) const GOAWAY: u8 = 7;
pub(in crate::gate) const WINDOW_UPDATE: u8 = 8;
pub(in crate::gate) const CONTINUATION: u8 = 9;

pub(in crate::gate) const END_STREAM: u8 = 1;
pub(in crate::gate) const END_HEADERS: u8 = 4;

pub(in crate::gate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
pub(in crate::gate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_uint(payload.len() as u64, 3);
    bytes.put_u8(kind);
    bytes.put_u8(flags);
    bytes.put_u32(stream);
    bytes.put_slice(payload);
    bytes.freeze()
}

/// A field of a header block that touches no table; both at most 126 bytes.
pub(in crate::gate) fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// The header block of a call.
pub(in crate::gate) fn call(method: &str) -> Vec<u8> {
    let path = format!("/engine.admin.v1.Admin/{method}");
    [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "door"),
        (":path", &path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]
    .iter()
    .flat_map(|(name, value)| literal(name, value))
    .collect()
}

/// The header block of an answer.
pub(in crate::gate) fn answer() -> Vec<u8> {
    [literal(":status", "200"), literal("content-type", "application/grpc")].concat()
}
