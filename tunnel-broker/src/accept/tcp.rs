//! The TCP listener: takes connections, reads their hellos beside the loop, and sends them on their way.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, info_span, warn};
use tunnel_protos::Suffix;
use tunnel_runtime::{chain, drain, tasks::Tasks};

use super::{
    alert::{Alert, refuse},
    intake::{IntakeError, read_hello},
    rewind::Rewind,
    route::{Route, route},
    waiting_room::{Seat, WaitingRoom},
};
use crate::{
    enroll::server::EnrollServer,
    metrics::{self, Place, Queue},
    operators::server::ApiServer,
    sessions::{Arrival, Sessions},
};

/// Sends connections on their way.
#[derive(Debug)]
pub(crate) struct Concierge {
    pub(crate) suffix: Suffix,
    pub(crate) hello_timeout: Duration,
    pub(crate) waiting_room: WaitingRoom,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) api: ApiServer,
    pub(crate) enroll: EnrollServer,
}

/// Accepts until drained; the listener is closed then, before anything else ends.
pub(crate) async fn accept(
    listener: TcpListener,
    concierge: Arc<Concierge>,
    tasks: Arc<Tasks>,
    drain: drain::Watch,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.draining() => return,
        };
        match accepted {
            Ok((stream, peer)) => admit(&concierge, &tasks, stream, peer),
            Err(error) => {
                warn!(%error, "Cannot accept");
                // Out of file descriptors, most likely; trying again at once would only spin.
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// A full room closes without a word: an answer would cost what the cap saves.
fn admit(concierge: &Arc<Concierge>, tasks: &Tasks, stream: TcpStream, peer: SocketAddr) {
    let Some(seat) = concierge.waiting_room.enter(peer.ip()) else {
        metrics::refused(Queue::Unrouted);
        return;
    };
    let concierge = Arc::clone(concierge);
    tasks.spawn(info_span!("connection", peer.addr = %peer), async move {
        concierge.receive(stream, peer, seat).await;
    });
}

impl Concierge {
    async fn receive(&self, mut stream: TcpStream, peer: SocketAddr, seat: Seat) {
        // Every write is as large as it can be already; a failure shows at the next read.
        let _ = stream.set_nodelay(true);
        let (hello, raw) = match read_hello(&mut stream, self.hello_timeout).await {
            Ok(read) => read,
            Err(error) => return decline(stream, &error).await,
        };
        match route(&hello, &self.suffix) {
            Route::Enroll => {
                metrics::handshake(Place::Hello, "enroll");
                self.enroll.serve(stream, raw, peer, seat).await;
            }
            Route::Api => {
                metrics::handshake(Place::Hello, "api");
                self.api.serve(Rewind::new(raw, stream), seat).await;
            }
            Route::Door(name) => {
                metrics::handshake(Place::Hello, "door");
                // The seat is taken until the session has its own place, or is turned away.
                self.sessions.start(Arrival { name, stream, hello: raw, peer }).await;
            }
            Route::Refuse => {
                metrics::handshake(Place::Hello, "unknown_name");
                refuse(stream, Alert::UnrecognizedName).await;
            }
        }
    }
}

async fn decline(stream: TcpStream, error: &IntakeError) {
    metrics::handshake(Place::Hello, error.as_str());
    debug!(error = %chain(error), "No hello");
    if let IntakeError::Hello(_) = error {
        refuse(stream, Alert::DecodeError).await;
    }
}

const PAUSE: Duration = Duration::from_millis(100);
