//! Which grants live, behind which doors and serials: written by `requests/`, read by the gate and `tunnels/`.
//!
//! A grant's content never changes once put; only its life does, and a life that is over stays over.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tunnel_certs::statement::request::Operation;
pub use tunnel_certs::verify::Serial;
use tunnel_protos::{Door, GrantId, MethodName, OperatorName, TargetName, UnixMillis};

use super::usage::Usage;
use crate::operations::Facts;

/// Two ends of the same table of grants: one writes, any number read.
pub fn channel() -> (GrantsWriter, GrantsView) {
    let shared = Arc::new(Shared::default());
    (GrantsWriter(shared.clone()), GrantsView(shared))
}

/// What was granted: to whom, which methods at which level, behind which doors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The id, that of its request.
    pub id: GrantId,
    /// The operator who asked.
    pub operator: OperatorName,
    /// Every granted method, patterns expanded, with the level that was approved.
    pub methods: BTreeMap<MethodName, Level>,
    /// One door for each granted target.
    pub doors: BTreeMap<TargetName, Door>,
    /// Whether methods that belong to operations were asked for by their exact names.
    pub raw: bool,
    /// What it is about, if it is the grant of an operation: its target is then no engine.
    pub operation: Option<Arc<Operated>>,
}

/// An operation, as calls about it are checked against today's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operated {
    /// What was asked for.
    pub asked: Operation,
    /// What its plan found.
    pub facts: Facts,
}

/// How a method was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// By a rule.
    Auto,
    /// By a person's yes.
    Manual,
}

/// Where a grant is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Approved; its first certificate has not been issued.
    Waiting,
    /// In use.
    Active {
        /// When it ends by itself.
        until: UnixMillis,
    },
    /// A tombstone that only answers so; kept for 24 h.
    Over(Over),
}

/// How a grant came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Over {
    /// Its work window passed.
    Ended,
    /// The customer cut it.
    Revoked,
    /// The operator gave it back.
    Withdrawn,
    /// Nobody used it in time.
    Expired,
}

/// The writing end; `requests/` holds the only one.
#[derive(Debug)]
pub struct GrantsWriter(Arc<Shared>);

impl GrantsWriter {
    /// Adds a grant with its doors; for an id that is already here only the life is set.
    pub fn put(&self, grant: Grant, life: Life) {
        let id = grant.id;
        if !self.0.tables.write().add(grant, life) {
            self.set_life(&id, life);
        }
        self.0.changed();
    }

    /// Moves a grant on; a grant that is over stays over, and an unknown one is left alone.
    pub fn set_life(&self, id: &GrantId, life: Life) {
        if let Some(entry) = self.0.tables.read().grants.get(id) {
            entry.move_to(life);
        }
    }

    /// Binds a certificate's serial to its grant; call it before the certificate leaves.
    pub fn add_serial(&self, id: &GrantId, serial: Serial) {
        let mut tables = self.0.tables.write();
        if let Some(entry) = tables.grants.get(id).cloned() {
            tables.serials.insert(serial, entry);
        }
    }

    /// Forgets a grant with its doors and serials, when its tombstone time is over; open sessions are cut.
    pub fn remove(&self, id: &GrantId) {
        let removed = self.0.tables.write().remove(id);
        if let Some(entry) = removed {
            entry.move_to(Life::Over(Over::Ended));
            self.0.changed();
        }
    }
}

/// The reading end.
#[derive(Debug, Clone)]
pub struct GrantsView(Arc<Shared>);

impl GrantsView {
    /// The grant that a door leads to, tombstones included.
    pub fn door(&self, door: &Door) -> Option<GrantRef> {
        self.0.tables.read().doors.get(door).cloned().map(GrantRef)
    }

    /// The grant that a certificate was issued under, tombstones included.
    pub fn serial(&self, serial: &Serial) -> Option<GrantRef> {
        self.0.tables.read().serials.get(serial).cloned().map(GrantRef)
    }

    /// The grant of this id, tombstones included.
    pub fn grant(&self, id: &GrantId) -> Option<GrantRef> {
        self.0.tables.read().grants.get(id).cloned().map(GrantRef)
    }

    /// All doors, those of tombstones included: what a replica announces.
    pub fn doors(&self) -> Vec<Door> {
        self.0.tables.read().doors.keys().copied().collect()
    }

    /// Wakes when grants come or go, and with them the set of doors; the value is a mere counter.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    /// Sessions open now, under all grants together.
    pub fn sessions(&self) -> usize {
        self.0.tables.read().grants.values().map(|entry| entry.sessions.load(Ordering::Relaxed)).sum()
    }
}

/// One grant and its life, as they are now; cheap to clone.
#[derive(Debug, Clone)]
pub struct GrantRef(Arc<Entry>);

impl GrantRef {
    /// What was granted.
    pub fn grant(&self) -> &Grant {
        &self.0.grant
    }

    /// The life at this moment.
    pub fn life(&self) -> Life {
        *self.0.life.borrow()
    }

    /// The target behind `door`, if the door is one of this grant's.
    pub fn target(&self, door: &Door) -> Option<&TargetName> {
        self.0.grant.doors.iter().find(|(_, own)| *own == door).map(|(target, _)| target)
    }

    /// Resolves when the grant is over; it does not watch the clock. May be dropped at any time.
    pub async fn over(&self) -> Over {
        let mut life = self.0.life.subscribe();
        loop {
            if let Life::Over(over) = *life.borrow_and_update() {
                return over;
            }
            // The sender lives in the entry that `self` holds, so this cannot fail; an end is the safe answer.
            if life.changed().await.is_err() {
                return Over::Ended;
            }
        }
    }

    /// Wakes whenever the life changes.
    pub fn watch(&self) -> watch::Receiver<Life> {
        self.0.life.subscribe()
    }

    /// Counts a session as open until the guard is dropped.
    pub fn open_session(&self) -> SessionGuard {
        self.0.sessions.fetch_add(1, Ordering::Relaxed);
        SessionGuard(self.0.clone())
    }

    /// What this grant has used of the limits of rule `number`.
    pub(super) fn usage(&self, number: usize) -> Arc<Usage> {
        self.0.usage.lock().entry(number).or_default().clone()
    }

    /// Sessions open now under this grant.
    pub fn sessions(&self) -> usize {
        self.0.sessions.load(Ordering::Relaxed)
    }
}

/// One open session of a grant; dropping it ends the count.
#[derive(Debug)]
pub struct SessionGuard(Arc<Entry>);

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Shared {
    tables: RwLock<Tables>,
    version: watch::Sender<u64>,
}

impl Shared {
    fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }
}

#[derive(Debug, Default)]
struct Tables {
    grants: HashMap<GrantId, Arc<Entry>>,
    doors: HashMap<Door, Arc<Entry>>,
    serials: HashMap<Serial, Arc<Entry>>,
}

impl Tables {
    /// Whether the grant was new.
    fn add(&mut self, grant: Grant, life: Life) -> bool {
        if self.grants.contains_key(&grant.id) {
            return false;
        }
        let life = watch::Sender::new(life);
        let entry = Arc::new(Entry { grant, life, sessions: AtomicUsize::new(0), usage: Mutex::default() });
        for door in entry.grant.doors.values() {
            self.doors.insert(*door, entry.clone());
        }
        self.grants.insert(entry.grant.id, entry);
        true
    }

    fn remove(&mut self, id: &GrantId) -> Option<Arc<Entry>> {
        let removed = self.grants.remove(id)?;
        self.doors.retain(|_, entry| !Arc::ptr_eq(entry, &removed));
        self.serials.retain(|_, entry| !Arc::ptr_eq(entry, &removed));
        Some(removed)
    }
}

#[derive(Debug)]
struct Entry {
    grant: Grant,
    life: watch::Sender<Life>,
    sessions: AtomicUsize,
    usage: Mutex<BTreeMap<usize, Arc<Usage>>>,
}

impl Entry {
    fn move_to(&self, next: Life) {
        self.life.send_if_modified(|life| {
            let moves = !matches!(life, Life::Over(_)) && *life != next;
            if moves {
                *life = next;
            }
            moves
        });
    }
}

#[cfg(test)]
mod tests;
