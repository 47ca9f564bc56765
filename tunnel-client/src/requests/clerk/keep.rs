//! Storing and publishing, in the order that each direction demands.

use prost::Message;
use tracing::{error, warn};
use tunnel_protos::{EnvelopeId, RequestId, UnixMillis, v1::SealedOutcome};
use tunnel_runtime::chain;

use super::{Clerk, written};
use crate::{
    audit, metrics,
    requests::{Record, Shared, answer, codec},
    store::{Store, StoreError},
};

/// Why a request was not kept.
#[derive(Debug, thiserror::Error)]
pub(in crate::requests) enum KeepError {
    /// The store did not take it.
    #[error("it cannot be stored")]
    Store(#[source] StoreError),
    /// The audit log did not take it.
    #[error("it cannot be recorded")]
    Audit(#[source] audit::Unwritable),
}

impl<S: Store> Clerk<S> {
    /// Stores a record that opens something (or is new), and only then lets it take effect.
    pub(super) async fn open_up(&mut self, record: Record, now: UnixMillis) -> Result<Record, KeepError> {
        let entry = self.audit.intent(written::moved(&record)).await.map_err(KeepError::Audit)?;
        self.keep(record, Some(entry), now).await
    }

    pub(super) async fn keep(
        &mut self,
        mut record: Record,
        entry: Option<audit::Entry>,
        now: UnixMillis,
    ) -> Result<Record, KeepError> {
        let stored = self.write(&record, now).await;
        if stored.is_err() && self.shared.knows(&record.id) {
            // The disk may hold it all the same; what is in force, and was told, is to be there again.
            self.unsaved.insert(record.id);
        }
        if let Some(entry) = entry {
            self.audit.outcome(entry, outcome(stored.as_ref().err()));
        }
        record.version = stored.map_err(KeepError::Store)?;
        self.shared.publish(&record);
        Ok(record)
    }

    /// Lets a record that closes something take effect, then stores it, and tells it once it is stored; kept for a
    /// retry on failure.
    pub(super) async fn close(&mut self, mut record: Record, now: UnixMillis) -> Result<(), KeepError> {
        self.answer_anew(&mut record, now);
        let id = record.id;
        let event = written::change(self.shared.record(&id).as_ref(), &record);
        self.shared.take_effect(&record);
        // Not even a full audit log keeps open what was closed.
        let entry = self.audit.closing(event).await;
        let stored = self.keep(record, entry, now).await;
        if let Err(error) = &stored {
            error!(error = %chain(error), request.id = %id.short(), "In effect, but not stored; trying again");
            self.unsaved.insert(id);
        }
        stored.map(drop)
    }

    /// Keeps what changed of a record that stays where it stands: true at once, told once it is stored.
    pub(super) async fn note(&mut self, mut record: Record, now: UnixMillis) -> Result<(), KeepError> {
        self.answer_anew(&mut record, now);
        self.shared.take_effect(&record);
        self.keep(record, None, now).await.map(drop)
    }

    fn answer_anew(&self, record: &mut Record, now: UnixMillis) {
        if let Err(error) = answer::renew(record, None, &self.room, now) {
            warn!(error = %chain(&error), request.id = %record.id.short(), "Outcome not made");
        }
    }

    /// A disk that is sick costs one deadline per turn, however much waits for it.
    pub(super) async fn retry(&mut self, now: UnixMillis) {
        for id in self.unsaved.clone() {
            let Some(record) = self.shared.record(&id) else { continue };
            // Its move was recorded at the first try.
            match self.keep(record, None, now).await {
                Ok(_) => drop(self.unsaved.remove(&id)),
                // About this one alone.
                Err(KeepError::Store(StoreError::Exists | StoreError::Conflict)) => {}
                Err(_) => return,
            }
        }
    }

    /// A broker holds this outcome: it need not be sent again, not even after a restart.
    pub(super) async fn acknowledged(&mut self, outcome: &SealedOutcome) {
        let Ok(envelope) = EnvelopeId::try_from(&outcome.envelope_id[..]) else { return };
        let sealed = outcome.encode_to_vec();
        let record = self.shared.book.read().by_envelope(&envelope).cloned();
        let Some(mut record) = record.filter(|record| record.answer.sealed == sealed) else { return };
        record.answer.delivered = record.answer.sequence;
        match self.write(&record, self.shared.clock.now()).await {
            Ok(version) => self.shared.book.write().put(Record { version, ..record }),
            // The outcome may be sent again after a restart, which harms nobody.
            Err(error) => self.failed(&error),
        }
    }

    pub(super) async fn forget(&mut self, now: UnixMillis) {
        let ids = self.shared.book.read().forgettable(now);
        for id in ids {
            let version = self.shared.record(&id).map_or(0, |record| record.version);
            match self.store.remove(&id.to_string(), version, now).await {
                Ok(()) => {
                    self.shared.clock.stored(now);
                    self.shared.forget(&id);
                }
                Err(StoreError::Conflict) => self.shared.forget(&id),
                Err(error) => return self.failed(&error),
            }
        }
    }

    async fn write(&mut self, record: &Record, now: UnixMillis) -> Result<u64, StoreError> {
        let written =
            self.put_object(&record.id.to_string(), &codec::encode(record), record.version, now).await;
        if let Err(error) = &written {
            self.failed(error);
        }
        written
    }

    /// Creates or updates; memory is the truth of a single replica, so a version that ran ahead is caught up with.
    pub(super) async fn put_object(
        &mut self,
        id: &str,
        body: &[u8],
        version: u64,
        now: UnixMillis,
    ) -> Result<u64, StoreError> {
        let written = match version {
            0 => self.store.create(id, body, now).await,
            version => match self.store.update(id, body, version, now).await {
                Err(StoreError::Conflict) => self.catch_up(id, body, now).await,
                written => written,
            },
        };
        if written.is_ok() {
            self.shared.clock.stored(now);
        }
        written
    }

    /// Overwrites what is there, whatever its version.
    pub(super) async fn catch_up(&self, id: &str, body: &[u8], now: UnixMillis) -> Result<u64, StoreError> {
        let ahead = self.store.get(id).await?.ok_or(StoreError::Conflict)?;
        let written = self.store.update(id, body, ahead.version, now).await?;
        self.shared.clock.stored(now);
        Ok(written)
    }

    pub(super) fn failed(&self, error: &StoreError) {
        metrics::store_failed();
        warn!(error = %chain(error), "Store failed");
    }
}

/// What is known to the log of a move whose writing ended so.
fn outcome(error: Option<&StoreError>) -> audit::Outcome {
    match error {
        None => audit::Outcome::Moved,
        // The store looked and wrote nothing.
        Some(StoreError::Exists | StoreError::Conflict) => audit::Outcome::Failed,
        Some(_) => audit::Outcome::Unknown,
    }
}

impl Shared {
    /// Makes a record visible: to the customer, to the gate, and to the tunnels that carry its answer.
    pub(in crate::requests) fn publish(&self, record: &Record) {
        self.take_effect(record);
        self.answer_again(record);
    }

    /// As [`Shared::publish`], but tells the operator nothing yet.
    pub(in crate::requests) fn take_effect(&self, record: &Record) {
        if let Some((grant, life)) = record.grant() {
            let id = grant.id;
            self.grants.put(grant, life);
            for serial in record.access().into_iter().flat_map(|access| &access.serials) {
                self.grants.add_serial(&id, *serial);
            }
        }
        // As a cut of sessions, in memory first; after a start this comes before the run goes on.
        if let Some(why) = record.stopping() {
            self.desk.cancel(&record.id, why);
        }
        self.book.write().put(record.clone());
        self.changed();
    }

    fn knows(&self, id: &RequestId) -> bool {
        self.book.read().get(id).is_some()
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Puts the last answer into the outbox, unless a broker holds it.
    pub(in crate::requests) fn answer_again(&self, record: &Record) {
        let due = record.answer.sequence > record.answer.delivered;
        if let Some(outcome) = SealedOutcome::decode(&record.answer.sealed[..]).ok().filter(|_| due) {
            // Full: brokers have been away for very long; the answer stays in the record and is asked for again.
            let _ = self.outbox.put(outcome);
        }
    }

    fn forget(&self, id: &RequestId) {
        self.grants.remove(&(*id).into());
        self.desk.forget(*id);
        self.book.write().remove(id);
        self.changed();
    }
}
