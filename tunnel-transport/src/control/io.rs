//! The I/O around the bookkeeping: one stream, one task, no buffer while nothing is under way.
//!
//! Invariant: [`Control::next`] is cancel-safe; whatever was read or written in part is kept in [`Control`].

use std::{
    future::{Future, poll_fn},
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    ControlLimits, ControlMessage,
    inbox::Inbox,
    outbox::{Full, Outbox},
};
use crate::{
    Code, RecvHalf, SendHalf, Stream, StreamError,
    frame::{self, CONTROL_CAP, FrameError},
};

/// Why a control stream is over; the tunnel is useless without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The stream is over.
    #[error("the control stream")]
    Stream(#[source] StreamError),
    /// The peer ended its direction.
    #[error("the peer ended the control stream")]
    Ended,
    /// A frame beyond its cap.
    #[error("a control frame")]
    Frame(#[source] FrameError),
    /// Not a control message.
    #[error("a control message")]
    Decode(#[source] prost::DecodeError),
    /// The peer reads nothing.
    #[error("the peer reads no control messages")]
    Stalled,
}

impl ControlError {
    /// What to close the tunnel with.
    pub fn code(&self) -> Code {
        match self {
            Self::Stream(_) | Self::Ended => Code::Done,
            Self::Frame(_) => Code::TooLarge,
            Self::Decode(_) => Code::Malformed,
            Self::Stalled => Code::Silent,
        }
    }
}

/// Why a control message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Too much is queued or unacknowledged.
    #[error(transparent)]
    Full(#[from] Full),
    /// Larger than a control message may be.
    #[error("the message")]
    Frame(#[source] FrameError),
    /// The control stream is over.
    #[error("the control stream is over")]
    Closed,
}

/// Our end of a control stream: sends `Out`, receives `In`.
#[derive(Debug)]
pub struct Control<Out, In> {
    recv: RecvHalf,
    send: SendHalf,
    shared: Arc<Shared>,
    limits: ControlLimits,
    /// What has come of the next frames.
    read: BytesMut,
    /// What is left of the frame that is being written.
    writing: Bytes,
    /// Since when the peer takes nothing.
    blocked: Option<Instant>,
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
    messages: PhantomData<fn(Out) -> In>,
}

/// Queues messages from anywhere; cheap to clone.
#[derive(Debug)]
pub struct ControlSender<Out> {
    shared: Arc<Shared>,
    messages: PhantomData<fn(Out)>,
}

impl<Out> Clone for ControlSender<Out> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), messages: PhantomData }
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: AtomicWaker,
}

#[derive(Debug)]
struct State {
    outbox: Outbox,
    inbox: Inbox,
    closed: bool,
}

impl<Out: ControlMessage> ControlSender<Out> {
    /// Queues a message that may be lost with the tunnel.
    pub fn send(&self, message: &Out) -> Result<(), SendError> {
        let frame = frame::encode(message, CONTROL_CAP).map_err(SendError::Frame)?;
        self.shared.with(|state| Ok(state.outbox.once(frame)?))
    }

    /// Queues a message that is repeated until acknowledged. The receiver hears of the acknowledgement, or fails
    /// when the tunnel is gone first; drop it to send on without waiting.
    pub fn keep(&self, mut message: Out) -> Result<oneshot::Receiver<()>, SendError> {
        self.shared.with(|state| {
            message.set_id(state.outbox.next_id());
            let frame = frame::encode(&message, CONTROL_CAP).map_err(SendError::Frame)?;
            let (sender, receiver) = oneshot::channel();
            state.outbox.kept(frame, sender)?;
            Ok(receiver)
        })
    }

    /// Acknowledges a received message once it is stored or otherwise done with; does nothing for id 0.
    pub fn handled(&self, id: u64) {
        // The stream being over is no news to whoever handles its last messages.
        let _ = self.shared.with(|state| {
            state.inbox.handled(id);
            Ok(())
        });
    }
}

impl<Out: ControlMessage, In: ControlMessage> Control<Out, In> {
    /// Takes a stream of kind control that was accepted.
    pub fn new(stream: Stream, limits: ControlLimits) -> Self {
        let (recv, send) = stream.split();
        let (outbox, inbox) = (Outbox::new(limits), Inbox::default());
        let state = Mutex::new(State { outbox, inbox, closed: false });
        let shared = Arc::new(Shared { state, wake: AtomicWaker::new() });
        let (read, writing, messages) = Default::default();
        Self { recv, send, shared, limits, read, writing, blocked: None, timer: None, messages }
    }

    /// Another handle to send by.
    pub fn sender(&self) -> ControlSender<Out> {
        ControlSender { shared: Arc::clone(&self.shared), messages: PhantomData }
    }

    /// The next message of the peer. Must be awaited all the time: it also writes what is queued. Cancel-safe.
    ///
    /// A message with an id comes again until [`ControlSender::handled`] is called with that id.
    pub async fn next(&mut self) -> Result<In, ControlError> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<In, ControlError>> {
        // Registered first: what is queued from here on wakes this task.
        self.shared.wake.register(cx.waker());
        let received = self.poll_receive(cx)?;
        self.poll_flush(cx)?;
        match received {
            Poll::Ready(message) => Poll::Ready(Ok(message)),
            Poll::Pending => self.poll_timer(cx).map(Err),
        }
    }

    /// Reads until there is a message for the caller.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<In, ControlError>> {
        loop {
            while let Some(frame) = frame::decode(&mut self.read, CONTROL_CAP).map_err(ControlError::Frame)? {
                let message = In::decode(frame).map_err(ControlError::Decode)?;
                if let Some(message) = self.sort(message) {
                    return Poll::Ready(Ok(message));
                }
            }
            if self.read.is_empty() {
                // Gives the memory back: most tunnels rest.
                self.read = BytesMut::new();
            }
            ready!(self.poll_more(cx))?;
        }
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ControlError>> {
        let mut chunks = [const { Bytes::new() }; 4];
        let count = ready!(self.recv.poll_read_chunks(cx, &mut chunks)).map_err(ControlError::Stream)?;
        let Some(count) = count else { return Poll::Ready(Err(ControlError::Ended)) };
        chunks[..count].iter().for_each(|chunk| self.read.extend_from_slice(chunk));
        Poll::Ready(Ok(()))
    }

    /// Keeps acknowledgements and repeats to itself, and drops what a newer peer says.
    fn sort(&self, message: In) -> Option<In> {
        let mut state = self.shared.state.lock();
        if let Some(ids) = message.acknowledged() {
            state.outbox.acknowledged(ids);
            return None;
        }
        if !message.is_known() {
            // Acknowledged all the same, or the peer would repeat it for ever.
            state.inbox.handled(message.id());
            return None;
        }
        state.inbox.arrived(message.id()).then_some(message)
    }

    /// Writes as much as the peer takes.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Result<(), ControlError> {
        let now = Instant::now();
        while self.fill(now)? {
            let chunks = std::slice::from_mut(&mut self.writing);
            match self.send.poll_write_chunks(cx, chunks).map_err(ControlError::Stream)? {
                Poll::Ready(_) => self.blocked = None,
                Poll::Pending => {
                    self.blocked.get_or_insert(now);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether there is something to write; acknowledgements go first.
    fn fill(&mut self, now: Instant) -> Result<bool, ControlError> {
        if self.writing.is_empty() {
            let mut state = self.shared.state.lock();
            state.outbox.repeat(now);
            let acks = state.inbox.take_acks().map(|ids| frame::encode(&Out::acknowledge(ids), CONTROL_CAP));
            let acks = acks.transpose().map_err(ControlError::Frame)?;
            self.writing = acks.or_else(|| state.outbox.pop(now)).unwrap_or_default();
        }
        Ok(!self.writing.is_empty())
    }

    /// Wakes this task for repeats; ready when the peer has taken nothing for too long.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<ControlError> {
        let stalled = self.blocked.map(|since| since + self.limits.stalled);
        if stalled.is_some_and(|at| at <= Instant::now()) {
            return Poll::Ready(ControlError::Stalled);
        }
        let repeat = if stalled.is_some() { None } else { self.shared.state.lock().outbox.due() };
        self.arm(stalled.or(repeat));
        if let Some((_, timer)) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            // Once more from the start, with the time that it is now.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn arm(&mut self, at: Option<Instant>) {
        if self.timer.as_ref().map(|(armed, _)| *armed) != at {
            self.timer = at.map(|at| (at, Box::pin(sleep_until(at))));
        }
    }
}

impl<Out, In> Drop for Control<Out, In> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.closed = true;
        // Whoever waits for an acknowledgement learns that none will come.
        state.outbox = Outbox::new(self.limits);
    }
}

impl Shared {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> Result<T, SendError>) -> Result<T, SendError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(SendError::Closed);
        }
        let result = change(&mut state);
        drop(state);
        self.wake.wake();
        result
    }
}
