//! Streams that the broker opens after the control stream: sessions for the gate, and probes that are echoed.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tracing::debug;
use tunnel_runtime::{chain, drain};
use tunnel_transport::{AcceptError, Code, Deadlines, Incoming, Kind, Offer, Stream};

use super::{Sessions, metrics};

/// Serves one stream to its end.
pub(super) async fn serve<S: Sessions>(
    incoming: Incoming,
    sessions: S,
    deadlines: Deadlines,
    drain: drain::Watch,
) {
    if let Err(error) = route(incoming, sessions, deadlines, drain).await {
        metrics::refused(error.code());
        debug!(error = %chain(&error), "Stream not served");
    }
}

async fn route<S: Sessions>(
    incoming: Incoming,
    sessions: S,
    deadlines: Deadlines,
    drain: drain::Watch,
) -> Result<(), AcceptError> {
    let offer = incoming.header(deadlines.header).await?;
    let (kind, peer) = (offer.header().kind, offer.header().peer);
    match kind {
        Kind::Session { door } if sessions.knows(&door) => {
            let stream = offer.accept(deadlines.open).await?;
            sessions.serve(door, peer, stream, drain).await;
        }
        Kind::Session { .. } => refuse(offer, Code::UnknownDoor),
        Kind::Probe => echo(offer.accept(deadlines.open).await?, deadlines).await,
        Kind::Control | Kind::Forward { .. } => refuse(offer, Code::UnknownKind),
    }
    Ok(())
}

fn refuse(offer: Offer, code: Code) {
    metrics::refused(code);
    offer.refuse(code);
}

/// Sends back at most [`ECHO`] bytes.
async fn echo(stream: Stream, deadlines: Deadlines) {
    let (recv, mut send) = stream.split();
    let echoed = async {
        let mut bytes = Vec::with_capacity(ECHO);
        recv.take(ECHO as u64).read_to_end(&mut bytes).await?;
        send.write_all(&bytes).await?;
        send.shutdown().await
    };
    // A broker that does not finish its own probe has its answer: none.
    drop(timeout(deadlines.open, echoed).await);
}

/// What a probe over a session stream may carry.
const ECHO: usize = 64;
