//! A message as it came from a peer, not looked at yet. Two bytes on the wire can be a message of a hundred in memory, so
//! that what is in it is counted before any of it is built.
//!
//! Invariant: what [`Undecoded::decode`] builds has at most [`MOST_FIELDS`] fields and list elements in all.

use bytes::{Buf, Bytes};
use prost::{
    DecodeError, Message,
    encoding::{WireType, decode_key, decode_varint},
};
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, ReflectMessage};

/// The bytes of a message, and what it would be; cheap to clone.
#[derive(Debug, Clone)]
pub struct Undecoded {
    descriptor: MessageDescriptor,
    bytes: Bytes,
}

/// Why bytes did not become a message.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum UndecodedError {
    /// More than anybody looks at.
    #[error("the answer has more than {MOST_FIELDS} fields")]
    Many,
    /// Not a message, or not this one.
    #[error("the answer is not the message that the descriptors name")]
    Malformed,
}

impl Undecoded {
    /// Bytes that would be a message of `descriptor`.
    pub fn new(descriptor: MessageDescriptor, bytes: Bytes) -> Self {
        Self { descriptor, bytes }
    }

    /// The message. Work that is bounded, but too much for a thread that serves others.
    pub fn decode(&self) -> Result<DynamicMessage, UndecodedError> {
        let mut count = Count(MOST_FIELDS);
        count.message(&mut &self.bytes[..], Some(&self.descriptor), DEEPEST, None)?;
        Ok(DynamicMessage::decode(self.descriptor.clone(), self.bytes.clone())?)
    }
}

impl From<&DynamicMessage> for Undecoded {
    fn from(message: &DynamicMessage) -> Self {
        Self::new(message.descriptor(), message.encode_to_vec().into())
    }
}

impl From<DecodeError> for UndecodedError {
    fn from(_: DecodeError) -> Self {
        Self::Malformed
    }
}

/// How many more fields may come.
struct Count(usize);

impl Count {
    fn take(&mut self, fields: usize) -> Result<(), UndecodedError> {
        self.0 = self.0.checked_sub(fields).ok_or(UndecodedError::Many)?;
        Ok(())
    }

    /// Reads to the end of the bytes, or of the `group`; of what is not `known`, only groups are looked into.
    fn message(
        &mut self,
        bytes: &mut &[u8],
        known: Option<&MessageDescriptor>,
        deeper: u32,
        group: Option<u32>,
    ) -> Result<(), UndecodedError> {
        let deeper = deeper.checked_sub(1).ok_or(UndecodedError::Malformed)?;
        while !bytes.is_empty() {
            let (number, wire) = decode_key(bytes)?;
            if wire == WireType::EndGroup {
                return if group == Some(number) { Ok(()) } else { Err(UndecodedError::Malformed) };
            }
            self.take(1)?;
            let kind = known.and_then(|known| kind(known, number));
            match wire {
                WireType::Varint => drop(decode_varint(bytes)?),
                WireType::SixtyFourBit => drop(split(bytes, 8)?),
                WireType::ThirtyTwoBit => drop(split(bytes, 4)?),
                WireType::StartGroup => {
                    let inner = kind.as_ref().and_then(Kind::as_message);
                    self.message(bytes, inner, deeper, Some(number))?;
                }
                WireType::LengthDelimited => {
                    let length = decode_varint(bytes)?;
                    let mut inside = split(bytes, length)?;
                    match kind {
                        Some(Kind::Message(inner)) => {
                            self.message(&mut inside, Some(&inner), deeper, None)?;
                        }
                        Some(kind) => self.take(packed(&kind, inside))?,
                        None => {}
                    }
                }
                WireType::EndGroup => {}
            }
        }
        if group.is_some() { Err(UndecodedError::Malformed) } else { Ok(()) }
    }
}

fn kind(message: &MessageDescriptor, number: u32) -> Option<Kind> {
    let field = message.get_field(number).map(|field| field.kind());
    field.or_else(|| message.get_extension(number).map(|extension| extension.kind()))
}

fn split<'b>(bytes: &mut &'b [u8], length: u64) -> Result<&'b [u8], UndecodedError> {
    let length = usize::try_from(length).ok().filter(|length| *length <= bytes.remaining());
    let (inside, rest) = bytes.split_at(length.ok_or(UndecodedError::Malformed)?);
    *bytes = rest;
    Ok(inside)
}

/// How many elements are packed into a field, at most.
fn packed(kind: &Kind, inside: &[u8]) -> usize {
    match kind {
        Kind::String | Kind::Bytes | Kind::Message(_) => 0,
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => inside.len() / 8,
        Kind::Fixed32 | Kind::Sfixed32 | Kind::Float => inside.len() / 4,
        Kind::Bool | Kind::Enum(_) | Kind::Int32 | Kind::Int64 => ends(inside),
        Kind::Uint32 | Kind::Uint64 | Kind::Sint32 | Kind::Sint64 => ends(inside),
    }
}

/// How many varints end here.
fn ends(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte < 0x80).count()
}

/// More than the state of any engine that people look at; tens of MiB in memory, whatever they are.
pub const MOST_FIELDS: usize = 50_000;
/// As prost's own.
const DEEPEST: u32 = 100;

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    fn decode(message: &str, bytes: Vec<u8>) -> Result<DynamicMessage, UndecodedError> {
        let descriptor = DescriptorPool::global().get_message_by_name(message).unwrap();
        Undecoded::new(descriptor, bytes.into()).decode()
    }

    fn most(what: &[u8], each: usize) -> (Vec<u8>, Vec<u8>) {
        (what.repeat(MOST_FIELDS / each), what.repeat(MOST_FIELDS / each + 1))
    }

    fn delimited(tag: u8, inside: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        prost::encoding::encode_varint(inside.len() as u64, &mut bytes);
        bytes.extend_from_slice(inside);
        bytes
    }

    const LIST: &str = "google.protobuf.ListValue";

    #[test]
    fn what_is_built_is_bounded_whatever_it_is() {
        // Empty values; values of one field each; unknown fields; unknown groups with one field each.
        let groups = [0x7b, 0x08, 0x01, 0x7c];
        for (what, each) in
            [(&[0x0a, 0x00][..], 1), (&[0x0a, 0x02, 0x08, 0x00], 2), (&[0x78, 0x01], 1), (&groups, 2)]
        {
            let (fits, many) = most(what, each);
            assert!(decode(LIST, fits).is_ok(), "{what:?}");
            assert_eq!(decode(LIST, many), Err(UndecodedError::Many), "{what:?}");
        }
    }

    #[test]
    fn packed_elements_count() {
        let location = "google.protobuf.SourceCodeInfo.Location";
        let path = |elements: usize| delimited(0x0a, &vec![7; elements]);
        assert!(decode(location, path(MOST_FIELDS - 1)).is_ok());
        assert_eq!(decode(location, path(MOST_FIELDS)), Err(UndecodedError::Many));
    }

    #[test]
    fn long_texts_are_one_field_each() {
        let text = delimited(0x1a, &vec![b'x'; 2 * MOST_FIELDS]);
        assert!(decode("google.protobuf.Value", text).is_ok());
    }

    #[test]
    fn what_is_no_message_is_refused_and_nothing_panics() {
        let deep = (0..200).fold(Vec::new(), |inside, _| delimited(0x0a, &delimited(0x32, &inside)));
        for bytes in [vec![0xff; 9], vec![0x0a, 0x05], vec![0x7b], vec![0x7c], vec![0x09, 1], deep] {
            assert_eq!(decode(LIST, bytes.clone()), Err(UndecodedError::Malformed), "{bytes:?}");
        }
    }
}
