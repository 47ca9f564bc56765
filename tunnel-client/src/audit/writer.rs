//! The one task that writes the log: takes everything that waits, writes it in one go, syncs once, tells everybody.
//!
//! Invariant: nobody hears yes before the sync that covers the record returned. A write or a sync that fails is taken
//! back to the last durable line, because what is on the disk after a failed sync is not known.

mod emergency;
mod encode;

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info, warn};
use tunnel_protos::UnixMillis;

use super::{
    Entry, Settings, Shared,
    disk::{Disk, Reserve},
    event::Millis,
    head::Head,
    line::Chain,
    metrics,
    own::{About, Open, Own},
    queue::{Door, Item},
    retention,
    segment::Segment,
};

/// Owns the files of one log.
#[derive(Debug)]
pub(super) struct Writer<D> {
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Settings,
    pub(super) segment: Segment<D>,
    pub(super) reserve: Reserve,
    /// Where the next line goes.
    pub(super) chain: Chain,
    /// Where a failure goes back to.
    pub(super) durable: (Chain, u64),
    /// Not written yet.
    pub(super) waiting: Vec<Item>,
    /// Written and not synced yet, by sequence.
    pub(super) written: Vec<(u64, Item)>,
    /// Intents without an outcome.
    pub(super) open: BTreeMap<u64, About>,
    /// Whether the disk refused the last time.
    pub(super) broken: bool,
    pub(super) pace: Pace,
}

/// How the last syncs went, and what is due by the clock.
#[derive(Debug)]
pub(super) struct Pace {
    group: usize,
    sync: Duration,
    oldest: Option<Instant>,
    pruned: Option<Instant>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { group: 0, sync: Duration::ZERO, oldest: None, pruned: None }
    }
}

/// Whoever waits must not wait for a writer that is gone.
struct Alive(Arc<Shared>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.queue.shut();
    }
}

impl<D: Disk> Writer<D> {
    /// Writes, once it may begin, until the queue is closed, and then what is left.
    pub(super) async fn run(mut self) {
        let alive = Alive(self.shared.clone());
        // It never fails: the sender is ours, too.
        let _ = alive.0.begun.subscribe().wait_for(|begun| *begun).await;
        while alive.0.queue.door() != Door::Closed {
            self.turn().await;
            self.prune().await;
            // Time being over is as good a reason to look.
            let _ = timeout(self.due(), self.shared.queue.filled()).await;
            self.gather().await;
        }
        self.pace.oldest = self.pace.oldest.or_else(|| Some(Instant::now()));
        self.turn().await;
    }

    /// Until something is to be done although nothing came.
    fn due(&self) -> Duration {
        match (self.broken, self.pace.oldest) {
            (true, _) => PROBE,
            (false, Some(oldest)) => NOTES_SYNC.saturating_sub(oldest.elapsed()),
            (false, None) => PRUNE,
        }
    }

    /// Lets a group form: for notes alone a while; for calls no longer than a fraction of the sync they would miss.
    async fn gather(&self) {
        let queue = &self.shared.queue;
        let (urgent, _) = queue.len();
        let (count, wait) = match urgent {
            0 => (1, NOTES_GATHER),
            _ => (self.pace.group, (self.pace.sync / 4).min(GATHER)),
        };
        // Timers are no finer than this; a fast disk needs no groups.
        if urgent < count && wait >= FINEST {
            let _ = timeout(wait, queue.urgent(count)).await;
        }
    }

    async fn turn(&mut self) {
        let (items, dropped) = self.shared.queue.take();
        self.waiting.extend(items);
        if let Some(dropped) = dropped {
            self.waiting.push(dropped.record());
        }
        match self.commit().await {
            Ok(()) => self.recovered(),
            Err(error) => self.failed(&error).await,
        }
    }

    async fn commit(&mut self) -> io::Result<()> {
        if self.broken {
            self.repair()?;
        }
        if self.segment.len >= self.settings.segment_bytes && self.written.is_empty() {
            self.rotate()?;
        }
        self.write()?;
        if self.must_sync() { self.sync().await } else { Ok(()) }
    }

    fn must_sync(&self) -> bool {
        let aged = self.pace.oldest.is_some_and(|oldest| oldest.elapsed() >= NOTES_SYNC);
        let closing = self.shared.queue.door() == Door::Closed;
        let asked = || self.written.iter().any(|(_, item)| item.is_urgent());
        aged || closing || self.broken || self.written.len() >= UNSYNCED || asked()
    }

    /// Puts everything that waits into the file.
    fn write(&mut self) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(256 * self.waiting.len());
        for item in std::mem::take(&mut self.waiting) {
            let seq = self.chain.next;
            encode::append(&mut bytes, &mut self.chain, &item, &self.open);
            self.written.push((seq, item));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        self.pace.oldest.get_or_insert_with(Instant::now);
        self.segment.append(&bytes)
    }

    async fn sync(&mut self) -> io::Result<()> {
        let began = Instant::now();
        if !self.settings.sync_delay.is_zero() {
            sleep(self.settings.sync_delay).await;
        }
        self.segment.sync()?;
        self.pace.sync = began.elapsed();
        self.settle();
        Ok(())
    }

    /// Everything written is durable: says so.
    fn settle(&mut self) {
        self.durable = (self.chain, self.segment.len);
        self.pace.oldest = None;
        let head = Head::before(&self.chain);
        if let Err(error) = head.write(&self.settings.folder) {
            warn!(error = %error, "Head of the audit log not written");
        }
        self.shared.durable(head.seq);
        let written = std::mem::take(&mut self.written);
        self.pace.group = written.iter().filter(|(_, item)| item.is_urgent()).count();
        let oldest = written.iter().map(|(_, item)| item.time).min();
        let lag = oldest.map_or(Duration::ZERO, |oldest| now().since(oldest));
        metrics::synced(written.len(), self.pace.group, self.pace.sync, lag);
        for (seq, item) in written {
            self.settled(seq, item);
        }
    }

    fn settled(&mut self, seq: u64, item: Item) {
        if let Some(of) = encode::closes(&item) {
            self.open.remove(&of);
        }
        let about = encode::opens(&item);
        if let Some(about) = &about {
            self.open.insert(seq, about.clone());
        }
        let entry = Entry { seq, log: about.is_some().then(|| self.shared.clone()) };
        let heard = Item::tell(item.asker, Ok(entry));
        if let Some(about) = about.filter(|_| !heard) {
            self.waiting.push(Item::own(now(), Own::Abandoned(Open { of: seq, about })));
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.segment.rotate(&self.settings.folder, self.chain.next)?;
        self.durable = (self.chain, 0);
        let open = self.open.iter().map(|(of, about)| Open { of: *of, about: about.clone() }).collect();
        self.waiting.insert(0, Item::own(now(), Own::Segment { open }));
        Ok(())
    }

    /// Back to the last durable line.
    fn rewind(&mut self) -> io::Result<()> {
        let (chain, len) = self.durable;
        self.segment.cut(len)?;
        self.chain = chain;
        Ok(())
    }

    fn repair(&mut self) -> io::Result<()> {
        self.rewind()?;
        self.reserve.hold()?;
        self.reserve.probe()
    }

    fn recovered(&mut self) {
        if std::mem::take(&mut self.broken) {
            info!("Audit log can be written again");
            self.shared.writable(Ok(()));
        }
    }

    async fn failed(&mut self, error: &io::Error) {
        let mut back: Vec<_> = std::mem::take(&mut self.written).into_iter().map(|(_, item)| item).collect();
        back.append(&mut self.waiting);
        self.waiting = back;
        self.pace.oldest = None;
        if !self.broken {
            error!(error = %error, "Audit log cannot be written: nothing that mutates passes");
            let since = Millis(now());
            self.waiting.push(Item::own(now(), Own::Unwritable { since, error: error.to_string() }));
        }
        self.broken = true;
        self.shared.writable(Err(error.to_string()));
        self.refuse();
        self.write_emergencies().await;
    }

    /// Removes what is older than the retention, once the record of it is durable.
    async fn prune(&mut self) {
        let due = self.pace.pruned.is_none_or(|pruned| pruned.elapsed() >= PRUNE);
        if !due || self.broken {
            return;
        }
        self.pace.pruned = Some(Instant::now());
        let before = now().minus(self.settings.retention);
        match retention::aged(&self.settings.folder, before) {
            Ok(aged) => {
                self.tell_held(&aged);
                if let Some(expired) = aged.expired {
                    self.remove(expired, aged.marked).await;
                }
            }
            Err(error) => warn!(error = %error, "Age of the audit log not looked at"),
        }
    }

    /// Told at each look: the disk fills until somebody exports.
    fn tell_held(&self, aged: &retention::Aged) {
        metrics::held(aged.held);
        self.shared.status.lock().held = aged.held;
        if !aged.mark_error.is_empty() {
            warn!(error = aged.mark_error, "Mark of exported audit records does not count");
        }
        if aged.held > 0 {
            let files = aged.held;
            warn!(
                files,
                "Old audit records stay until they are exported and marked: tunnel-client audit mark"
            );
        }
    }

    async fn remove(&mut self, expired: retention::Expired, exported: u64) {
        let own = Own::Retention { first: expired.first, continues: expired.continues, exported };
        self.waiting.push(Item::own(now(), own));
        let recorded = match self.write() {
            Ok(()) => self.sync().await,
            Err(error) => Err(error),
        };
        match recorded {
            Ok(()) => {
                let files = expired.remove();
                info!(first = expired.first, files, "Old audit records removed");
            }
            Err(error) => self.failed(&error).await,
        }
    }
}

/// The wall's time: what is recorded says when it was, not when it was allowed to be.
pub(super) fn now() -> UnixMillis {
    crate::clock::wall()
}

/// What a kill of the machine may take of records that nobody waits for.
const NOTES_SYNC: Duration = Duration::from_secs(1);
/// What a kill of the process may take of them; a reader of the file sees them by then.
const NOTES_GATHER: Duration = Duration::from_millis(50);
/// A call would rather go with the next group than wait for longer.
const GATHER: Duration = Duration::from_millis(2);
/// Of the runtime's timers.
const FINEST: Duration = Duration::from_millis(1);
/// How soon space that came back is noticed.
const PROBE: Duration = Duration::from_millis(500);
/// Age is counted in days.
const PRUNE: Duration = Duration::from_secs(3600);
/// What is kept in memory to be written again after a failed sync.
const UNSYNCED: usize = 4096;
