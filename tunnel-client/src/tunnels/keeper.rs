//! Keeps one tunnel: dial, serve until it ends, pause, dial the next broker of its share; and replaces it in time,
//! the new one attached before the old one is left.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::timeout;
use tracing::{info, warn};
use tunnel_runtime::{chain, drain::Watch, shards::Load};
use tunnel_transport::{
    Tunnel,
    backoff::Backoff,
    quic::{Dial, DialError, dial},
};

use super::{
    Dialing, Inbox, Rooms, Sessions, Settings, Vendor,
    board::{Board, State},
    end::End,
    metrics,
    running::{Line, Running},
};

pub(super) struct Keeper {
    slot: usize,
    settings: Arc<Settings>,
    turn: usize,
    board: Board,
    /// Tunnels whose sessions end while others have taken their place.
    leaving: Vec<Running>,
    _load: Load,
}

/// Why there is no tunnel to serve.
#[derive(Debug, thiserror::Error)]
enum NoTunnel {
    #[error("cannot resolve {0}")]
    Resolve(String, #[source] io::Error),
    #[error("cannot dial {0}")]
    Dial(String, #[source] DialError),
}

impl NoTunnel {
    /// Not before this, by the broker's wish.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Resolve(..) => None,
            Self::Dial(_, error) => error.retry_after(),
        }
    }

    fn is_retryable(&self) -> bool {
        match self {
            Self::Resolve(..) => true,
            Self::Dial(_, error) => error.is_retryable(),
        }
    }
}

/// What follows a tunnel.
enum Next {
    /// Nothing: this side drains.
    Drained,
    /// Another, as soon as there is a broker for it.
    Look,
    /// Another, after a pause.
    Again(Pause),
}

/// What to do about an ended or failed tunnel.
struct Pause {
    error: String,
    retryable: bool,
    at_least: Duration,
}

impl Keeper {
    pub(super) fn new(slot: usize, settings: Arc<Settings>, board: Board, load: Load) -> Self {
        Self { slot, settings, turn: 0, board, leaving: Vec::new(), _load: load }
    }

    /// Runs until drained.
    pub(super) async fn run<I: Inbox, S: Sessions, V: Vendor>(mut self, rooms: Rooms<I, S, V>, drain: Watch) {
        let cap = self.settings.longest_pause.max(FIRST_PAUSE);
        let mut backoff =
            Backoff::new(FIRST_PAUSE, cap).expect("the first pause is above zero and below the cap");
        while !drain.is_draining() {
            let Some((address, dialing)) = self.ready(&drain).await else { break };
            let pause = match self.once(address.clone(), dialing, &rooms, &drain, &mut backoff).await {
                Next::Drained => break,
                Next::Look => continue,
                Next::Again(pause) => pause,
            };
            let delay = delay(&pause, &mut backoff, cap);
            self.board.set(self.slot, &address, State::Waiting { error: pause.error });
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = drain.draining() => {}
            }
        }
        for mut running in self.leaving {
            running.ended().await;
        }
    }

    /// Whom to dial next, and as whom; waits while there is nobody or nothing. Nothing when drained.
    async fn ready(&mut self, drain: &Watch) -> Option<(String, Arc<Dialing>)> {
        let (mut brokers, mut dialing) = (self.settings.brokers.clone(), self.settings.dialing.clone());
        loop {
            let identity = dialing.borrow_and_update().clone();
            brokers.mark_unchanged();
            if let (Some(address), Some(dialing)) = (self.next_address(), identity) {
                return Some((address, dialing));
            }
            self.board.clear(self.slot);
            tokio::select! {
                Ok(()) = brokers.changed() => {}
                Ok(()) = dialing.changed() => {}
                () = drain.draining() => return None,
            }
        }
    }

    /// One dial and the life of its tunnel, and of those that take its place.
    async fn once<I: Inbox, S: Sessions, V: Vendor>(
        &mut self,
        address: String,
        dialing: Arc<Dialing>,
        rooms: &Rooms<I, S, V>,
        drain: &Watch,
        backoff: &mut Backoff,
    ) -> Next {
        self.board.set(self.slot, &address, State::Dialing);
        match self.start(address, dialing, rooms, drain).await {
            Some(Ok(running)) => self.hold(running, rooms, drain, backoff).await,
            Some(Err(pause)) => Next::Again(pause),
            None => Next::Drained,
        }
    }

    /// Dials and begins to serve; nothing when drained.
    async fn start<I: Inbox, S: Sessions, V: Vendor>(
        &self,
        address: String,
        dialing: Arc<Dialing>,
        rooms: &Rooms<I, S, V>,
        drain: &Watch,
    ) -> Option<Result<Running, Pause>> {
        let dialed = tokio::select! {
            dialed = self.dial(&address, &dialing) => dialed,
            () = drain.draining() => return None,
        };
        metrics::dialed(dialed.is_ok());
        let line = Line { board: self.board.clone(), slot: self.slot, address: address.clone() };
        let start = |tunnel| Running::start(tunnel, dialing, &self.settings, rooms, drain, line);
        Some(dialed.map(start).map_err(|error| failed(&address, &error)))
    }

    /// Holds a tunnel until it ends, and replaces it before one of its certificates does.
    async fn hold<I: Inbox, S: Sessions, V: Vendor>(
        &mut self,
        mut running: Running,
        rooms: &Rooms<I, S, V>,
        drain: &Watch,
        backoff: &mut Backoff,
    ) -> Next {
        loop {
            let settings = self.settings.clone();
            let (slot, count) = (self.slot, self.board.count());
            let share =
                |address: &str| share(&settings.brokers.borrow(), slot, count).any(|own| own == address);
            tokio::select! {
                end = running.ended_or_due(&settings, share) => if let Some(end) = end {
                    backoff.lived(running.age());
                    return ended(&running.address, &end);
                },
                () = gone(&mut self.leaving) => continue,
            }
            if self.is_dropped(&running.address) {
                info!(broker = running.address, "Tunnel is left: the vendor names this broker no more");
                self.leave(running);
                return Next::Look;
            }
            match self.replacement(&running, rooms, drain).await {
                Some(Ok(next)) => {
                    backoff.lived(running.age());
                    metrics::replaced();
                    self.leave(std::mem::replace(&mut running, next));
                }
                Some(Err(pause)) => {
                    let cap = self.settings.longest_pause.max(FIRST_PAUSE);
                    running.put_off(delay(&pause, backoff, cap).max(FIRST_PAUSE));
                }
                None => {
                    // It drains by itself; dropped, it would cut its sessions.
                    self.leaving.push(running);
                    return Next::Drained;
                }
            }
        }
    }

    /// Another tunnel, attached; the one before is served meanwhile.
    async fn replacement<I: Inbox, S: Sessions, V: Vendor>(
        &mut self,
        before: &Running,
        rooms: &Rooms<I, S, V>,
        drain: &Watch,
    ) -> Option<Result<Running, Pause>> {
        let dialing = self.settings.dialing.borrow().clone();
        let Some(dialing) = dialing else { return Some(Err(Pause::of("no mesh certificate"))) };
        let brokers = self.settings.brokers.borrow().clone();
        let same = share(&brokers, self.slot, self.board.count()).any(|own| *own == before.address);
        let address = if same { Some(before.address.clone()) } else { self.next_address() };
        let Some(address) = address else { return Some(Err(Pause::of("no broker"))) };
        info!(broker = address, "Tunnel is being replaced");
        let mut started = match self.start(address, dialing, rooms, drain).await? {
            Ok(started) => started,
            Err(pause) => return Some(Err(pause)),
        };
        if started.routed(self.settings.deadlines.handshake).await {
            return Some(Ok(started));
        }
        Some(Err(Pause::of("the broker did not route over the replacement")))
    }

    /// Whether the vendor names other brokers, but neither this one nor one for this slot. A list of nobody says
    /// nothing of anybody.
    fn is_dropped(&self, address: &str) -> bool {
        let brokers = self.settings.brokers.borrow().clone();
        let idle = share(&brokers, self.slot, self.board.count()).next().is_none();
        idle && !brokers.is_empty() && brokers.iter().all(|named| named != address)
    }

    /// Lets a tunnel end by itself; too many of them are the work of a broker, and cost it the oldest.
    fn leave(&mut self, running: Running) {
        running.leave();
        if self.leaving.len() >= MOST_LEAVING {
            self.leaving.remove(0);
        }
        self.leaving.push(running);
    }

    async fn dial(&self, address: &str, dialing: &Dialing) -> Result<Tunnel, NoTunnel> {
        let resolved = timeout(self.settings.deadlines.handshake, resolve(address, self.turn)).await;
        let late = || Err(io::ErrorKind::TimedOut.into());
        let target =
            resolved.unwrap_or_else(|_| late()).map_err(|error| NoTunnel::Resolve(address.into(), error))?;
        let parts = Dial {
            address: target,
            server_name: host(address).to_owned(),
            tls: dialing.tls.clone(),
            limits: self.settings.limits,
            deadline: self.settings.deadlines.handshake,
        };
        dial(&parts).await.map_err(|error| NoTunnel::Dial(address.into(), error))
    }

    /// The next broker of those that no other keeper dials; none if there are more keepers than brokers.
    fn next_address(&mut self) -> Option<String> {
        let brokers = self.settings.brokers.borrow().clone();
        let share: Vec<_> = share(&brokers, self.slot, self.board.count()).collect();
        let address: &String = share.get(self.turn.checked_rem(share.len())?)?;
        self.turn = self.turn.wrapping_add(1);
        Some(address.clone())
    }
}

/// The brokers that no other keeper dials, so that two tunnels never end at the same broker.
fn share(brokers: &[String], slot: usize, count: usize) -> impl Iterator<Item = &String> {
    brokers.iter().skip(slot).step_by(count.max(1))
}

/// One of them has ended and was taken out; never ends while there is none. Cancel-safe.
async fn gone(leaving: &mut Vec<Running>) {
    if leaving.is_empty() {
        return std::future::pending().await;
    }
    let ends = leaving.iter_mut().map(|running| Box::pin(running.ended()));
    let (_, place, _) = futures_util::future::select_all(ends).await;
    leaving.remove(place);
}

fn ended(address: &str, end: &End) -> Next {
    if matches!(end, End::Drained) {
        info!(broker = address, "Tunnel drained");
        return Next::Drained;
    }
    warn!(broker = address, error = %chain(end), "Tunnel ended");
    let error = chain(end).to_string();
    let at_least = end.retry_after().unwrap_or_default();
    Next::Again(Pause { error, retryable: end.is_retryable(), at_least })
}

fn delay(pause: &Pause, backoff: &mut Backoff, cap: Duration) -> Duration {
    let random = u64::from_ne_bytes(tunnel_certs::crypto::random());
    let delay = backoff.next_delay(random);
    // What cannot succeed unchanged is still tried, but slowly: nothing may be stranded for good.
    let slow = if pause.retryable { Duration::ZERO } else { cap / 2 };
    delay.max(pause.at_least.min(LONGEST_WISH)).max(slow)
}

impl Pause {
    fn of(error: &str) -> Self {
        Self { error: error.to_owned(), retryable: true, at_least: Duration::ZERO }
    }
}

fn failed(address: &str, error: &NoTunnel) -> Pause {
    warn!(broker = address, error = %chain(error), "Cannot reach broker");
    Pause {
        error: chain(error).to_string(),
        retryable: error.is_retryable(),
        at_least: error.retry_after().unwrap_or_default(),
    }
}

/// One of the addresses of a name, another one at each turn.
async fn resolve(address: &str, turn: usize) -> io::Result<SocketAddr> {
    let addresses: Vec<_> = tokio::net::lookup_host(address).await?.collect();
    let chosen = addresses.get(turn % addresses.len().max(1)).copied();
    chosen.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

/// The host of `host:port`, without the brackets of IPv6.
pub(crate) fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// A broker that was restarted is back within a second or so.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// A hostile broker must not send us away for good.
const LONGEST_WISH: Duration = Duration::from_secs(300);
/// Each is there for as long as its sessions; a renewal in each third of a day leaves two at most.
const MOST_LEAVING: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_name_is_the_host() {
        assert_eq!(host("broker.example:443"), "broker.example");
        assert_eq!(host("[::1]:443"), "::1");
        assert_eq!(host("127.0.0.1:1"), "127.0.0.1");
    }
}
