//! How a TLS server answers a client: by serving HTTP/2, by an alert, or by hanging up.

use std::io;

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{PATIENCE, channel::Peer};

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The server let the client in: HTTP/2 SETTINGS arrived.
    Served,
    /// A fatal alert, by its name in rustls.
    Alert(String),
    /// The connection ended without a word.
    Hung,
}

impl Answer {
    /// Whether it was an alert, whichever.
    pub fn is_alert(&self) -> bool {
        matches!(self, Self::Alert(_))
    }
}

/// Connects and finds out; in TLS 1.3 a client learns of its refused certificate only when it reads.
pub async fn answer(peer: &Peer) -> Result<Answer> {
    match timeout(PATIENCE, peer.connect()).await.context("the handshake hangs")? {
        Ok(stream) => after_handshake(stream).await,
        Err(error) => Ok(refusal(error.downcast_ref::<io::Error>().context("a TLS error")?)),
    }
}

/// The same for a stream on which the client's handshake is done.
pub async fn after_handshake(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<Answer> {
    // A write may fail on a connection that was refused already; the read tells why.
    let _ = stream.write_all(PREFACE).await;
    let mut settings = [0; 9];
    let read = timeout(PATIENCE, stream.read_exact(&mut settings)).await.context("no answer")?;
    Ok(read.map_or_else(|error| refusal(&error), |_| Answer::Served))
}

fn refusal(error: &io::Error) -> Answer {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::AlertReceived(alert)) => Answer::Alert(format!("{alert:?}")),
        _ => Answer::Hung,
    }
}

/// HTTP/2's preface with empty SETTINGS.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
