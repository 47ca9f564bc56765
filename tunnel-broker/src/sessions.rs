//! Sessions: one operator's bytes to the gate behind a door and back, unread.
//! Everything of a session runs on its tunnel's lane; what has no way or no room is refused in TLS.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tracing::{Instrument, debug, info_span};
use tunnel_protos::DoorName;
use tunnel_runtime::chain;
use tunnel_transport::{Code, Header, Kind, OpenError, Stream};

use self::{
    chunks::Plain,
    splice::{End, splice},
};
use crate::{
    accept::{
        alert::{Alert, refuse},
        waiting_room::{Seat, WaitingRoom},
    },
    config::SessionLimits,
    metrics::{self, Queue},
    tunnels::{Live, Tunnels, registry::Way},
};

mod chunks;
mod splice;
mod watchdog;

/// An operator's connection whose hello named a door.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Where it wants to go.
    pub(crate) name: DoorName,
    /// The connection.
    pub(crate) stream: TcpStream,
    /// What was read of it.
    pub(crate) hello: Bytes,
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
}

/// All sessions of this broker.
#[derive(Debug)]
pub(crate) struct Sessions {
    tunnels: Arc<Tunnels>,
    permits: Arc<Semaphore>,
    newcomers: WaitingRoom,
    limits: SessionLimits,
}

/// Counts a session while it lives.
#[derive(Debug)]
struct Counted(OwnedSemaphorePermit);

impl Sessions {
    /// No sessions yet.
    pub(crate) fn new(tunnels: Arc<Tunnels>, limits: SessionLimits) -> Self {
        let permits = Arc::new(Semaphore::new(limits.total));
        let newcomers = WaitingRoom::new(limits.total, limits.newcomers_per_source);
        Self { tunnels, permits, newcomers, limits }
    }

    /// Hands a connection over to its tunnel's lane, or refuses it.
    pub(crate) async fn start(&self, arrival: Arrival) {
        let live = match self.tunnels.way(&arrival.name) {
            Way::Tunnel(live) => live,
            Way::UnknownDoor => return turn_away(arrival, Alert::UnrecognizedName, "unknown_door").await,
            Way::Offline => return turn_away(arrival, Alert::UnrecognizedName, "offline").await,
        };
        let Some(seat) = self.newcomers.enter(arrival.peer.ip()) else {
            metrics::refused(Queue::Newcomers);
            return turn_away(arrival, Alert::InternalError, "crowded").await;
        };
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            metrics::refused(Queue::Sessions);
            return turn_away(arrival, Alert::InternalError, "full").await;
        };
        let counted = Counted::new(permit);
        let span = info_span!("session", label = %arrival.name.label, peer.addr = %arrival.peer);
        // A socket belongs to the runtime that polls it; the lane takes it over.
        let Ok(socket) = arrival.stream.into_std() else { return };
        let (lane, limits) = (live.lane.clone(), self.limits.clone());
        lane.spawn(span.clone(), async move {
            let Ok(stream) = TcpStream::from_std(socket) else { return };
            let session = serve(Arrival { stream, ..arrival }, &live, &limits);
            seated(seat, session).instrument(span).await;
            drop(counted);
        });
    }

    /// Waits until no session is open; bound it with a deadline.
    pub(crate) async fn idle(&self) {
        let all = u32::try_from(self.limits.total).unwrap_or(u32::MAX);
        // It fails only if closed, which nobody does.
        let _ = self.permits.acquire_many(all).await;
    }
}

/// Keeps the seat for the session's first phase. What the broker cannot see, the gate tells by freeing: it ends who
/// is not proven in time, the oldest first if there are too many, so whoever is still here afterward is proven.
async fn seated<T>(seat: Seat, session: impl Future<Output = T>) -> T {
    let mut session = pin!(session);
    match timeout(FIRST_PHASE, session.as_mut()).await {
        Ok(end) => end,
        Err(_) => {
            drop(seat);
            session.await
        }
    }
}

async fn serve(arrival: Arrival, live: &Live, limits: &SessionLimits) {
    let header =
        Header { peer: Some(arrival.peer), ..Header::new(Kind::Session { door: arrival.name.door }) };
    match live.tunnel.open_with(&header, arrival.hello.clone(), OPEN).await {
        Ok(stream) => carry(arrival.stream, stream, limits).await,
        Err(error) => {
            debug!(error = %chain(&error), "Session not opened");
            if matches!(error, OpenError::Busy) {
                metrics::refused(Queue::Streams);
            }
            let (alert, reason) = refusal(error.code());
            turn_away(arrival, alert, reason).await;
        }
    }
}

async fn carry(mut operator: TcpStream, cluster: Stream, limits: &SessionLimits) {
    let (read, write) = operator.split();
    let end = splice((Plain(read), Plain(write)), cluster.split(), limits).await;
    match &end {
        End::Operator(error) | End::Cluster(error) => debug!(%error, end = end.as_str(), "Session cut"),
        End::Finished | End::Given(_) => debug!(end = end.as_str(), "Session ended"),
    }
    metrics::session_ended(end.as_str());
}

/// What an operator is told when the replica said no.
fn refusal(code: Code) -> (Alert, &'static str) {
    match code {
        Code::UnknownDoor | Code::NotHere => (Alert::UnrecognizedName, code.as_str()),
        _ => (Alert::InternalError, code.as_str()),
    }
}

async fn turn_away(arrival: Arrival, alert: Alert, reason: &'static str) {
    metrics::session_ended(reason);
    refuse(arrival.stream, alert).await;
}

impl Counted {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        metrics::sessions().increment(1);
        Self(permit)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Self(_permit) = self;
        metrics::sessions().decrement(1);
    }
}

/// The gate answers from memory; an operator who waits longer sees a dead cluster anyway.
const OPEN: Duration = Duration::from_secs(5);
/// The gate's deadline for TLS.
const FIRST_PHASE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt;

    use super::*;

    fn room() -> (WaitingRoom, std::net::IpAddr) {
        (WaitingRoom::new(9, 1), [192, 0, 2, 1].into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_counts_as_new_until_its_first_phase_is_over() {
        let (room, source) = room();
        let session = seated(room.enter(source).unwrap(), pending::<()>());
        let short = timeout(FIRST_PHASE * 2, session);
        tokio::pin!(short);
        assert!(short.as_mut().now_or_never().is_none());
        assert!(room.enter(source).is_none());
        tokio::select! {
            _ = short => panic!("ended"),
            () = tokio::time::sleep(FIRST_PHASE + Duration::from_millis(1)) => {}
        }
        assert!(room.enter(source).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_ends_early_frees_its_seat_at_once() {
        let (room, source) = room();
        seated(room.enter(source).unwrap(), async {}).await;
        assert!(room.enter(source).is_some());
    }
}
