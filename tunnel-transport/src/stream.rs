//! One stream of a tunnel: two halves, copied by bytes or passed on by chunks.
//!
//! Dropping a [`SendHalf`] that was not finished resets the stream, so that half a message never looks whole;
//! dropping a [`RecvHalf`] tells the peer to stop.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    Closed, Code,
    carrier::{CarrierRecv, CarrierSend},
    quic,
    tunnel::Slot,
};

/// Why a stream cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The peer gave up sending.
    #[error("the peer reset the stream: {0}")]
    Reset(Code),
    /// The peer gave up reading.
    #[error("the peer stopped reading the stream: {0}")]
    Stopped(Code),
    /// The tunnel is gone.
    #[error("the tunnel is closed")]
    Closed(#[source] Closed),
    /// It was finished, reset or stopped on this side.
    #[error("the stream has ended on this side")]
    Ended,
}

/// How much of some chunks was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes written.
    pub bytes: usize,
    /// Chunks written whole; the next one was advanced past what was written of it.
    pub chunks: usize,
}

/// Both halves of one stream.
#[derive(Debug)]
pub struct Stream {
    recv: RecvHalf,
    send: SendHalf,
}

/// The reading half of a stream.
#[derive(Debug)]
pub struct RecvHalf {
    carrier: CarrierRecv,
    _slot: Arc<Slot>,
}

/// The writing half of a stream.
#[derive(Debug)]
pub struct SendHalf {
    carrier: CarrierSend,
    ended: bool,
    _slot: Arc<Slot>,
}

impl Stream {
    pub(crate) fn new((send, recv): (CarrierSend, CarrierRecv), slot: Slot) -> Self {
        let slot = Arc::new(slot);
        let recv = RecvHalf { carrier: recv, _slot: Arc::clone(&slot) };
        Self { recv, send: SendHalf { carrier: send, ended: false, _slot: slot } }
    }

    /// The two halves.
    pub fn split(self) -> (RecvHalf, SendHalf) {
        (self.recv, self.send)
    }

    /// The two halves, without giving them away.
    pub fn halves(&mut self) -> (&mut RecvHalf, &mut SendHalf) {
        (&mut self.recv, &mut self.send)
    }

    /// Ends both halves with `code`.
    pub fn abort(mut self, code: Code) {
        self.send.reset(code);
        self.recv.stop(code);
    }
}

impl RecvHalf {
    /// Fills the front of `chunks` with what has come, without copying; `None` at the end. Cancel-safe.
    pub async fn read_chunks(&mut self, chunks: &mut [Bytes]) -> Result<Option<usize>, StreamError> {
        match &mut self.carrier {
            CarrierRecv::Quic(stream) => stream.read_chunks(chunks).await.map_err(quic::read_error),
        }
    }

    /// As [`RecvHalf::read_chunks`], for hand-written futures.
    pub fn poll_read_chunks(
        &mut self,
        cx: &mut Context<'_>,
        chunks: &mut [Bytes],
    ) -> Poll<Result<Option<usize>, StreamError>> {
        pin!(self.read_chunks(chunks)).poll(cx)
    }

    /// Tells the peer to stop sending; what has not been read is thrown away.
    pub fn stop(&mut self, code: Code) {
        self.carrier.stop(code);
    }
}

impl SendHalf {
    /// Writes as much of `chunks` as there is room for, without copying, advancing them. Cancel-safe.
    pub async fn write_chunks(&mut self, chunks: &mut [Bytes]) -> Result<Written, StreamError> {
        match &mut self.carrier {
            CarrierSend::Quic(stream) => stream.write_chunks(chunks).await.map(quic::written),
        }
        .map_err(quic::write_error)
    }

    /// As [`SendHalf::write_chunks`], for hand-written futures.
    pub fn poll_write_chunks(
        &mut self,
        cx: &mut Context<'_>,
        chunks: &mut [Bytes],
    ) -> Poll<Result<Written, StreamError>> {
        pin!(self.write_chunks(chunks)).poll(cx)
    }

    /// Writes all of `chunks`. Not cancel-safe: what was written is only known to the chunks themselves.
    pub async fn write_all_chunks(&mut self, mut chunks: &mut [Bytes]) -> Result<(), StreamError> {
        while !chunks.is_empty() {
            let written = self.write_chunks(chunks).await?;
            chunks = &mut chunks[written.chunks..];
        }
        Ok(())
    }

    /// Ends this direction; the peer reads what was written, then the end.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        self.ended = true;
        self.carrier.finish()
    }

    /// Gives up this direction; what was not delivered yet is thrown away.
    pub fn reset(&mut self, code: Code) {
        self.ended = true;
        self.carrier.reset(code);
    }

    /// Waits until the peer stops reading (its code), has everything after [`SendHalf::finish`] (`None`), or is gone.
    pub async fn stopped(&mut self) -> Result<Option<Code>, StreamError> {
        match &mut self.carrier {
            CarrierSend::Quic(stream) => {
                stream.stopped().await.map(quic::stop_code).map_err(quic::stopped_error)
            }
        }
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        if !self.ended {
            self.carrier.reset(Code::Canceled);
        }
    }
}

impl AsyncRead for RecvHalf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = match &mut self.carrier {
            CarrierRecv::Quic(stream) => ready!(stream.poll_read_buf(cx, buf)).map_err(quic::read_error),
        };
        Poll::Ready(read.map_err(io::Error::from))
    }
}

impl AsyncWrite for SendHalf {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.carrier {
            CarrierSend::Quic(stream) => {
                ready!(Pin::new(stream).poll_write(cx, buf)).map_err(quic::write_error)
            }
        };
        Poll::Ready(written.map_err(io::Error::from))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A second shutdown is not an error for tokio's users.
        let finished = if self.ended { Ok(()) } else { self.finish() };
        Poll::Ready(finished.map_err(io::Error::from))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.recv).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.send).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.send).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.send).poll_shutdown(cx)
    }
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        let kind = match &error {
            StreamError::Reset(_) => io::ErrorKind::ConnectionReset,
            StreamError::Stopped(_) => io::ErrorKind::BrokenPipe,
            StreamError::Closed(_) => io::ErrorKind::NotConnected,
            StreamError::Ended => io::ErrorKind::WriteZero,
        };
        Self::new(kind, error)
    }
}
