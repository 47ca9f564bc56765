//! Bytes on their way through: read as they come, written in one system call, copied as little as possible.

use std::{
    cell::RefCell,
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::io::poll_read_buf;
use tunnel_transport::{RecvHalf, SendHalf};

/// As many as one `writev` takes off tokio's hands; 64 datagrams are ≈ 90 KiB.
pub(crate) const CHUNKS: usize = 64;

/// Chunks of which the first may have been written; a buffer for vectored writes.
#[derive(Debug)]
pub(crate) struct Chunks {
    chunks: [Bytes; CHUNKS],
    first: usize,
    end: usize,
}

/// Where bytes come from.
pub(crate) trait Source {
    /// Waits for bytes and takes them; false at the end. Safe to cancel.
    fn read(&mut self, into: &mut Chunks) -> impl Future<Output = io::Result<bool>> + Send;
}

/// Where bytes go.
pub(crate) trait Sink {
    /// Writes everything.
    fn write(&mut self, chunks: &mut Chunks) -> impl Future<Output = io::Result<()>> + Send;

    /// Says that no more will come.
    fn finish(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}

/// A byte stream, TCP above all.
#[derive(Debug)]
pub(crate) struct Plain<S>(pub(crate) S);

impl Chunks {
    /// Holds nothing.
    pub(crate) fn new() -> Self {
        Self { chunks: [const { Bytes::new() }; CHUNKS], first: 0, end: 0 }
    }

    fn fill(&mut self, count: usize) {
        (self.first, self.end) = (0, count);
    }

    fn left(&self) -> &[Bytes] {
        &self.chunks[self.first..self.end]
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.left().iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.left().first().map_or(&[], |chunk| chunk)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pairs = slices.iter_mut().zip(self.left());
        pairs.map(|(slice, chunk)| *slice = IoSlice::new(chunk)).count()
    }

    fn advance(&mut self, mut count: usize) {
        while count > 0 && self.first < self.end {
            let chunk = &mut self.chunks[self.first];
            let step = count.min(chunk.len());
            chunk.advance(step);
            count -= step;
            if chunk.is_empty() {
                // Frees the memory behind it at once: a tunnel's window is held by its unread chunks.
                *chunk = Bytes::new();
                self.first += 1;
            }
        }
    }
}

impl<S: AsyncRead + Unpin + Send> Source for Plain<S> {
    async fn read(&mut self, into: &mut Chunks) -> io::Result<bool> {
        let chunk = poll_fn(|cx| poll_read(Pin::new(&mut self.0), cx)).await?;
        let more = !chunk.is_empty();
        into.chunks[0] = chunk;
        into.fill(usize::from(more));
        Ok(more)
    }
}

impl<S: AsyncWrite + Unpin + Send> Sink for Plain<S> {
    async fn write(&mut self, chunks: &mut Chunks) -> io::Result<()> {
        self.0.write_all_buf(chunks).await
    }

    async fn finish(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}

impl Source for RecvHalf {
    async fn read(&mut self, into: &mut Chunks) -> io::Result<bool> {
        let count = self.read_chunks(&mut into.chunks).await?;
        into.fill(count.unwrap_or_default());
        Ok(count.is_some())
    }
}

impl Sink for SendHalf {
    async fn write(&mut self, chunks: &mut Chunks) -> io::Result<()> {
        while chunks.first < chunks.end {
            let written = self.write_chunks(&mut chunks.chunks[chunks.first..chunks.end]).await?;
            chunks.first += written.chunks;
        }
        Ok(())
    }

    async fn finish(&mut self) -> io::Result<()> {
        Ok(SendHalf::finish(self)?)
    }
}

/// Reads into the thread's buffer and cuts off what came, so that a session at rest holds no buffer.
fn poll_read<S: AsyncRead>(stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.capacity() < LEAST {
            buffer.reserve(READ);
        }
        let read = std::task::ready!(poll_read_buf(stream, cx, buffer));
        Poll::Ready(read.map(|count| buffer.split_to(count).freeze()))
    })
}

thread_local! {
    static BUFFER: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// One read takes what a TLS client sends in a burst; more than that does not make bulk faster.
const READ: usize = 64 * 1024;
/// Below this a bulk transfer would be cut into small reads.
const LEAST: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(parts: &[&'static str]) -> Chunks {
        let mut chunks = Chunks::new();
        for (place, part) in chunks.chunks.iter_mut().zip(parts) {
            *place = Bytes::from_static(part.as_bytes());
        }
        chunks.fill(parts.len());
        chunks
    }

    #[test]
    fn advances_over_several_chunks() {
        let mut chunks = chunks(&["one", "two", "three"]);
        chunks.advance(4);
        assert_eq!((chunks.remaining(), chunks.chunk()), (7, &b"wo"[..]));
        chunks.advance(7);
        assert_eq!((chunks.remaining(), chunks.chunk()), (0, &b""[..]));
    }

    #[test]
    fn offers_every_chunk_to_one_write() {
        let chunks = chunks(&["one", "two", "three"]);
        let mut slices = [IoSlice::new(&[]); CHUNKS];
        assert_eq!(chunks.chunks_vectored(&mut slices), 3);
        assert_eq!(&*slices[2], b"three");
    }

    #[tokio::test]
    async fn plain_streams_read_to_their_end() {
        let mut source = Plain(&b"abc"[..]);
        let mut chunks = Chunks::new();
        assert!(source.read(&mut chunks).await.unwrap());
        assert_eq!(chunks.chunk(), b"abc");
        assert!(!source.read(&mut chunks).await.unwrap());
        assert_eq!(chunks.remaining(), 0);
    }
}
