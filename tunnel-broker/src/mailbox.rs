//! Sealed requests until their cluster takes them, and sealed outcomes until their operator fetches them.
//! At least once both ways; knows a request only by envelope id, label and submitter.

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};
use tracing::debug;
use tunnel_protos::{EnvelopeId, Label, OperatorName, UnixMillis, operators::Delivery, v1::ReceivedStatus};

use self::{
    allowance::Allowances,
    bell::Bell,
    deliveries::Deliveries,
    sealed::{Outcome, Request},
    watch::{Watch, WatchError},
};
use crate::{
    metrics,
    store::{
        Store, StoreError,
        outcomes::Kept,
        requests::{Inserted, NewRequest, Quota},
    },
};

mod allowance;
mod bell;
pub(crate) mod deliveries;
pub(crate) mod sealed;
pub(crate) mod watch;

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubmitError {
    /// Another operator submitted the same sealed bytes.
    #[error("this sealed request was submitted by another operator")]
    Foreign,
    /// As many as may be are held; nothing is evicted for it.
    #[error("the mailbox holds as many requests as it may")]
    Full,
    /// Not stored.
    #[error("cannot hold the request")]
    Store(#[source] StoreError),
}

/// The mailbox; shared by its users.
#[derive(Debug)]
pub(crate) struct Mailbox {
    store: Store,
    quota: Quota,
    /// Labels that may have requests waiting: spares the database a question per attach.
    waiting: Mutex<HashSet<Label>>,
    allowances: Mutex<Allowances>,
    arrivals: Bell<Label>,
    news: Bell<EnvelopeId>,
}

impl Mailbox {
    /// Opens the mailbox over `store`; `per_second` bounds what one cluster may have written.
    pub(crate) async fn open(
        store: Store,
        quota: Quota,
        per_second: u32,
        now: UnixMillis,
    ) -> Result<Self, StoreError> {
        let waiting = store.waiting_labels(now).await?.into_iter().collect();
        let allowances = Mutex::new(Allowances::new(per_second));
        let (arrivals, news) = (Bell::default(), Bell::default());
        Ok(Self { store, quota, waiting: Mutex::new(waiting), allowances, arrivals, news })
    }

    /// Holds a request durably, then wakes the cluster's tunnel; the same request again changes nothing.
    pub(crate) async fn submit(
        &self,
        submitter: &OperatorName,
        request: &Request,
        now: UnixMillis,
    ) -> Result<Delivery, SubmitError> {
        let new = NewRequest {
            id: request.id,
            label: request.label,
            submitter,
            sealed: &request.sealed,
            submitted: now,
            lapses: now.plus(LAPSES_AFTER),
        };
        match self.store.insert_request(new, self.quota).await.map_err(SubmitError::Store)? {
            Inserted::Foreign => return Err(SubmitError::Foreign),
            Inserted::Full => return Err(SubmitError::Full),
            Inserted::Held(Delivery::Waiting) => self.wake(request.label),
            Inserted::Held(delivery) => return Ok(delivery),
        }
        let (label, envelope) = (request.label, request.id.short());
        debug!(%label, envelope, ciphertext = request.sealed.ciphertext.len(), operator = %submitter, "Request held");
        Ok(Delivery::Waiting)
    }

    /// What is to be delivered to `label`, from now on, by the tunnel that asks.
    pub(crate) fn deliveries(self: &Arc<Self>, label: Label) -> Deliveries {
        Deliveries::new(Arc::clone(self), label)
    }

    /// Waits until `label` may have something written, and counts it. Safe to cancel.
    pub(crate) async fn allowed(&self, label: Label) {
        loop {
            let taken = self.allowances.lock().take(label, Instant::now());
            let Err(wait) = taken else { return };
            metrics::refused(metrics::Queue::Writes);
            sleep(wait).await;
        }
    }

    /// Notes what `label` said of a delivery; what it was never sent changes nothing.
    pub(crate) async fn received(
        &self,
        label: Label,
        id: EnvelopeId,
        status: ReceivedStatus,
    ) -> Result<(), StoreError> {
        let Some(delivery) = delivery_of(status) else { return Ok(()) };
        if self.store.set_delivery(id, label, delivery).await? {
            debug!(%label, envelope = id.short(), status = status.as_str_name(), "Request delivered");
            self.news.ring(&id);
        }
        Ok(())
    }

    /// Keeps an outcome that `label` sent.
    pub(crate) async fn outcome(&self, label: Label, outcome: &Outcome) -> Result<Kept, StoreError> {
        let kept = self.store.insert_outcome(outcome.id, label, outcome.sha256, &outcome.sealed).await?;
        if kept == Kept::New {
            let (envelope, ciphertext) = (outcome.id.short(), outcome.sealed.ciphertext.len());
            debug!(%label, envelope, ciphertext, "Outcome held");
            self.news.ring(&outcome.id);
        }
        Ok(kept)
    }

    /// Watches a request; only the operator that submitted it may.
    pub(crate) async fn watch(
        self: &Arc<Self>,
        operator: &OperatorName,
        id: EnvelopeId,
    ) -> Result<Watch, WatchError> {
        Watch::open(Arc::clone(self), operator, id).await
    }

    /// Gives up and forgets what is past its time.
    pub(crate) async fn tidy(&self, now: UnixMillis) -> Result<(), StoreError> {
        for id in self.store.lapse(now).await? {
            self.news.ring(&id);
        }
        let forgotten = self.store.forget(now.minus(HELD_FOR)).await?;
        debug!(forgotten, "Mailbox tidied");
        Ok(())
    }

    /// Closes the database.
    pub(crate) async fn close(&self) {
        self.store.close().await;
    }

    fn wake(&self, label: Label) {
        self.waiting.lock().insert(label);
        self.arrivals.ring_newest(&label);
    }
}

/// `None` for a status of a newer replica: the request stays as it is and is delivered again after a reconnect.
fn delivery_of(status: ReceivedStatus) -> Option<Delivery> {
    match status {
        ReceivedStatus::Taken | ReceivedStatus::Known => Some(Delivery::Taken),
        ReceivedStatus::UnknownKey => Some(Delivery::UnknownKey),
        ReceivedStatus::Unproven => Some(Delivery::Unproven),
        ReceivedStatus::Full => Some(Delivery::Full),
        ReceivedStatus::Unspecified => None,
    }
}

/// A request is valid for at most 24 h after it was signed.
const LAPSES_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Grants outlive their request's delivery; their outcomes can be fetched for a week.
const HELD_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

#[cfg(test)]
mod tests;
