//! Keeps tunnels to the vendor's brokers: dials, attaches, answers probes, hands on, and comes back by itself.
//!
//! Invariant: a tunnel counts as attached only from its Welcome until two probes in a row are missed. Nothing that a
//! broker sends ends the keeping: however wrong it is, the tunnel is closed and dialed again, later and later.

mod attached;
mod board;
mod doors;
mod end;
mod keeper;
mod metrics;
mod outcomes;
mod running;
mod streams;
mod vendor;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use tokio::sync::watch;
use tracing::info_span;
use tunnel_protos::{
    Door, UnixMillis,
    approvers::TunnelStatus,
    v1::{ReceivedStatus, SealedOutcome, SealedRequest, TargetHealth},
};
use tunnel_runtime::{drain, drain::Watch, shards::Shards, tasks::Task};
use tunnel_transport::{Deadlines, Limits, Stream, quic::ClientTls};

pub use self::vendor::{News, Taken, Vendor};

pub(crate) use self::keeper::host;
use self::{board::Board, keeper::Keeper};
use crate::{gate::grants::GrantsView, requests::Admission, trust::Fingerprint};

/// Where delivered requests go and outcomes come from; `requests/` implements it.
pub trait Inbox: Clone + Send + Sync + 'static {
    /// Takes a delivered request; the answer is given only once what it says is stored.
    fn deliver(&self, sealed: SealedRequest) -> impl Future<Output = ReceivedStatus> + Send;

    /// Outcomes that no broker has acknowledged, in the order in which they must be sent.
    fn outcomes(&self) -> Vec<SealedOutcome>;

    /// Wakes when [`Inbox::outcomes`] may have grown.
    fn outcome_changes(&self) -> watch::Receiver<u64>;

    /// A broker has stored this outcome.
    fn acknowledged(&self, outcome: SealedOutcome) -> impl Future<Output = ()> + Send;
}

/// Where operators' sessions go; the gate implements it.
pub trait Sessions: Clone + Send + Sync + 'static {
    /// Whether this door was ever handed out, tombstones included.
    fn knows(&self, door: &Door) -> bool;

    /// Serves one session until it ends; it ends by itself when its grant does, and is to end when its tunnel drains.
    fn serve(
        &self,
        door: Door,
        peer: Option<SocketAddr>,
        stream: Stream,
        drain: drain::Watch,
    ) -> impl Future<Output = ()> + Send;
}

/// What tunnels need of the other rooms.
#[derive(Clone)]
pub struct Rooms<I, S, V> {
    /// Takes requests.
    pub inbox: I,
    /// Takes sessions.
    pub sessions: S,
    /// Tells the doors to announce.
    pub grants: GrantsView,
    /// Tells the engine's health as last seen, at once.
    pub health: Arc<dyn Fn() -> Vec<TargetHealth> + Send + Sync>,
    /// Takes what brokers bring about the vendor.
    pub vendor: V,
}

/// Who we are toward brokers, and whom we take for one.
#[derive(Debug, Clone)]
pub struct Dialing {
    /// Both, as TLS wants it.
    pub tls: ClientTls,
    /// The end of our certificate, and so of every tunnel that shows it.
    pub until: UnixMillis,
    /// What names our certificate.
    pub leaf: Fingerprint,
}

/// How tunnels are kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port` of brokers, as they are now.
    pub brokers: watch::Receiver<Arc<Vec<String>>>,
    /// How many tunnels to keep, each to another broker; fewer brokers give fewer.
    pub wanted: usize,
    /// The replica's mesh identity; none before it is enrolled. Tunnels that show another one are replaced.
    pub dialing: watch::Receiver<Option<Arc<Dialing>>>,
    /// Raised by every start of this replica.
    pub epoch: u64,
    /// Whether this replica takes requests; brokers deliver none to one that does not.
    pub admission: watch::Receiver<Admission>,
    /// The build, for people.
    pub build: String,
    /// Bounds of each tunnel.
    pub limits: Limits,
    /// Deadlines of each step.
    pub deadlines: Deadlines,
    /// How long sessions may go on once this side drains.
    pub grace: Duration,
    /// Longest pause between dials.
    pub longest_pause: Duration,
    /// Replacements of tunnels whose certificate was renewed spread over this.
    pub jitter: Duration,
}

/// Tunnels that are about to be kept.
pub struct Tunnels {
    settings: Arc<Settings>,
    board: Board,
}

impl Tunnels {
    /// Dials nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self { board: Board::new(settings.wanted.max(1)), settings: Arc::new(settings) }
    }

    /// How many tunnels are attached, now and later.
    pub fn attached(&self) -> watch::Receiver<usize> {
        self.board.attached()
    }

    /// Tells each tunnel's state, now and later.
    pub fn status(&self) -> impl Fn() -> Vec<TunnelStatus> + Send + Sync + Clone + 'static {
        let board = self.board.clone();
        move || board.status()
    }

    /// Starts to keep the tunnels, each on a shard, until drained; the future ends when all have, and a panic in one
    /// ends all.
    pub fn run<I: Inbox, S: Sessions, V: Vendor>(
        self,
        rooms: &Rooms<I, S, V>,
        shards: &Shards,
        drain: &Watch,
    ) -> impl Future<Output = ()> + Send + use<I, S, V> {
        metrics::describe();
        metrics::desired(self.board.count().min(self.settings.brokers.borrow().len()));
        let keep = |slot| {
            let shard = shards.pick();
            let keeper = Keeper::new(slot, self.settings.clone(), self.board.clone(), shard.hold());
            shard.spawn(info_span!("tunnel", slot), keeper.run(rooms.clone(), drain.clone()))
        };
        let keepers: Vec<Task<()>> = (0..self.board.count()).map(keep).collect();
        async move {
            let ended = futures_util::future::try_join_all(keepers).await;
            // A keeper ends by drain only; anything else is a bug that must not go on half alive.
            ended.expect("a keeper of tunnels does not panic");
        }
    }
}

#[cfg(test)]
mod tests;
