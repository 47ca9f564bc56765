//! Says no in TLS: one plaintext alert record, which every client understands before any key is agreed.
//! Invariant: the connection ends orderly, never by a reset that would swallow the alert.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Why a TLS connection is refused (RFC 8446 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alert {
    /// The hello cannot be read.
    DecodeError,
    /// There is no such name here, or not now.
    UnrecognizedName,
    /// There is no room, or the way behind is broken; another attempt may succeed.
    InternalError,
}

impl Alert {
    /// The record: alert, TLS 1.2 as all records say, two bytes, fatal, the reason.
    const fn record(self) -> [u8; 7] {
        let reason = match self {
            Self::DecodeError => 50,
            Self::InternalError => 80,
            Self::UnrecognizedName => 112,
        };
        [21, 3, 3, 0, 2, 2, reason]
    }
}

/// Sends the alert and ends the connection.
pub(crate) async fn refuse(mut stream: TcpStream, alert: Alert) {
    // Whether the peer still listens is its own business.
    let _ = timeout(GOODBYE, say(&mut stream, alert)).await;
}

async fn say(stream: &mut TcpStream, alert: Alert) -> std::io::Result<()> {
    stream.write_all(&alert.record()).await?;
    stream.shutdown().await?;
    // Closing with unread bytes makes the kernel send a reset; they are read until the peer closes as well.
    let mut rest = [0; 1024];
    let mut unread = LINGER;
    while unread > 0 {
        match stream.read(&mut rest).await? {
            0 => break,
            read => unread = unread.saturating_sub(read),
        }
    }
    Ok(())
}

/// A client closes as soon as it has read the alert.
const GOODBYE: Duration = Duration::from_secs(2);
/// Nobody sends more than a hello before an answer.
const LINGER: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_alert_arrives_although_bytes_are_unread() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.write_all(&[7; 3000]).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let mut said = Vec::new();
        let (read, ()) = tokio::join!(
            async {
                let read = client.read_to_end(&mut said).await;
                drop(client);
                read
            },
            refuse(server, Alert::UnrecognizedName),
        );
        assert_eq!(read.unwrap(), 7);
        assert_eq!(said, [21, 3, 3, 0, 2, 2, 112]);
    }
}
