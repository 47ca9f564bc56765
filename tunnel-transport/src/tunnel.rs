//! One authenticated connection between a replica and a broker, seen from either end.
//!
//! Invariant: at any time at most [`Limits::streams`] streams are open and [`Limits::pending_opens`] wait for
//! an answer; one more is refused at once instead of waiting.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{io::AsyncReadExt, time::timeout};
use tunnel_certs::{identity::Identity, verify::VerifiedPeer};
use tunnel_protos::UnixMillis;

use crate::{
    Code, Header, Incoming, Limits, Stream, StreamError, carrier::Carrier, frame::FrameError,
    incoming::ACCEPTED,
};

/// How a tunnel ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The peer closed it.
    #[error("closed by the peer: {code}")]
    ByPeer {
        /// Why.
        code: Code,
        /// When the peer would like to see the next attempt.
        retry_after: Option<Duration>,
    },
    /// This side closed it.
    #[error("closed by this side")]
    ByUs,
    /// Nothing arrived for too long.
    #[error("nothing arrived for too long")]
    TimedOut,
    /// The connection broke; the peer was restarted, or violated the protocol.
    #[error("lost: {0}")]
    Lost(String),
}

impl Closed {
    /// Whether dialing again may help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::ByPeer { code, .. } => code.is_retryable(),
            Self::ByUs | Self::TimedOut | Self::Lost(_) => true,
        }
    }

    /// When the peer would like to see the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::ByPeer { retry_after, .. } => *retry_after,
            Self::ByUs | Self::TimedOut | Self::Lost(_) => None,
        }
    }
}

/// Why a stream could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The peer refused it.
    #[error("the peer refused the stream: {0}")]
    Refused(Code),
    /// The tunnel is gone.
    #[error("the tunnel is closed")]
    Closed(#[source] Closed),
    /// The peer did not answer in time.
    #[error("the peer did not answer within {0:?}")]
    Deadline(Duration),
    /// Too many streams are open or wait for an answer.
    #[error("too many streams on this tunnel")]
    Busy,
    /// The header cannot be sent.
    #[error("the header")]
    Header(#[source] FrameError),
    /// The peer answered with something else than yes or no.
    #[error("the peer's answer is neither yes nor no")]
    Protocol,
}

impl OpenError {
    /// What to tell whoever asked for the stream.
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(code) => *code,
            Self::Closed(_) => Code::NotHere,
            Self::Deadline(_) => Code::Deadline,
            Self::Busy => Code::Busy,
            Self::Header(_) => Code::TooLarge,
            Self::Protocol => Code::Malformed,
        }
    }

    /// Whether the same attempt may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.code().is_retryable()
    }
}

/// What has passed over a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Stats {
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// Bytes sent, everything included.
    pub sent: u64,
    /// Bytes received, everything included.
    pub received: u64,
    /// Packets sent and lost.
    pub lost_packets: u64,
}

/// One tunnel; cheap to clone. When the last clone and stream are dropped, it closes with [`Code::Done`].
#[derive(Clone)]
pub struct Tunnel {
    inner: Arc<Inner>,
}

struct Inner {
    carrier: Carrier,
    peer: VerifiedPeer,
    limits: Limits,
    open: Counter,
    pending: Counter,
}

type Counter = Arc<AtomicU32>;

/// One of a bounded number; given back on drop.
#[derive(Debug)]
pub(crate) struct Slot(Counter);

impl Slot {
    fn take(counter: &Counter, most: u32) -> Option<Self> {
        // Held before it is checked: the drop gives it back when it is one too many.
        let before = counter.fetch_add(1, Ordering::Relaxed);
        let slot = Self(Arc::clone(counter));
        (before < most).then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Tunnel {
    pub(crate) fn new(carrier: Carrier, peer: VerifiedPeer, limits: Limits) -> Self {
        let (open, pending) = Default::default();
        Self { inner: Arc::new(Inner { carrier, peer, limits, open, pending }) }
    }

    /// Who the peer is, proven by its certificate.
    pub fn peer(&self) -> &Identity {
        &self.inner.peer.identity
    }

    /// Last moment of the peer's certificate: the tunnel must end by then.
    pub fn peer_not_after(&self) -> UnixMillis {
        self.inner.peer.not_after
    }

    /// Where the peer's packets come from now.
    pub fn remote_address(&self) -> SocketAddr {
        self.inner.carrier.remote_address()
    }

    /// Name of the carrier, for metrics: `quic`.
    pub fn carrier(&self) -> &'static str {
        self.inner.carrier.name()
    }

    /// Opens a stream and waits for the peer's yes (broker's end).
    pub async fn open(&self, header: &Header, deadline: Duration) -> Result<Stream, OpenError> {
        self.open_with(header, Bytes::new(), deadline).await
    }

    /// As [`Tunnel::open`], with `payload` following the header at once, so that no round trip is lost.
    pub async fn open_with(
        &self,
        header: &Header,
        payload: Bytes,
        deadline: Duration,
    ) -> Result<Stream, OpenError> {
        let header = header.encode().map_err(OpenError::Header)?;
        let inner = &self.inner;
        let _pending = Slot::take(&inner.pending, inner.limits.pending_opens).ok_or(OpenError::Busy)?;
        let slot = Slot::take(&inner.open, inner.limits.streams).ok_or(OpenError::Busy)?;
        let opened = timeout(deadline, inner.open([header, payload], slot)).await;
        opened.unwrap_or(Err(OpenError::Deadline(deadline)))
    }

    /// The next stream that the peer opens (replica's end). Cancel-safe. Its header is not read yet: do that in a
    /// task of its own, so that one slow stream holds up no other.
    pub async fn accept(&self) -> Result<Incoming, Closed> {
        loop {
            let (mut send, mut recv) = self.inner.carrier.accept().await?;
            let Some(slot) = Slot::take(&self.inner.open, self.inner.limits.streams) else {
                send.reset(Code::Busy);
                recv.stop(Code::Busy);
                continue;
            };
            return Ok(Incoming::new(Stream::new((send, recv), slot)));
        }
    }

    /// A stream as it comes, for tests of peers that answer what they like.
    #[cfg(test)]
    pub(crate) async fn accept_raw(&self) -> (crate::carrier::CarrierSend, crate::carrier::CarrierRecv) {
        self.inner.carrier.accept().await.unwrap()
    }

    /// Closes the tunnel with all its streams.
    pub fn close(&self, code: Code) {
        self.inner.carrier.close(code, None);
    }

    /// As [`Tunnel::close`], telling the peer not to come back before `after`.
    pub fn close_and_retry_after(&self, code: Code, after: Duration) {
        self.inner.carrier.close(code, Some(after));
    }

    /// Waits until the tunnel is closed, by whomever.
    pub async fn closed(&self) -> Closed {
        self.inner.carrier.closed().await
    }

    /// After a close: waits until the peer can have seen it; bound it with a deadline.
    pub async fn flushed(&self) {
        self.inner.carrier.flushed().await;
    }

    /// How the tunnel was closed, if it was.
    pub fn close_reason(&self) -> Option<Closed> {
        self.inner.carrier.close_reason()
    }

    /// Streams that are open now.
    pub fn open_streams(&self) -> u32 {
        self.inner.open.load(Ordering::Relaxed)
    }

    /// What has passed so far.
    pub fn stats(&self) -> Stats {
        self.inner.carrier.stats()
    }
}

impl Inner {
    async fn open(&self, mut first: [Bytes; 2], slot: Slot) -> Result<Stream, OpenError> {
        let halves = self.carrier.open().await.map_err(OpenError::Closed)?;
        let mut stream = Stream::new(halves, slot);
        stream.halves().1.write_all_chunks(&mut first).await.map_err(refused)?;
        let mut answer = [0; 1];
        let read = stream.read(&mut answer).await.map_err(|error| refused(stream_error(&error)))?;
        if read == 1 && answer == ACCEPTED { Ok(stream) } else { Err(OpenError::Protocol) }
    }
}

/// An answer that is a reset or a stop is a refusal.
fn refused(error: StreamError) -> OpenError {
    match error {
        StreamError::Reset(code) | StreamError::Stopped(code) => OpenError::Refused(code),
        StreamError::Closed(closed) => OpenError::Closed(closed),
        StreamError::Ended => OpenError::Protocol,
    }
}

fn stream_error(error: &std::io::Error) -> StreamError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<StreamError>());
    inner.cloned().unwrap_or(StreamError::Ended)
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tunnel({} at {})", self.peer(), self.remote_address())
    }
}
