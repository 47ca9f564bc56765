//! One tunnel that is served in a task of its own, so that its keeper can dial the one that is to replace it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tracing::{debug, info_span};
use tunnel_runtime::{drain::Watch, tasks::Task};
use tunnel_transport::Tunnel;

use super::{
    Dialing, Inbox, Rooms, Sessions, Settings, Vendor,
    attached::{self, Served},
    board::{Board, State},
    end::End,
    metrics,
};
use crate::trust::Fingerprint;

/// A tunnel from its handshake to its end.
pub(super) struct Running {
    task: Task<End>,
    pub(super) address: String,
    since: Instant,
    plan: Plan,
    routed: watch::Receiver<bool>,
    replaced: watch::Sender<bool>,
    quiet: Arc<AtomicBool>,
}

/// When a tunnel is to be replaced.
struct Plan {
    replace_at: Instant,
    /// Not before, whatever the reason: a broker must not make this replica dial all the time.
    not_before: Instant,
    /// Whether the broker was told that requests are taken.
    takes_requests: bool,
    leaf: Fingerprint,
}

/// Where a tunnel shows its state, until another takes its place.
pub(super) struct Line {
    pub(super) board: Board,
    pub(super) slot: usize,
    pub(super) address: String,
}

impl Running {
    /// Serves `tunnel` on the caller's runtime.
    pub(super) fn start<I: Inbox, S: Sessions, V: Vendor>(
        tunnel: Tunnel,
        dialing: Arc<Dialing>,
        settings: &Arc<Settings>,
        rooms: &Rooms<I, S, V>,
        drain: &Watch,
        line: Line,
    ) -> Self {
        let (routed, is_routed) = watch::channel(false);
        let (replaced, is_replaced) = watch::channel(false);
        let quiet = Arc::new(AtomicBool::new(false));
        let left = attached::left(&tunnel, &dialing);
        let address = line.address.clone();
        let set = {
            let quiet = Arc::clone(&quiet);
            move |state| {
                if !quiet.load(Ordering::Relaxed) {
                    line.board.set(line.slot, &line.address, state);
                }
            }
        };
        let plan = Plan {
            replace_at: Instant::now() + lead(left),
            not_before: Instant::now() + LEAST,
            takes_requests: attached::takes_requests(settings),
            leaf: dialing.leaf,
        };
        let served = serve(
            (tunnel, dialing),
            settings.clone(),
            rooms.clone(),
            (drain.clone(), is_replaced),
            routed,
            set,
        );
        Self {
            task: Task::spawn(info_span!("life"), served),
            address,
            since: Instant::now(),
            plan,
            routed: is_routed,
            replaced,
            quiet,
        }
    }

    /// How long it has lived.
    pub(super) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// How it ended. Cancel-safe.
    pub(super) async fn ended(&mut self) -> End {
        ended(&mut self.task).await
    }

    /// How it ended, or nothing once it is time to dial another in its place. Cancel-safe.
    pub(super) async fn ended_or_due(
        &mut self,
        settings: &Settings,
        share: impl Fn(&str) -> bool,
    ) -> Option<End> {
        let Self { task, plan, address, .. } = self;
        tokio::select! {
            end = ended(task) => Some(end),
            () = plan.due(settings, || share(address)) => None,
        }
    }

    /// The replacement failed; the next is dialed after `delay`.
    pub(super) fn put_off(&mut self, delay: Duration) {
        self.plan.not_before = Instant::now() + delay;
    }

    /// Waits until the broker routes over it; false if it ended, or was not within `deadline`.
    pub(super) async fn routed(&mut self, deadline: Duration) -> bool {
        let mut routed = self.routed.clone();
        let waited = timeout(deadline, routed.wait_for(|routed| *routed)).await;
        matches!(waited, Ok(Ok(_)))
    }

    /// Lets its sessions end: another tunnel is attached in its place.
    pub(super) fn leave(&self) {
        self.quiet.store(true, Ordering::Relaxed);
        self.replaced.send_replace(true);
    }
}

impl Plan {
    /// Waits until it is time to dial another in its place.
    async fn due(&mut self, settings: &Settings, stays: impl Fn() -> bool) {
        let (mut dialing, mut brokers) = (settings.dialing.clone(), settings.brokers.clone());
        let mut admission = settings.admission.clone();
        loop {
            let another = dialing.borrow_and_update().as_ref().is_some_and(|now| now.leaf != self.leaf);
            let announced = self.takes_requests || !attached::takes_requests(settings);
            let moved = !stays();
            brokers.mark_unchanged();
            admission.mark_unchanged();
            if another || moved {
                self.replace_at = self.replace_at.min(Instant::now() + jitter(settings.jitter));
            }
            // A person has just confirmed and waits: nothing else happens at the same time anywhere.
            if !announced {
                self.replace_at = Instant::now();
            }
            tokio::select! {
                () = sleep_until(self.replace_at.max(self.not_before)) => return,
                Ok(()) = dialing.changed() => {}
                Ok(()) = brokers.changed() => {}
                Ok(()) = admission.changed() => {}
            }
        }
    }
}

async fn ended(task: &mut Task<End>) -> End {
    // Its owner aborts it only by dropping it; a panic must not go on half alive.
    task.await.expect("the life of a tunnel does not panic")
}

/// Serves it to its end and tells the broker of it.
async fn serve<I: Inbox, S: Sessions, V: Vendor>(
    (tunnel, dialing): (Tunnel, Arc<Dialing>),
    settings: Arc<Settings>,
    rooms: Rooms<I, S, V>,
    (drain, replaced): (Watch, watch::Receiver<bool>),
    routed: watch::Sender<bool>,
    set: impl Fn(State) + Send + 'static,
) -> End {
    let served = Served {
        tunnel: &tunnel,
        settings: &settings,
        dialing: &dialing,
        drain: &drain,
        replaced,
        routed: &routed,
    };
    let end = attached::serve(served, &rooms, set).await;
    tunnel.close(end.code());
    // The close frame is a courtesy: a broker that does not take it misses probes instead.
    drop(timeout(FLUSH, tunnel.flushed()).await);
    metrics::ended(end.name());
    debug!(end = end.name(), "Tunnel closed");
    end
}

/// From a tunnel's beginning to the dial of the next: most of its life, so that the peer has renewed its certificate
/// by then, and still early enough for many tries.
fn lead(left: Duration) -> Duration {
    left * 3 / 4 + jitter(left / 12)
}

fn jitter(most: Duration) -> Duration {
    let random = u64::from_ne_bytes(tunnel_certs::crypto::random());
    let share = (u128::from(random) * most.as_nanos()) >> 64;
    Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX))
}

/// A tunnel that would have to be replaced sooner ends by its certificate, and is dialed again later and later.
const LEAST: Duration = Duration::from_secs(3);
/// Long enough for one round trip.
const FLUSH: Duration = Duration::from_secs(1);
