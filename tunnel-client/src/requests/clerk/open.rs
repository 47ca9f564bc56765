//! Starting on a store: everything that was stored is in force again before the first command is taken.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::{mpsc, watch};
use tracing::warn;
use tunnel_protos::{RequestId, UnixMillis, v1::ReceivedStatus};
use tunnel_runtime::chain;

use super::{Clerk, orders::ORDERS, written};
use crate::{
    audit::{self, Audit},
    clock::{Clock, Wall},
    gate::grants::{GrantsView, GrantsWriter},
    operations::{self, Desk},
    policy::Policy,
    requests::{Record, Requests, Room, Shared, codec, orders::Standing, outbox::Outbox, unproven::Unproven},
    store::{History, Store, StoreError},
};

/// What a clerk works with.
#[derive(Debug)]
pub struct Settings<S, W> {
    /// The cluster and its keys.
    pub room: Room,
    /// Where requests are kept.
    pub store: S,
    /// The wall's clock.
    pub wall: W,
    /// The policy in force.
    pub policy: watch::Receiver<Arc<Policy>>,
    /// Where the gate learns of grants.
    pub grants: GrantsWriter,
    /// The other end of it, for counting sessions.
    pub view: GrantsView,
    /// The audit log.
    pub audit: Audit,
    /// Where operations are planned and run.
    pub desk: Desk,
    /// What is told there.
    pub words: mpsc::Receiver<operations::Word>,
}

/// Why the stored requests cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store failed.
    #[error("the requests' store")]
    Store(#[source] StoreError),
    /// An object of the store cannot be read; going on without it could let a replay through.
    #[error("stored request {id}")]
    Decode {
        /// Its name.
        id: String,
        /// What is wrong with it.
        source: codec::DecodeError,
    },
}

impl Requests {
    /// Opens the store and puts everything in force again; run the clerk in a task of its own.
    pub async fn open<S: Store, W: Wall>(settings: Settings<S, W>) -> Result<(Self, Clerk<S>), OpenError> {
        let start = settings.store.start(settings.wall.now()).await.map_err(OpenError::Store)?;
        let shared = Arc::new(Shared {
            book: parking_lot::RwLock::default(),
            outbox: Outbox::default(),
            grants: settings.grants,
            view: settings.view,
            clock: Clock::new(settings.wall, start.time_seen),
            standing: Standing::default(),
            policy: settings.policy.clone(),
            changes: watch::Sender::default(),
            desk: settings.desk,
        });
        let ((sender, commands), (orderer, orders)) = (mpsc::channel(QUEUE), mpsc::channel(QUEUE));
        let mut clerk = Clerk {
            room: Arc::new(settings.room),
            shared: shared.clone(),
            store: settings.store,
            policy: settings.policy,
            audit: settings.audit,
            commands,
            orders,
            words: settings.words,
            handed: BTreeMap::new(),
            stale: BTreeMap::new(),
            refuse_before: start.refuse_before,
            restored: start.history == History::Restored,
            unproven: Unproven::default(),
            unsaved: BTreeSet::new(),
            orders_version: 0,
        };
        clerk.load(log_fault(&clerk.audit.start(), start.audited)).await?;
        let history = if clerk.restored { History::Restored } else { History::Whole };
        let (epoch, room) = (start.epoch, clerk.room.clone());
        Ok((Self { shared, commands: sender, orders: orderer, epoch, history, room }, clerk))
    }
}

impl<S: Store> Clerk<S> {
    async fn load(&mut self, log_fault: Option<String>) -> Result<(), OpenError> {
        let now = self.shared.clock.now();
        if log_fault.is_some() {
            self.refuse_before = self.store.distrust(now).await.map_err(OpenError::Store)?;
            self.restored = true;
        }
        // Only now: what the log's writer adds may hide what was done to it.
        self.audit.begin();
        let objects = self.store.list().await.map_err(OpenError::Store)?;
        // Runs have objects of their own beside the requests.
        for object in objects.into_iter().filter(|object| !operations::is_record(&object.id)) {
            if object.id == ORDERS {
                let orders = codec::orders::decode(&object.body);
                let orders = orders.map_err(|source| OpenError::Decode { id: object.id, source })?;
                self.load_orders(orders, object.version);
                continue;
            }
            let decoded = codec::decode(&object);
            let record = decoded.map_err(|source| OpenError::Decode { id: object.id, source })?;
            if self.restored { self.load_void(record, now).await } else { self.shared.publish(&record) }
        }
        if self.restored {
            let store =
                || "the store, or the audit log beside it, was put back to an earlier state".to_owned();
            let why = log_fault.map_or_else(store, |fault| format!("the audit log is damaged: {fault}"));
            self.pause_by_client(&format!("{why}: all grants are void"));
        }
        self.cut_denied(now).await;
        Ok(())
    }

    /// A restore is over once all that follows from it is stored; a kill before makes the next start do it again.
    pub(super) async fn settle(&mut self, now: UnixMillis) {
        let unstored = !self.unsaved.is_empty() || self.shared.standing.unstored().is_some();
        if !self.restored || unstored {
            return;
        }
        match self.store.settle(now).await {
            Ok(()) => self.restored = false,
            Err(error) => self.failed(&error),
        }
    }

    async fn load_void(&mut self, mut record: Record, now: UnixMillis) {
        const WHY: &str = "Void: the client's store was put back to an earlier state";
        // The log is told what changes of it; it opens nothing.
        self.shared.book.write().put(record.clone());
        // What became of a run after the moment of that state, nobody knows.
        let lost = record.lose(WHY, now);
        match lost.or_else(|_| record.void(WHY, now)) {
            // Kept for a retry if it cannot be stored.
            Ok(()) => drop(self.close(record, now).await),
            // It was over already.
            Err(_) => self.shared.publish(&record),
        }
    }

    /// A request that is stored although nobody remembers it: its writing had been given up too early.
    pub(super) async fn adopt(&mut self, id: &RequestId) -> ReceivedStatus {
        let stored = self.store.get(&id.to_string()).await;
        match stored.map(|object| object.as_ref().map(codec::decode)) {
            Ok(Some(Ok(record))) => self.take_up(&record).await,
            Ok(_) => ReceivedStatus::Full,
            Err(error) => {
                warn!(error = %chain(&error), "Stored request not read");
                ReceivedStatus::Full
            }
        }
    }

    /// What ran out or was denied meanwhile is closed before anybody hears of it.
    async fn take_up(&mut self, record: &Record) -> ReceivedStatus {
        let Ok(entry) = self.audit.intent(written::moved(record)).await else { return ReceivedStatus::Full };
        self.shared.take_effect(record);
        self.audit.outcome(entry, audit::Outcome::Moved);
        self.pass_time().await;
        let same = |now: &Record| now.answer.sequence == record.answer.sequence;
        if let Some(record) = self.shared.record(&record.id).filter(same) {
            self.shared.answer_again(&record);
        }
        ReceivedStatus::Known
    }
}

/// Why the log is not the one that this store was written beside; none if it is.
fn log_fault(found: &audit::Start, audited: u64) -> Option<String> {
    let last = found.last_record;
    let behind = || format!("it ends at record {last}, but record {audited} was written");
    found.damage.clone().or_else(|| (last < audited).then(behind))
}

/// Deliveries of a few tunnels, or a few commands of people; beyond that, senders wait and brokers repeat.
const QUEUE: usize = 64;
