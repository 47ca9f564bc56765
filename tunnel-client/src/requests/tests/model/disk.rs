//! A disk in memory that fails or dies at a chosen step, and that looks at what each write does to what was there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tunnel_protos::{Digest, UnixMillis};

use crate::{
    requests::{
        codec,
        orders::Orders,
        record::Record,
        state::{Event, State},
    },
    store::{History, Object, Start, Store, StoreError},
};

/// What outlives a crash; cheap to clone.
#[derive(Clone, Default)]
pub(in super::super) struct Disk {
    inner: Arc<Mutex<Inner>>,
    died: Arc<Notify>,
    gate: Arc<Gate>,
}

/// Where steps wait while they are held.
#[derive(Default)]
struct Gate {
    closed: watch::Sender<bool>,
    waiting: watch::Sender<bool>,
}

/// What happens at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Fault {
    /// It is refused.
    Fail,
    /// It is done, but the answer is lost.
    FailDone,
    /// The process dies before it.
    Die,
    /// The process dies after it.
    DieDone,
}

#[derive(Default)]
struct Inner {
    objects: BTreeMap<String, Object>,
    start: (u64, UnixMillis, UnixMillis),
    fault: Option<(usize, Fault)>,
    full: bool,
    tripped: bool,
    dead: bool,
    /// Written although the writer was told that it was not.
    unsure: BTreeSet<String>,
}

impl Disk {
    /// From now on, the step after `steps` more goes wrong.
    pub(in super::super) fn break_after(&self, steps: usize, fault: Fault) {
        self.inner.lock().fault = Some((steps, fault));
    }

    pub(super) fn fill(&self, full: bool) {
        self.inner.lock().full = full;
    }

    /// Steps that come from now on wait, or those that wait go on.
    pub(in super::super) fn hold(&self, hold: bool) {
        self.gate.waiting.send_replace(false);
        self.gate.closed.send_replace(hold);
    }

    /// Resolves when a step waits.
    pub(in super::super) async fn held(&self) {
        self.gate.waiting.subscribe().wait_for(|waiting| *waiting).await.unwrap();
    }

    pub(super) fn is_full(&self) -> bool {
        self.inner.lock().full
    }

    /// Whether anything went wrong since it was asked last.
    pub(super) fn tripped(&self) -> bool {
        std::mem::take(&mut self.inner.lock().tripped)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.inner.lock().dead
    }

    /// Resolves when the process died.
    pub(in super::super) async fn died(&self) {
        while !self.is_dead() {
            self.died.notified().await;
        }
    }

    /// For the next process.
    pub(super) fn revive(&self) {
        let mut inner = self.inner.lock();
        (inner.dead, inner.fault, inner.full, inner.tripped) = (false, None, false, false);
    }

    pub(in super::super) fn record(&self, id: &str) -> Option<Record> {
        let inner = self.inner.lock();
        inner.objects.get(id).map(|object| codec::decode(object).unwrap())
    }

    pub(super) fn records(&self) -> Vec<Record> {
        let inner = self.inner.lock();
        let records = inner.objects.iter().filter(|(id, _)| *id != ORDERS);
        records.map(|(_, object)| codec::decode(object).unwrap()).collect()
    }

    pub(in super::super) fn orders(&self) -> Orders {
        let inner = self.inner.lock();
        let orders = inner.objects.get(ORDERS).map(|object| codec::orders::decode(&object.body).unwrap());
        orders.unwrap_or_default()
    }

    /// The signed approvals that were used.
    pub(super) fn used(&self) -> BTreeSet<Digest> {
        let records = self.records();
        let proofs =
            records.iter().flat_map(|record| &record.verdicts).filter_map(|said| said.proof.as_ref());
        proofs.map(|proof| proof.digest).chain(self.orders().used.into_keys()).collect()
    }

    async fn step<T>(
        &self,
        id: &str,
        now: UnixMillis,
        write: impl FnOnce(&mut Inner) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // Whoever else is here may come between.
        tokio::task::yield_now().await;
        if *self.gate.closed.borrow() {
            self.gate.waiting.send_replace(true);
            self.gate.closed.subscribe().wait_for(|closed| !closed).await.unwrap();
        }
        let done = self.inner.lock().step(id, now, write);
        if let Some(done) = done {
            return done;
        }
        self.died.notify_waiters();
        std::future::pending().await
    }
}

impl Inner {
    /// None if the process died.
    fn step<T>(
        &mut self,
        id: &str,
        now: UnixMillis,
        write: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Option<Result<T, StoreError>> {
        let fault = self.fault();
        self.tripped |= fault.is_some();
        self.dead |= matches!(fault, Some(Fault::Die | Fault::DieDone));
        if matches!(fault, Some(Fault::Fail | Fault::Die)) {
            return (!self.dead).then_some(Err(StoreError::Timeout { action: "write" }));
        }
        let written = write(self);
        if written.is_ok() {
            self.unsure.remove(id);
        }
        self.start.1 = self.start.1.max(now);
        match fault {
            Some(Fault::FailDone) => {
                self.unsure.insert(id.to_owned());
                Some(Err(StoreError::Timeout { action: "write" }))
            }
            Some(_) => None,
            None => Some(written),
        }
    }

    fn fault(&mut self) -> Option<Fault> {
        match self.fault.take() {
            Some((0, fault)) => return Some(fault),
            left => self.fault = left.map(|(steps, fault)| (steps - 1, fault)),
        }
        self.full.then_some(Fault::Fail)
    }

    fn write(&mut self, id: &str, body: &[u8], version: u64) -> Result<u64, StoreError> {
        let next = Object { id: id.to_owned(), version, body: body.to_vec() };
        let before = self.objects.get(id).filter(|_| id != ORDERS && !self.unsure.contains(id));
        if let Some(before) = before {
            follows(&codec::decode(before).unwrap(), &codec::decode(&next).unwrap());
        }
        self.objects.insert(id.to_owned(), next);
        Ok(version)
    }
}

/// What no write may ever do to a stored request.
fn follows(before: &Record, after: &Record) {
    let after_all = |state: State| Event::ALL.iter().filter_map(move |event| state.after(*event));
    // What is planned again is decided again in the same breath.
    let again = before.state.after(Event::Replan).into_iter().flat_map(after_all);
    let reached = after_all(before.state).chain(again).any(|state| state == after.state);
    assert!(before.state == after.state || reached, "{:?} became {:?}", before.state, after.state);
    assert!(before.state != State::Denied || after.state == State::Denied);
    assert!(before.answer.sequence <= after.answer.sequence, "the outcomes' sequence fell");
    assert!(after.approvals_had() <= 1, "approved twice");
    let (Some(before), Some(after)) = (before.access(), after.access()) else { return };
    assert!(before.doors.is_empty() || before.doors == after.doors, "granted twice");
    assert!(after.serials.starts_with(&before.serials), "a serial was forgotten");
}

impl Store for Disk {
    async fn start(&self, _: UnixMillis) -> Result<Start, StoreError> {
        let mut inner = self.inner.lock();
        inner.start.0 += 1;
        let (epoch, time_seen, refuse_before) = inner.start;
        Ok(Start { epoch, time_seen, history: History::Whole, refuse_before, audited: 0 })
    }

    async fn create(&self, id: &str, body: &[u8], now: UnixMillis) -> Result<u64, StoreError> {
        let create = |inner: &mut Inner| match inner.objects.contains_key(id) {
            true => Err(StoreError::Exists),
            false => inner.write(id, body, 1),
        };
        self.step(id, now, create).await
    }

    async fn update(&self, id: &str, body: &[u8], expected: u64, now: UnixMillis) -> Result<u64, StoreError> {
        let update = |inner: &mut Inner| match inner.objects.get(id).map(|object| object.version) {
            Some(version) if version == expected => inner.write(id, body, version + 1),
            _ => Err(StoreError::Conflict),
        };
        self.step(id, now, update).await
    }

    async fn remove(&self, id: &str, _: u64, now: UnixMillis) -> Result<(), StoreError> {
        let remove = |inner: &mut Inner| {
            inner.objects.remove(id);
            Ok(())
        };
        self.step(id, now, remove).await
    }

    async fn reset_time(&self, to: UnixMillis, refuse_before: UnixMillis) -> Result<(), StoreError> {
        let mut inner = self.inner.lock();
        (inner.start.1, inner.start.2) = (to, refuse_before);
        Ok(())
    }

    async fn get(&self, id: &str) -> Result<Option<Object>, StoreError> {
        Ok(self.inner.lock().objects.get(id).cloned())
    }

    async fn list(&self) -> Result<Vec<Object>, StoreError> {
        Ok(self.inner.lock().objects.values().cloned().collect())
    }

    async fn distrust(&self, now: UnixMillis) -> Result<UnixMillis, StoreError> {
        let mut inner = self.inner.lock();
        inner.start.2 = inner.start.2.max(now);
        Ok(inner.start.2)
    }

    async fn settle(&self, _: UnixMillis) -> Result<(), StoreError> {
        Ok(())
    }

    async fn close(&self) {}
}

const ORDERS: &str = "orders";
