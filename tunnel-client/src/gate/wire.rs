//! What an operator sends, seen frame by frame before HTTP/2 takes it: frames that move nothing are bounded.
//!
//! h2 answers every PING and every SETTINGS as long as its answers are read, and tells nobody of them. Only the
//! nine bytes before each frame are looked at, so that bulk data costs nothing.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    limits::{IDLE_FRAMES_PER_SECOND, Rate},
    session::End,
};

/// A decrypted session stream.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    frames: Frames,
    idle: Rate,
}

impl<S> Wire<S> {
    /// Over a stream that begins with HTTP/2's preface.
    pub(super) fn new(stream: S) -> Self {
        Self { stream, frames: Frames::default(), idle: Rate::new(IDLE_FRAMES_PER_SECOND) }
    }
}

/// How the session of a failed connection ended.
pub(super) fn end(error: &h2::Error) -> End {
    // Of our error, h2 keeps the kind alone.
    match error.get_io().map(io::Error::kind) {
        Some(FLOOD) => End::Abuse,
        _ => End::Broken,
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let (_, read) = buf.filled().split_at(before);
        let idle = self.frames.idle_in(read);
        if idle > 0 && self.idle.is_too_many(idle, Instant::now()) {
            return Poll::Ready(Err(FLOOD.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Where in the frames a stream is.
#[derive(Debug)]
struct Frames {
    skip: usize,
    head: [u8; HEAD],
    have: usize,
}

impl Default for Frames {
    fn default() -> Self {
        Self { skip: PREFACE, head: [0; HEAD], have: 0 }
    }
}

impl Frames {
    /// Reads on, in any pieces; how many frames that move nothing began.
    fn idle_in(&mut self, mut bytes: &[u8]) -> u32 {
        let mut idle = 0;
        while bytes.has_remaining() {
            let skipped = self.skip.min(bytes.len());
            bytes.advance(skipped);
            self.skip -= skipped;
            if let Some([high, middle, low, kind, flags, ..]) = self.head(&mut bytes) {
                let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                self.skip = length;
                idle += u32::from(is_idle(kind, flags, length));
            }
        }
        idle
    }

    fn head(&mut self, bytes: &mut &[u8]) -> Option<[u8; HEAD]> {
        while self.have < HEAD {
            *self.head.get_mut(self.have)? = bytes.try_get_u8().ok()?;
            self.have += 1;
        }
        self.have = 0;
        Some(self.head)
    }
}

/// Resets are counted where calls end; window updates cost no answer, and fast readers send thousands.
fn is_idle(kind: u8, flags: u8, length: usize) -> bool {
    match kind {
        DATA => length == 0 && flags & END_STREAM == 0,
        CONTINUATION => length == 0,
        HEADERS | RST_STREAM | WINDOW_UPDATE => false,
        _ => true,
    }
}

const PREFACE: usize = 24;
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;

/// A kind that no stream below fails with.
const FLOOD: io::ErrorKind = io::ErrorKind::QuotaExceeded;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::testing::frames::{self, PING, PREFACE, SETTINGS};

    fn stream() -> Vec<u8> {
        [
            PREFACE.to_vec(),
            frames::frame(SETTINGS, 0, 0, &[0; 6]).to_vec(),
            frames::frame(HEADERS, 4, 1, &frames::call("Get")).to_vec(),
            frames::frame(DATA, 0, 1, &[PING; 1_000]).to_vec(),
            frames::frame(DATA, 0, 1, &[]).to_vec(),
            frames::frame(DATA, END_STREAM, 1, &[]).to_vec(),
            frames::frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).to_vec(),
            frames::frame(RST_STREAM, 0, 1, &[0; 4]).to_vec(),
            frames::frame(PING, 0, 0, &[7; 8]).to_vec(),
            frames::frame(CONTINUATION, 0, 3, &[]).to_vec(),
            frames::frame(0xbe, 0, 0, &[1; 300]).to_vec(),
        ]
        .concat()
    }

    #[test]
    fn frames_that_move_nothing_are_told_from_the_others_however_they_are_cut() {
        let stream = stream();
        for size in [1, 2, 8, 9, 10, 100, stream.len()] {
            let mut frames = Frames::default();
            let idle: u32 = stream.chunks(size).map(|piece| frames.idle_in(piece)).sum();
            assert_eq!(idle, 5, "in pieces of {size}");
        }
    }
}
