//! Cuts gRPC messages of bounded size out of chunks that come as they come.

use bytes::{Buf, Bytes, BytesMut};

/// What a stream sent so far and nobody took.
#[derive(Debug, Default)]
pub(super) struct Messages(BytesMut);

/// What is no message of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// Larger than [`LARGEST`].
    TooLarge,
    /// Compressed, which we never said we could read.
    Compressed,
    /// The stream ended within one.
    Truncated,
}

impl Messages {
    /// Takes a chunk in.
    pub(super) fn push(&mut self, chunk: &Bytes) {
        self.0.extend_from_slice(chunk);
    }

    /// The next whole message; none until more came.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Bad> {
        let Some((flag, length)) = self.head() else { return Ok(None) };
        if flag != 0 {
            return Err(Bad::Compressed);
        }
        if length > LARGEST {
            return Err(Bad::TooLarge);
        }
        if self.0.len() < HEAD + length {
            return Ok(None);
        }
        self.0.advance(HEAD);
        Ok(Some(self.0.split_to(length).freeze()))
    }

    /// Bytes that wait for the rest of their message.
    pub(super) fn waiting(&self) -> usize {
        self.0.len()
    }

    /// To be asked when the stream has ended.
    pub(super) fn end(&self) -> Result<(), Bad> {
        if self.0.is_empty() { Ok(()) } else { Err(Bad::Truncated) }
    }

    fn head(&self) -> Option<(u8, usize)> {
        let (head, _) = self.0.split_first_chunk::<HEAD>()?;
        let [flag, length @ ..] = *head;
        Some((flag, u32::from_be_bytes(length) as usize))
    }
}

/// A message with its head.
pub(super) fn framed(message: &impl prost::Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(HEAD + length);
    framed.extend_from_slice(&[0]);
    framed.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(&message.encode_to_vec());
    framed.freeze()
}

/// A reflection request is a name.
pub(super) const LARGEST: usize = 64 * 1024;

/// Flag and length.
const HEAD: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        bytes.resize(HEAD + length, 7);
        bytes
    }

    #[test]
    fn messages_come_whole_however_they_are_cut() {
        let stream = [message(3), message(0), message(LARGEST)].concat();
        for cut in [1, 4, 5, 7, 1000, stream.len()] {
            let (mut messages, mut lengths) = (Messages::default(), Vec::new());
            for chunk in stream.chunks(cut) {
                messages.push(&Bytes::copy_from_slice(chunk));
                while let Some(message) = messages.next().unwrap() {
                    lengths.push(message.len());
                }
            }
            assert_eq!((lengths, messages.end()), (vec![3, 0, LARGEST], Ok(())), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_too_large_is_known_by_its_head() {
        let mut messages = Messages::default();
        messages.push(&Bytes::copy_from_slice(&message(LARGEST + 1)[..HEAD]));
        assert_eq!(messages.next(), Err(Bad::TooLarge));
    }

    #[test]
    fn compressed_and_truncated_messages_are_bad() {
        let mut messages = Messages::default();
        messages.push(&Bytes::from_static(&[1, 0, 0, 0, 0]));
        assert_eq!(messages.next(), Err(Bad::Compressed));
        let mut messages = Messages::default();
        messages.push(&Bytes::from_static(&[0, 0, 0]));
        assert_eq!((messages.next(), messages.end()), (Ok(None), Err(Bad::Truncated)));
    }
}
