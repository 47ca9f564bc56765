//! What is written down of one call: audit intent and outcome, bytes, and the counters.
//!
//! Dropped without an end, it records a cancelled call: no call vanishes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::HeaderMap;
use parking_lot::Mutex;
use tonic::Code;
use tunnel_protos::MethodName;

use super::{
    methods::Begun,
    metrics::{Class, Metrics},
    sessions::Counted,
    status::Refusal,
};
use crate::audit::{Audit, Call, Called, Entry, Event, Millis, Outcome};

/// The record of one call; its clones write the same record.
#[derive(Debug, Clone)]
pub(super) struct Ledger(Arc<Record>);

#[derive(Debug)]
struct Record {
    audit: Audit,
    metrics: Arc<Metrics>,
    call: Call,
    started: Millis,
    class: Class,
    begun: Begun,
    counted: Counted,
    entry: Mutex<Option<Entry>>,
    ended: AtomicBool,
}

impl Ledger {
    pub(super) fn new(
        audit: Audit,
        metrics: Arc<Metrics>,
        call: Call,
        started: Millis,
        class: Class,
        begun: Begun,
        counted: Counted,
    ) -> Self {
        Self(Arc::new(Record {
            audit,
            metrics,
            call,
            started,
            class,
            begun,
            counted,
            entry: Mutex::default(),
            ended: AtomicBool::new(false),
        }))
    }

    /// What is called.
    pub(super) fn method(&self) -> &Arc<MethodName> {
        &self.0.call.method
    }

    /// Records what is about to be called, if it mutates: nothing may be forwarded before, or at all if it fails.
    pub(super) async fn intend(&self) -> Result<(), Refusal> {
        if self.0.class != Class::Mutate {
            return Ok(());
        }
        let entry = self.0.audit.intent(Event::Call(self.0.call.clone())).await;
        *self.0.entry.lock() = Some(entry.map_err(|_| Refusal::AuditUnwritable)?);
        Ok(())
    }

    /// Counts bytes to the engine.
    pub(super) fn add_up(&self, count: usize) {
        self.0.counted.add_in(count as u64);
        self.0.metrics.up.increment(count as u64);
    }

    /// Counts headers or trailers from the engine, which must not be a way around the rule's limit.
    pub(super) fn add_head(&self, head: &HeaderMap) -> Result<(), Refusal> {
        let size = head.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        self.0.begun.add_bytes(size)
    }

    /// Counts bytes from the engine; a refusal once the rule's limit is passed.
    pub(super) fn add_down(&self, count: usize) -> Result<(), Refusal> {
        self.0.counted.add_out(count as u64);
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
        let called = self.called(code);
        match (self.class, self.entry.lock().take()) {
            (_, Some(entry)) => self.audit.outcome(entry, Outcome::Called(called)),
            (Class::Read, None) => self.audit.note(Event::Read { call: self.call.clone(), called }),
            // Its intent could not be recorded, so nothing was called.
            (Class::Mutate | Class::Refused, None) => {}
        }
    }

    fn called(&self, code: Code) -> Called {
        let (bytes_in, bytes_out) = self.counted.so_far();
        Called { started: self.started, status: code as u32, bytes_in, bytes_out }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.finish(Code::Cancelled);
    }
}
