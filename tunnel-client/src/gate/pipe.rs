//! Moves one direction of a call between two HTTP/2 connections, chunk by chunk, never decoding.
//!
//! Invariant: bytes are credited to their sender only after the receiver's window took them, so a slow reader
//! holds back its own peer and nothing is buffered beyond the windows.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;

/// What ends one direction.
#[derive(Debug)]
pub(super) enum Broken {
    /// The side that data came from failed.
    Source(h2::Error),
    /// The side that data went to is gone.
    Sink,
}

/// The next chunk, or none at the end of the data.
pub(super) async fn chunk(from: &mut RecvStream) -> Result<Option<Bytes>, Broken> {
    poll_fn(|cx| from.poll_data(cx)).await.transpose().map_err(Broken::Source)
}

/// The trailers, if there are any.
pub(super) async fn trailers(from: &mut RecvStream) -> Result<Option<HeaderMap>, Broken> {
    from.trailers().await.map_err(Broken::Source)
}

/// Passes a chunk on as the window opens, then credits its sender.
pub(super) async fn pass(
    from: &mut RecvStream,
    to: &mut SendStream<Bytes>,
    chunk: Bytes,
) -> Result<(), Broken> {
    let length = chunk.len();
    fill(to, chunk, from.is_end_stream()).await?;
    from.flow_control().release_capacity(length).map_err(Broken::Source)
}

/// Sends bytes as the window opens; `last` ends the stream with them.
pub(super) async fn fill(to: &mut SendStream<Bytes>, mut chunk: Bytes, last: bool) -> Result<(), Broken> {
    if chunk.is_empty() && last {
        return to.send_data(chunk, true).map_err(|_| Broken::Sink);
    }
    to.reserve_capacity(chunk.len());
    while !chunk.is_empty() {
        let room = poll_fn(|cx| poll_room(to, cx)).await?;
        let part = chunk.split_to(room.min(chunk.len()));
        let end = last && chunk.is_empty();
        to.send_data(part, end).map_err(|_| Broken::Sink)?;
    }
    Ok(())
}

/// Passes the first chunk of a new stream on without asking for room: h2 gives none before the stream's HEADERS
/// have left, and waiting would cost every unary call a second write to the engine.
fn pass_at_once(from: &mut RecvStream, to: &mut SendStream<Bytes>, chunk: Bytes) -> Result<(), Broken> {
    let length = chunk.len();
    to.send_data(chunk, from.is_end_stream()).map_err(|_| Broken::Sink)?;
    from.flow_control().release_capacity(length).map_err(Broken::Source)
}

/// Passes all messages on and then the end; trailers are dropped, since gRPC requests have none and no rule looks at them.
pub(super) async fn messages(
    from: &mut RecvStream,
    to: &mut SendStream<Bytes>,
    mut count: impl FnMut(usize),
) -> Result<(), Broken> {
    let mut first = true;
    while let Some(chunk) = chunk(from).await? {
        count(chunk.len());
        let last = from.is_end_stream();
        if std::mem::take(&mut first) && chunk.len() <= EAGER {
            pass_at_once(from, to, chunk)?;
        } else {
            pass(from, to, chunk).await?;
        }
        if last {
            return Ok(());
        }
    }
    trailers(from).await?;
    to.send_data(Bytes::new(), true).map_err(|_| Broken::Sink)
}

fn poll_room(to: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
    // Capacity that is there already needs no round through the connection.
    if to.capacity() > 0 {
        return Poll::Ready(Ok(to.capacity()));
    }
    loop {
        match ready!(to.poll_capacity(cx)) {
            Some(Ok(0)) => {}
            Some(Ok(room)) => return Poll::Ready(Ok(room)),
            Some(Err(_)) | None => return Poll::Ready(Err(Broken::Sink)),
        }
    }
}

/// The reason that a failed stream was reset with, if its peer reset it.
pub(super) fn peer_reset(error: &h2::Error) -> Option<Reason> {
    error.reason().filter(|_| error.is_reset() && error.is_remote())
}

/// What a stream may hold beyond its window: one frame of the usual size.
const EAGER: usize = 16 * 1024;
