//! Reads a TLS ClientHello as it arrives, in pieces of any size, to learn where it wants to go. No I/O, no clock.
//! Invariant: what was pushed stays available byte for byte, so that the hello can be passed on unchanged.

use bytes::{Buf, Bytes, BytesMut};

#[cfg(test)]
pub(crate) mod tests;

/// What a ClientHello says about where it wants to go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ClientHello {
    /// The host name of the server name extension, in lower case; none if absent.
    pub(crate) server_name: Option<String>,
    /// Application protocols offered, in order.
    pub(crate) protocols: Vec<Vec<u8>>,
}

/// Why bytes are not a ClientHello that can be routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HelloError {
    /// The first record is not a handshake record.
    #[error("not TLS")]
    NotTls,
    /// A length or a field contradicts the format.
    #[error("malformed ClientHello")]
    Malformed,
    /// More bytes than any client needs.
    #[error("ClientHello too large")]
    TooLarge,
}

/// Collects the bytes of one connection until its ClientHello is complete.
#[derive(Debug, Default)]
pub(crate) struct HelloReader {
    raw: BytesMut,
    /// How much of `raw` has been taken apart into `message`.
    taken: usize,
    /// Handshake bytes of all records so far.
    message: Vec<u8>,
}

impl HelloReader {
    /// Adds what arrived; returns the hello once it is complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Option<ClientHello>, HelloError> {
        if self.raw.len() + bytes.len() > MAX_RAW {
            return Err(HelloError::TooLarge);
        }
        self.raw.extend_from_slice(bytes);
        while let Some(record) = next_record(&self.raw[self.taken..])? {
            self.message.extend_from_slice(record);
            self.taken += RECORD_HEADER + record.len();
            if let Some(body) = complete_message(&self.message)? {
                return parse_body(body).ok_or(HelloError::Malformed).map(Some);
            }
        }
        Ok(None)
    }

    /// Everything that was pushed, as it came.
    pub(crate) fn into_raw(self) -> Bytes {
        self.raw.freeze()
    }
}

/// Reads strangers' bytes as the broker does, for a fuzzer. Panics if pieces are read otherwise than the whole.
#[doc(hidden)]
pub fn fuzz_client_hello(bytes: &[u8]) -> bool {
    let Ok(Some(whole)) = HelloReader::default().push(bytes) else { return false };
    let mut reader = HelloReader::default();
    let in_pieces = bytes.chunks(7).find_map(|piece| reader.push(piece).transpose());
    assert_eq!(in_pieces, Some(Ok(whole)), "pieces are read otherwise than the whole");
    true
}

/// The payload of the record that `bytes` begin with, or none while it is incomplete.
fn next_record(bytes: &[u8]) -> Result<Option<&[u8]>, HelloError> {
    if bytes.first().is_some_and(|kind| *kind != HANDSHAKE_RECORD)
        || bytes.get(1).is_some_and(|major| *major != 3)
    {
        return Err(HelloError::NotTls);
    }
    let Some((header, rest)) = bytes.split_first_chunk::<RECORD_HEADER>() else { return Ok(None) };
    match usize::from(u16::from_be_bytes([header[3], header[4]])) {
        // RFC 8446 5.1: handshake records are never empty; endless empty ones would cost without progress.
        0 => Err(HelloError::Malformed),
        length if length > MAX_RECORD => Err(HelloError::TooLarge),
        length => Ok(rest.get(..length)),
    }
}

/// The body of the handshake message, or none while it is incomplete.
fn complete_message(message: &[u8]) -> Result<Option<&[u8]>, HelloError> {
    if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err(HelloError::Malformed);
    }
    let Some((header, body)) = message.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
    if length > MAX_HELLO {
        return Err(HelloError::TooLarge);
    }
    Ok(body.get(..length))
}

fn parse_body(mut body: &[u8]) -> Option<ClientHello> {
    take(&mut body, 2 + 32)?;
    vector8(&mut body)?;
    vector16(&mut body)?;
    vector8(&mut body)?;
    let mut hello = ClientHello::default();
    if body.is_empty() {
        return Some(hello);
    }
    let mut extensions = vector16(&mut body)?;
    while !extensions.is_empty() {
        let kind = take(&mut extensions, 2)?.get_u16();
        read_extension(&mut hello, kind, vector16(&mut extensions)?)?;
    }
    body.is_empty().then_some(hello)
}

/// Extensions that say nothing about the way, GREASE and ECH among them, pass unread.
fn read_extension(hello: &mut ClientHello, kind: u16, content: &[u8]) -> Option<()> {
    match kind {
        SERVER_NAME if hello.server_name.is_some() => None,
        SERVER_NAME => {
            hello.server_name = Some(parse_server_name(content)?);
            Some(())
        }
        ALPN => {
            hello.protocols = parse_protocols(content)?;
            Some(())
        }
        _ => Some(()),
    }
}

/// Exactly one host name (RFC 6066 allows one per type, and there is one type).
fn parse_server_name(mut content: &[u8]) -> Option<String> {
    let mut list = vector16(&mut content)?;
    let kind = take(&mut list, 1)?.get_u8();
    let name = vector16(&mut list)?;
    let one = kind == 0 && list.is_empty() && content.is_empty();
    let printable = (1..=253).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic);
    let text = std::str::from_utf8(name).ok()?;
    (one && printable).then(|| text.to_ascii_lowercase())
}

fn parse_protocols(mut content: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut list = vector16(&mut content)?;
    let mut protocols = Vec::new();
    while !list.is_empty() {
        protocols.push(vector8(&mut list)?.to_vec());
    }
    content.is_empty().then_some(protocols)
}

fn vector8<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = take(bytes, 1)?.get_u8();
    take(bytes, length.into())
}

fn vector16<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = take(bytes, 2)?.get_u16();
    take(bytes, length.into())
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

/// Largest hello taken: twice what post-quantum key shares, ECH and long ticket lists need together.
pub(crate) const MAX_HELLO: usize = 32 * 1024;

/// Largest sum of records taken; leaves room for a full hello cut into records of 5 bytes.
const MAX_RAW: usize = 2 * MAX_HELLO + 16 * 1024;

/// RFC 8446 5.1.
const MAX_RECORD: usize = 16 * 1024;

const RECORD_HEADER: usize = 5;
const HANDSHAKE_RECORD: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
