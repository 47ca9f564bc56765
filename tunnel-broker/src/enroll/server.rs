//! The enrollment door: TLS where only the broker shows a certificate, then few, small and timed asks.
//! Invariant: whoever has proven nothing holds one seat, one connection, 64 KiB and 10 seconds an ask at most.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::debug;
use tunnel_protos::v1::{EnrollReply, enroll_request};
use tunnel_runtime::chain;
use tunnel_transport::frame::{self, FrameError};

use super::{
    Enroll,
    conversation::{Conversation, refused},
    refusal::Refusal,
    sources::Sources,
};
use crate::{
    accept::{
        alert::{self, Alert},
        rewind::Rewind,
        waiting_room::Seat,
    },
    clock,
    metrics::{self, Place, Queue},
};

/// Serves connections that enroll.
#[derive(Debug)]
pub(crate) struct EnrollServer {
    enroll: Arc<Enroll>,
    connections: Semaphore,
    /// For asks that write to the database.
    redemptions: Semaphore,
    sources: Mutex<Sources>,
    handshake_timeout: Duration,
}

/// Why a connection ended before its asks were used up.
#[derive(Debug, thiserror::Error)]
enum ConversationError {
    #[error("no ask in time")]
    Deadline,
    #[error("the connection")]
    Io(#[source] io::Error),
    #[error("a frame")]
    Frame(#[source] FrameError),
}

impl EnrollServer {
    /// Serves `enroll` behind its limits.
    pub(crate) fn new(enroll: Arc<Enroll>, handshake_timeout: Duration) -> Self {
        let config = &enroll.config;
        let permits = |most: usize| Semaphore::new(most.min(Semaphore::MAX_PERMITS));
        Self {
            connections: permits(config.connections),
            redemptions: permits(config.concurrent),
            sources: Mutex::new(Sources::new(config.asks_per_minute)),
            handshake_timeout,
            enroll,
        }
    }

    /// Serves one connection until it ends. It keeps its seat: it stays a stranger to the end.
    pub(crate) async fn serve(&self, stream: TcpStream, hello: Bytes, peer: SocketAddr, _seat: Seat) {
        let Ok(_connection) = self.connections.try_acquire() else {
            metrics::refused(Queue::Enroll);
            return alert::refuse(stream, Alert::InternalError).await;
        };
        let Some(leaf) = self.enroll.leaf().borrow().clone() else {
            debug!("No enrollment: no mesh CA of this broker issues");
            metrics::handshake(Place::Enroll, "no_authority");
            return alert::refuse(stream, Alert::InternalError).await;
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&leaf.enroll_tls));
        if let Some(mut stream) = self.accept(acceptor, Rewind::new(hello, stream)).await {
            if let Err(error) = self.converse(&mut stream, peer).await {
                if let ConversationError::Frame(_) = error {
                    metrics::enrollment("none", Refusal::Malformed.as_str());
                }
                debug!(error = %chain(&error), "Enrollment ended early");
            }
            // Whether the goodbye arrives is the peer's business.
            let _ = timeout(GOODBYE, stream.shutdown()).await;
        }
    }

    async fn accept(
        &self,
        acceptor: TlsAcceptor,
        stream: Rewind<TcpStream>,
    ) -> Option<TlsStream<Rewind<TcpStream>>> {
        let (result, accepted) = match timeout(self.handshake_timeout, acceptor.accept(stream)).await {
            Ok(Ok(accepted)) => ("ok", Some(accepted)),
            Ok(Err(error)) => {
                debug!(%error, "Enrollment handshake failed");
                ("refused", None)
            }
            Err(_) => ("deadline", None),
        };
        metrics::handshake(Place::Enroll, result);
        accepted
    }

    /// Answers asks until there were enough, one was malformed, or the peer has left.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        peer: SocketAddr,
    ) -> Result<(), ConversationError> {
        let (mut conversation, mut buffer) = (Conversation::new(&self.enroll), BytesMut::new());
        for _ in 0..MAX_ASKS {
            let asked = timeout(ASK, self.one_ask(stream, &mut buffer, &mut conversation, peer)).await;
            if !asked.map_err(|_| ConversationError::Deadline)?? {
                break;
            }
        }
        Ok(())
    }

    /// Reads and answers one ask; false if it was the last.
    async fn one_ask<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        buffer: &mut BytesMut,
        conversation: &mut Conversation<'_>,
        peer: SocketAddr,
    ) -> Result<bool, ConversationError> {
        let Some(frame) = read_frame(stream, buffer).await? else { return Ok(false) };
        let (reply, more) = if !self.sources.lock().ask(peer.ip(), Instant::now()) {
            metrics::refused(Queue::EnrollPerSource);
            (refused(Refusal::Busy), false)
        } else if let Some(ask) = Conversation::read(&frame) {
            (self.answer(conversation, &ask).await, true)
        } else {
            metrics::enrollment("none", Refusal::Malformed.as_str());
            (refused(Refusal::Malformed), false)
        };
        write_frame(stream, &reply).await?;
        Ok(more)
    }

    async fn answer(&self, conversation: &mut Conversation<'_>, ask: &enroll_request::Body) -> EnrollReply {
        use enroll_request::Body::{Challenge, Join, Redeem, Reissue, TrustBundle};
        let _redemption = match ask {
            Redeem(_) | Join(_) | Reissue(_) => match self.redemptions.try_acquire() {
                Ok(permit) => Some(permit),
                Err(_) => {
                    metrics::refused(Queue::Redemptions);
                    return refused(Refusal::Busy);
                }
            },
            Challenge(_) | TrustBundle(_) => None,
        };
        conversation.answer(ask, clock::now()).await
    }
}

/// One frame, or none if the peer has left between two.
async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> Result<Option<Bytes>, ConversationError> {
    loop {
        if let Some(frame) = frame::decode(buffer, FRAME_CAP).map_err(ConversationError::Frame)? {
            return Ok(Some(frame));
        }
        if stream.read_buf(buffer).await.map_err(ConversationError::Io)? == 0 {
            return if buffer.is_empty() { Ok(None) } else { Err(ConversationError::Io(closed())) };
        }
    }
}

fn closed() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

async fn write_frame(
    stream: &mut (impl AsyncWrite + Unpin),
    reply: &EnrollReply,
) -> Result<(), ConversationError> {
    let frame = frame::encode(reply, FRAME_CAP).map_err(ConversationError::Frame)?;
    stream.write_all(&frame).await.map_err(ConversationError::Io)?;
    stream.flush().await.map_err(ConversationError::Io)
}

/// A challenge, its answer, a trust bundle, and one that was busy.
const MAX_ASKS: usize = 4;
/// For reading, answering and writing one.
const ASK: Duration = Duration::from_secs(10);
/// A registration with a key set of 16 KiB fits, and so does a trust bundle.
pub(super) const FRAME_CAP: usize = 64 * 1024;
const GOODBYE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
