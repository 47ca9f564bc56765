//! Keeps one tunnel: dial, serve until it ends, pause, dial the next broker of its share.

use std::{io, net::SocketAddr, time::Duration};

use tokio::time::{Instant, timeout};
use tracing::{info, warn};
use tunnel_runtime::{chain, drain::Watch, shards::Load};
use tunnel_transport::{
    Tunnel,
    backoff::Backoff,
    quic::{Dial, DialError, dial},
};

use super::{
    Inbox, Rooms, Sessions, Settings,
    attached::{self, End},
    board::{Board, State},
    metrics,
};

pub(super) struct Keeper {
    slot: usize,
    settings: Settings,
    /// The brokers that no other keeper dials, so that two tunnels never end at the same broker.
    share: Vec<String>,
    turn: usize,
    board: Board,
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

/// What to do about an ended or failed tunnel.
struct Pause {
    error: String,
    retryable: bool,
    at_least: Duration,
}

impl Keeper {
    pub(super) fn new(slot: usize, settings: &Settings, board: Board, load: Load) -> Self {
        let share = settings.brokers.iter().skip(slot).step_by(board.count()).cloned().collect();
        Self { slot, settings: settings.clone(), share, turn: 0, board, _load: load }
    }

    /// Runs until drained.
    pub(super) async fn run<I: Inbox, S: Sessions>(mut self, rooms: Rooms<I, S>, drain: Watch) {
        let cap = self.settings.longest_pause.max(FIRST_PAUSE);
        let mut backoff =
            Backoff::new(FIRST_PAUSE, cap).expect("the first pause is above zero and below the cap");
        while !drain.is_draining() {
            let address = self.next_address();
            let pause = self.once(&address, &rooms, &drain, &mut backoff).await;
            let Some(pause) = pause else { break };
            let delay = self.delay(&pause, &mut backoff, cap);
            self.board.set(self.slot, &address, State::Waiting { error: pause.error });
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = drain.draining() => {}
            }
        }
    }

    /// One dial and the life of its tunnel; nothing when drained.
    async fn once<I: Inbox, S: Sessions>(
        &self,
        address: &str,
        rooms: &Rooms<I, S>,
        drain: &Watch,
        backoff: &mut Backoff,
    ) -> Option<Pause> {
        self.board.set(self.slot, address, State::Dialing);
        let dialed = tokio::select! {
            dialed = self.dial(address) => dialed,
            () = drain.draining() => return None,
        };
        metrics::dialed(dialed.is_ok());
        let tunnel = match dialed {
            Ok(tunnel) => tunnel,
            Err(error) => return Some(failed(address, &error)),
        };
        let since = Instant::now();
        let set = |state| self.board.set(self.slot, address, state);
        let end = attached::serve(&tunnel, &self.settings, rooms, drain, set).await;
        backoff.lived(since.elapsed());
        self.ended(address, &tunnel, end).await
    }

    async fn dial(&self, address: &str) -> Result<Tunnel, NoTunnel> {
        let resolved = timeout(self.settings.deadlines.handshake, resolve(address, self.turn)).await;
        let late = || Err(io::ErrorKind::TimedOut.into());
        let target =
            resolved.unwrap_or_else(|_| late()).map_err(|error| NoTunnel::Resolve(address.into(), error))?;
        let parts = Dial {
            address: target,
            server_name: host(address).to_owned(),
            tls: self.settings.tls.borrow().clone(),
            limits: self.settings.limits,
            deadline: self.settings.deadlines.handshake,
        };
        dial(&parts).await.map_err(|error| NoTunnel::Dial(address.into(), error))
    }

    /// Tells the broker, and what to do next.
    async fn ended(&self, address: &str, tunnel: &Tunnel, end: End) -> Option<Pause> {
        tunnel.close(end.code());
        // The close frame is a courtesy: a broker that does not take it misses probes instead.
        drop(timeout(FLUSH, tunnel.flushed()).await);
        metrics::ended(end.name());
        if matches!(end, End::Drained) {
            info!(broker = address, "Tunnel drained");
            return None;
        }
        warn!(broker = address, error = %chain(&end), "Tunnel ended");
        let error = chain(&end).to_string();
        Some(Pause { error, retryable: end.is_retryable(), at_least: end.retry_after().unwrap_or_default() })
    }

    fn delay(&self, pause: &Pause, backoff: &mut Backoff, cap: Duration) -> Duration {
        let random = u64::from_ne_bytes(tunnel_certs::crypto::random());
        let delay = backoff.next_delay(random);
        // What cannot succeed unchanged is still tried, but slowly: nothing may be stranded for good.
        let slow = if pause.retryable { Duration::ZERO } else { cap / 2 };
        delay.max(pause.at_least.min(LONGEST_WISH)).max(slow)
    }

    fn next_address(&mut self) -> String {
        let address = self.share.get(self.turn % self.share.len().max(1)).cloned().unwrap_or_default();
        self.turn = self.turn.wrapping_add(1);
        address
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
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// A broker that was restarted is back within a second or so.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// A hostile broker must not send us away for good.
const LONGEST_WISH: Duration = Duration::from_secs(300);
/// Long enough for one round trip.
const FLUSH: Duration = Duration::from_secs(1);

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
