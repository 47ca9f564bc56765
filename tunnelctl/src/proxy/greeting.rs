//! The first bytes of a local connection: HTTP/2 without TLS, or a mistake that is told in the client's own language.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::listener::Local;

/// What a client opened with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// HTTP/2; the bytes read so far.
    Http2(Vec<u8>),
    /// A TLS handshake.
    Tls,
    /// An HTTP/1 request.
    Http1,
    /// Something else, or nothing.
    Other,
}

impl Greeting {
    /// Reads it; whoever says nothing for long opens no session.
    pub(super) async fn read(local: &mut dyn Local) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(PREFACE.len());
        while bytes.len() < PREFACE.len() {
            let mut rest = [0; PREFACE.len()];
            let room = PREFACE.len() - bytes.len();
            let read = timeout(PATIENCE, local.read(&mut rest[..room])).await??;
            bytes.extend_from_slice(&rest[..read]);
            if read == 0 || !PREFACE.starts_with(&bytes) {
                return Ok(Self::mistake(&bytes));
            }
        }
        Ok(Self::Http2(bytes))
    }

    fn mistake(bytes: &[u8]) -> Self {
        match bytes.first() {
            Some(&TLS_HANDSHAKE) => Self::Tls,
            Some(first) if first.is_ascii_uppercase() => Self::Http1,
            _ => Self::Other,
        }
    }

    /// What to tell the person.
    pub(super) fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Http2(_) => None,
            Self::Tls => Some(
                "a client spoke TLS; the proxy has none: grpcurl -plaintext, etcdctl with http:// or unix:// endpoints",
            ),
            Self::Http1 => Some("a client spoke HTTP/1; the proxy passes gRPC (HTTP/2) only"),
            Self::Other => Some("a client did not speak HTTP/2"),
        }
    }
}

/// Answers a mistake where the client can read an answer.
pub(super) async fn refuse(local: &mut dyn Local, greeting: &Greeting) -> io::Result<()> {
    if *greeting == Greeting::Http1 {
        timeout(PATIENCE, local.write_all(NOT_HTTP1)).await??;
    }
    timeout(PATIENCE, local.shutdown()).await?
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const TLS_HANDSHAKE: u8 = 22;
const NOT_HTTP1: &[u8] = b"HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-type: text/plain\r\n\
    connection: close\r\ncontent-length: 41\r\n\r\ntunnelctl proxy passes gRPC (HTTP/2) only\n";
/// A client on the same machine.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    async fn greeted(bytes: &[u8]) -> Greeting {
        let (mut near, mut far) = tokio::io::duplex(64);
        near.write_all(bytes).await.unwrap();
        near.shutdown().await.unwrap();
        Greeting::read(&mut far).await.unwrap()
    }

    #[tokio::test]
    async fn only_http2_without_tls_passes() {
        assert_eq!(greeted(PREFACE).await, Greeting::Http2(PREFACE.to_vec()));
        assert_eq!(greeted(&[22, 3, 1, 2]).await, Greeting::Tls);
        assert_eq!(greeted(b"GET / HTTP/1.1\r\n").await, Greeting::Http1);
        assert_eq!(greeted(b"PRI * HTTP/2.0\r\n").await, Greeting::Http1);
        assert_eq!(greeted(b"").await, Greeting::Other);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_given_up() {
        let (_near, mut far) = tokio::io::duplex(64);
        assert_eq!(Greeting::read(&mut far).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
