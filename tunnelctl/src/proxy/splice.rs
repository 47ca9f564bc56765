//! Bytes both ways between a local client and the gate, each way at the pace of its reader.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    sync::watch,
    time::timeout,
};

use super::{Upstream, frames, frames::Boundary, listener::Local};

/// How it ended, as far as the client needs to hear more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// There was a session.
    Served,
    /// The gate closed before its first frame.
    Unanswered,
}

/// Passes bytes until both sides are done; after one is, the other has a while to finish.
pub(super) async fn both(
    local: &mut dyn Local,
    gate: impl AsyncRead + AsyncWrite,
    preface: &[u8],
    upstream: watch::Receiver<Upstream>,
) -> Ended {
    let (from_client, to_client) = split(local);
    let (from_gate, to_gate) = split(gate);
    let up = up(preface, from_client, to_gate);
    let mut boundary = Boundary::default();
    {
        let down = down(from_gate, to_client, &mut boundary, upstream);
        tokio::pin!(up, down);
        tokio::select! {
            // A client that is done sending may still read.
            _ = &mut up => { let _ = timeout(LINGER, down).await; }
            // Whatever a client still sends has nobody to read it.
            _ = &mut down => {}
        }
    }
    if boundary.frames() == 0 { Ended::Unanswered } else { Ended::Served }
}

async fn up(
    preface: &[u8],
    mut client: impl AsyncRead + Unpin,
    mut gate: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    gate.write_all(preface).await?;
    let mut buffer = vec![0; BUFFER];
    loop {
        gate.flush().await?;
        match client.read(&mut buffer).await? {
            0 => return gate.shutdown().await,
            read => gate.write_all(&buffer[..read]).await?,
        }
    }
}

/// Puts one GOAWAY between two frames when the session is to be replaced.
async fn down(
    mut gate: impl AsyncRead + Unpin,
    mut client: impl AsyncWrite + Unpin,
    boundary: &mut Boundary,
    mut upstream: watch::Receiver<Upstream>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    let mut wish = Wish::None;
    loop {
        if wish == Wish::Pending && boundary.is_between() {
            client.write_all(&frames::move_on()).await?;
            wish = Wish::Told;
        }
        tokio::select! {
            read = gate.read(&mut buffer) => match read? {
                0 => return client.shutdown().await,
                read => pass(&buffer[..read], &mut client, boundary, &mut wish).await?,
            },
            // A proxy that is gone drops this connection, too.
            Ok(()) = upstream.changed(), if wish == Wish::None => wish = Wish::Pending,
        }
    }
}

async fn pass(
    bytes: &[u8],
    client: &mut (impl AsyncWrite + Unpin),
    boundary: &mut Boundary,
    wish: &mut Wish,
) -> io::Result<()> {
    let rest = match boundary.feed(bytes) {
        Some(place) if *wish == Wish::Pending => {
            client.write_all(&bytes[..place]).await?;
            client.write_all(&frames::move_on()).await?;
            *wish = Wish::Told;
            &bytes[place..]
        }
        _ => bytes,
    };
    client.write_all(rest).await?;
    client.flush().await
}

/// Whether the client is to move on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    None,
    Pending,
    Told,
}

/// One TLS record several times over; larger ones only cost memory.
const BUFFER: usize = 64 << 10;
/// A client that is done sending reads its last answers.
const LINGER: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
