//! What is written down of one call: audit intent and outcome, bytes, and the counters.
//!
//! Dropped without an end, it records a cancelled call: no call vanishes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use parking_lot::Mutex;
use tonic::Code;
use tunnel_protos::{GrantId, MethodName, TargetName};

use super::{
    methods::Begun,
    metrics::{Class, Metrics},
    status::Refusal,
};
use crate::audit::{Audit, Entry, Intent, Outcome};

/// The record of one call; its clones write the same record.
#[derive(Debug, Clone)]
pub(super) struct Ledger(Arc<Record>);

#[derive(Debug)]
struct Record {
    audit: Audit,
    metrics: Arc<Metrics>,
    grant: GrantId,
    method: Arc<MethodName>,
    class: Class,
    begun: Begun,
    entry: Mutex<Option<Entry>>,
    up: AtomicU64,
    down: AtomicU64,
    ended: AtomicBool,
}

impl Ledger {
    pub(super) fn new(
        audit: Audit,
        metrics: Arc<Metrics>,
        grant: GrantId,
        method: Arc<MethodName>,
        class: Class,
        begun: Begun,
    ) -> Self {
        Self(Arc::new(Record {
            audit,
            metrics,
            grant,
            method,
            class,
            begun,
            entry: Mutex::default(),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        }))
    }

    /// Records what is about to be called, if it mutates: nothing may be forwarded before, or at all if it fails.
    pub(super) async fn intend(&self, target: &TargetName) -> Result<(), Refusal> {
        if self.0.class != Class::Mutate {
            return Ok(());
        }
        let Record { audit, grant, method, .. } = &*self.0;
        let entry = audit.intent(Intent::Call { grant, target, method }).await;
        *self.0.entry.lock() = Some(entry.map_err(|_| Refusal::AuditUnwritable)?);
        Ok(())
    }

    /// Counts bytes to the engine.
    pub(super) fn add_up(&self, count: usize) {
        self.0.up.fetch_add(count as u64, Ordering::Relaxed);
        self.0.metrics.up.increment(count as u64);
    }

    /// Counts bytes from the engine; a refusal once the rule's limit is passed.
    pub(super) fn add_down(&self, count: usize) -> Result<(), Refusal> {
        self.0.down.fetch_add(count as u64, Ordering::Relaxed);
        self.0.metrics.down.increment(count as u64);
        self.0.begun.add_bytes(count)
    }

    /// Writes the end down, once.
    pub(super) fn finish(&self, code: Code) {
        self.0.finish(code);
    }
}

impl Record {
    fn finish(&self, code: Code) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        self.metrics.call(self.class, code);
        if let Some(entry) = self.entry.lock().take() {
            let outcome = Outcome::Called {
                status: code as u32,
                bytes_in: self.up.load(Ordering::Relaxed),
                bytes_out: self.down.load(Ordering::Relaxed),
            };
            self.audit.outcome(entry, outcome);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.finish(Code::Cancelled);
    }
}
