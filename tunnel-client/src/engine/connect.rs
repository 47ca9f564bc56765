//! One connection to one target: TCP, TLS or a Unix socket, each step within a deadline.
//!
//! Credentials are looked at anew for every connection, so rotated files take effect without a signal.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    endpoint::{Authority, Endpoint},
    tls::{TlsError, Toward},
};

/// Why the engine was not reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The profile has no such target.
    #[error("no such target in the engine profile")]
    UnknownTarget,
    /// Not within the deadline.
    #[error("no connection within {} s", CONNECT_DEADLINE.as_secs())]
    Deadline,
    /// Refused, unreachable, or no such name.
    #[error("cannot connect to {endpoint}")]
    Connect {
        /// Where.
        endpoint: String,
        /// Why.
        source: io::Error,
    },
    /// The TLS files cannot be used.
    #[error("TLS toward the engine")]
    Tls(#[source] TlsError),
    /// The handshake failed.
    #[error("the TLS handshake with the engine")]
    Handshake(#[source] io::Error),
    /// The engine does not speak HTTP/2 there.
    #[error("the engine did not agree to HTTP/2 (ALPN h2)")]
    NotHttp2,
}

/// Bytes to and from one target.
#[derive(Debug)]
pub enum Connection {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
    /// A Unix socket.
    Unix(UnixStream),
    /// A pipe within this process.
    Memory(DuplexStream),
}

impl Connection {
    /// Connects to `endpoint` within the deadline; dropping the future gives up at once.
    pub async fn open(endpoint: &Endpoint, tls: Option<&Toward>) -> Result<Self, ConnectError> {
        timeout(CONNECT_DEADLINE, connect(endpoint, tls)).await.unwrap_or(Err(ConnectError::Deadline))
    }
}

async fn connect(endpoint: &Endpoint, tls: Option<&Toward>) -> Result<Connection, ConnectError> {
    let failed = |source| ConnectError::Connect { endpoint: endpoint.to_string(), source };
    match (endpoint, tls) {
        (Endpoint::Unix(path), _) => UnixStream::connect(path).await.map(Connection::Unix).map_err(failed),
        (Endpoint::H2c(authority), _) => tcp(authority).await.map(Connection::Tcp).map_err(failed),
        (Endpoint::Tls(authority), Some(tls)) => {
            let stream = tcp(authority).await.map_err(failed)?;
            handshake(stream, authority, tls).await
        }
        (Endpoint::Tls(_), None) => Err(ConnectError::Tls(TlsError::NoCa)),
    }
}

async fn tcp(authority: &Authority) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((authority.host.as_str(), authority.port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn handshake(
    stream: TcpStream,
    authority: &Authority,
    tls: &Toward,
) -> Result<Connection, ConnectError> {
    let (config, name) = tls.client(&authority.host).map_err(ConnectError::Tls)?;
    let tls = TlsConnector::from(config).connect(name, stream).await;
    let tls = tls.map_err(ConnectError::Handshake)?;
    match tls.get_ref().1.alpn_protocol() {
        Some(b"h2") => Ok(Connection::Tls(Box::new(tls))),
        _ => Err(ConnectError::NotHttp2),
    }
}

macro_rules! each {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($stream) => $call,
            Self::Tls($stream) => $call,
            Self::Unix($stream) => $call,
            Self::Memory($stream) => $call,
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Memory(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

/// The engine is near: longer than this, it is down, and an operator's call must not wait on it.
pub(crate) const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
