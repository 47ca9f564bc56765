//! A stream that the peer opened: first its header, then a yes or a no.
//!
//! Invariant: a stream that is dropped without an answer is refused, never left waiting.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{
    Code, Header, Stream,
    frame::{FrameError, HEADER_CAP, PREFIX},
    header::HeaderError,
};

/// The byte that accepts a stream.
pub(crate) const ACCEPTED: [u8; 1] = [0x00];

/// Why a stream of the peer was not served; the peer has been told.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The header is malformed.
    #[error("the stream's header")]
    Header(#[source] HeaderError),
    /// The header did not come in time.
    #[error("no header within {0:?}")]
    Deadline(Duration),
    /// The peer gave the stream up, or it ended within its header.
    #[error("the stream ended early")]
    Ended(#[source] std::io::Error),
}

impl AcceptError {
    /// What the peer was told.
    pub fn code(&self) -> Code {
        match self {
            Self::Header(error) => error.code(),
            Self::Deadline(_) => Code::Deadline,
            Self::Ended(_) => Code::Malformed,
        }
    }
}

/// A stream whose header has not been read.
#[derive(Debug)]
pub struct Incoming {
    stream: Option<Stream>,
}

/// A stream whose header is known and that waits for an answer.
#[derive(Debug)]
pub struct Offer {
    header: Header,
    incoming: Incoming,
}

impl Incoming {
    pub(crate) const fn new(stream: Stream) -> Self {
        Self { stream: Some(stream) }
    }

    /// Reads the header; on failure, the stream is refused with the right code.
    pub async fn header(mut self, deadline: Duration) -> Result<Offer, AcceptError> {
        match self.read(deadline).await {
            Ok(header) => Ok(Offer { header, incoming: self }),
            Err(error) => {
                self.abort(error.code());
                Err(error)
            }
        }
    }

    /// Refuses the stream unread.
    pub fn refuse(mut self, code: Code) {
        self.abort(code);
    }

    async fn read(&mut self, deadline: Duration) -> Result<Header, AcceptError> {
        let ended = || AcceptError::Ended(std::io::ErrorKind::UnexpectedEof.into());
        let stream = self.stream.as_mut().ok_or_else(ended)?;
        let frame =
            timeout(deadline, read_frame(stream)).await.map_err(|_| AcceptError::Deadline(deadline))??;
        Header::decode(frame).map_err(AcceptError::Header)
    }

    fn abort(&mut self, code: Code) {
        if let Some(stream) = self.stream.take() {
            stream.abort(code);
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.abort(Code::Internal);
    }
}

impl Offer {
    /// What the stream is for.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Says yes.
    pub async fn accept(mut self, deadline: Duration) -> Result<Stream, AcceptError> {
        let ended = || AcceptError::Ended(std::io::ErrorKind::UnexpectedEof.into());
        let mut stream = self.incoming.stream.take().ok_or_else(ended)?;
        let written = timeout(deadline, stream.write_all(&ACCEPTED)).await;
        written.map_err(|_| AcceptError::Deadline(deadline))?.map_err(AcceptError::Ended)?;
        Ok(stream)
    }

    /// Says no.
    pub fn refuse(self, code: Code) {
        self.incoming.refuse(code);
    }
}

/// Reads exactly one frame and not a byte of the payload behind it.
async fn read_frame(stream: &mut Stream) -> Result<Bytes, AcceptError> {
    let mut prefix = [0; PREFIX];
    stream.read_exact(&mut prefix).await.map_err(AcceptError::Ended)?;
    let length = u32::from_be_bytes(prefix) as usize;
    if length > HEADER_CAP {
        let error = FrameError::TooLarge { length, cap: HEADER_CAP };
        return Err(AcceptError::Header(error.into()));
    }
    let mut message = BytesMut::zeroed(length);
    stream.read_exact(&mut message).await.map_err(AcceptError::Ended)?;
    Ok(message.freeze())
}
