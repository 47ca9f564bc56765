//! Framing: a big-endian `u32` length, then one protobuf message.
//!
//! Pure. Invariant: no length is believed beyond its cap, so a peer cannot make this side allocate more.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

/// Cap of a stream's header.
pub const HEADER_CAP: usize = 4 << 10;
/// Cap of a control message.
pub const CONTROL_CAP: usize = 1 << 20;
/// Bytes before each message.
pub const PREFIX: usize = 4;

/// A message or frame that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than its cap.
    #[error("a frame of {length} bytes, where {cap} is the cap")]
    TooLarge {
        /// What was announced or to be sent.
        length: usize,
        /// What is allowed.
        cap: usize,
    },
}

/// Encodes `message` with its length before it.
pub fn encode(message: &impl Message, cap: usize) -> Result<Bytes, FrameError> {
    let length = message.encoded_len();
    let prefix = checked(length, cap)?;
    let mut frame = BytesMut::with_capacity(PREFIX + length);
    frame.put_u32(prefix);
    frame.put(message.encode_to_vec().as_slice());
    Ok(frame.freeze())
}

/// Takes one frame from the front of `buffer`, or nothing while it is incomplete.
pub fn decode(buffer: &mut BytesMut, cap: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(prefix) = buffer.first_chunk::<PREFIX>() else { return Ok(None) };
    let length = u32::from_be_bytes(*prefix) as usize;
    checked(length, cap)?;
    if buffer.len() < PREFIX + length {
        return Ok(None);
    }
    buffer.advance(PREFIX);
    Ok(Some(buffer.split_to(length).freeze()))
}

fn checked(length: usize, cap: usize) -> Result<u32, FrameError> {
    let too_large = FrameError::TooLarge { length, cap };
    if length > cap { Err(too_large) } else { u32::try_from(length).map_err(|_| too_large) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tunnel_protos::v1;

    use super::*;

    fn probe(nonce: Vec<u8>) -> v1::Probe {
        v1::Probe { nonce }
    }

    #[test]
    fn a_length_beyond_the_cap_is_refused_before_its_bytes_come() {
        let mut buffer = BytesMut::from(&[0, 0, 0x10, 0x01][..]);
        assert_eq!(decode(&mut buffer, 4096), Err(FrameError::TooLarge { length: 4097, cap: 4096 }));
        let mut buffer = BytesMut::from(&[0xff; 4][..]);
        assert!(decode(&mut buffer, CONTROL_CAP).is_err());
    }

    #[test]
    fn nothing_larger_than_the_cap_is_sent() {
        assert!(encode(&probe(vec![0; 5000]), HEADER_CAP).is_err());
    }

    #[test]
    fn an_empty_message_is_a_frame() {
        let mut buffer = BytesMut::from(&[0; 4][..]);
        assert_eq!(decode(&mut buffer, 0), Ok(Some(Bytes::new())));
    }

    proptest! {
        #[test]
        fn frames_survive_any_segmentation(
            nonces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8),
            cut in 1_usize..17,
        ) {
            let sent: Vec<_> = nonces.into_iter().map(probe).collect();
            let wire: Vec<u8> = sent.iter().flat_map(|m| encode(m, HEADER_CAP).unwrap()).collect();
            let (mut buffer, mut received) = (BytesMut::new(), Vec::new());
            for segment in wire.chunks(cut) {
                buffer.extend_from_slice(segment);
                while let Some(frame) = decode(&mut buffer, HEADER_CAP).unwrap() {
                    received.push(v1::Probe::decode(frame).unwrap());
                }
            }
            prop_assert_eq!(received, sent);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn no_bytes_make_the_decoder_panic_or_pass_the_cap(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(frame)) = decode(&mut buffer, 256) {
                prop_assert!(frame.len() <= 256);
            }
        }
    }
}
