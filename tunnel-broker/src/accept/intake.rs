//! Reads a connection's ClientHello within its deadline, whatever the size of the pieces.

use std::{io, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

use super::hello::{ClientHello, HelloError, HelloReader};

/// Why there is no hello.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntakeError {
    /// It took too long.
    #[error("no ClientHello in time")]
    Deadline,
    /// The peer closed first.
    #[error("closed before its ClientHello was complete")]
    Closed,
    /// The connection failed.
    #[error("cannot read the ClientHello")]
    Io(#[source] io::Error),
    /// It cannot be read.
    #[error("the ClientHello")]
    Hello(#[source] HelloError),
}

impl IntakeError {
    /// For metrics.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Closed => "closed",
            Self::Io(_) => "io",
            Self::Hello(HelloError::NotTls) => "not_tls",
            Self::Hello(HelloError::Malformed) => "malformed",
            Self::Hello(HelloError::TooLarge) => "too_large",
        }
    }
}

/// Reads a hello; gives it with the exact bytes that were read.
pub(crate) async fn read_hello(
    stream: &mut (impl AsyncRead + Unpin),
    deadline: Duration,
) -> Result<(ClientHello, Bytes), IntakeError> {
    timeout(deadline, read(stream)).await.unwrap_or(Err(IntakeError::Deadline))
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<(ClientHello, Bytes), IntakeError> {
    let mut reader = HelloReader::default();
    let mut piece = [0; PIECE];
    loop {
        let read = stream.read(&mut piece).await.map_err(IntakeError::Io)?;
        if read == 0 {
            return Err(IntakeError::Closed);
        }
        if let Some(hello) = reader.push(&piece[..read]).map_err(IntakeError::Hello)? {
            return Ok((hello, reader.into_raw()));
        }
    }
}

/// Most hellos fit, post-quantum ones too.
const PIECE: usize = 2048;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;
    use crate::accept::hello::tests::Builder;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn reads_a_hello_in_one_byte_segments() {
        let bytes = Builder::new().server_name("api.tunnel.example").protocols(&["h2"]).records(64);
        // A pipe of one byte hands over one byte at a time.
        let (mut near, mut far) = duplex(1);
        let (read, written) = tokio::join!(read_hello(&mut far, SECOND), near.write_all(&bytes));
        written.unwrap();
        let (hello, raw) = read.unwrap();
        assert_eq!(hello.server_name.as_deref(), Some("api.tunnel.example"));
        assert_eq!(raw, bytes);
    }

    #[tokio::test]
    async fn a_slow_loris_runs_into_the_deadline() {
        let (mut near, mut far) = duplex(64);
        near.write_all(&[22, 3, 1]).await.unwrap();
        let read = read_hello(&mut far, Duration::from_millis(20)).await;
        assert!(matches!(read, Err(IntakeError::Deadline)));
    }

    #[tokio::test]
    async fn a_connection_closed_early_has_no_hello() {
        let (near, mut far) = duplex(64);
        drop(near);
        assert!(matches!(read_hello(&mut far, SECOND).await, Err(IntakeError::Closed)));
    }

    #[tokio::test]
    async fn garbage_is_refused_while_the_peer_still_sends() {
        let (mut near, mut far) = duplex(64);
        near.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let read = read_hello(&mut far, SECOND).await;
        assert!(matches!(read, Err(IntakeError::Hello(HelloError::NotTls))));
    }
}
