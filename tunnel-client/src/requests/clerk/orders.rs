//! Pause and resume, denied operators, the clock: what tightens is in force before it comes here.

use tracing::{error, info, warn};
use tunnel_protos::{OperatorName, PauseId, UnixMillis};
use tunnel_runtime::chain;

use super::{Clerk, people::Used};
use crate::{
    approvers::{ClockError, OperatorError, ResumeError, StoreFault},
    audit::{By, Event, Millis},
    requests::{
        Record, codec,
        orders::Orders,
        pause::{CLIENT, Pause},
        record::SKEW,
        word::{Consent, Word},
    },
    store::{Store, StoreError},
};

impl<S: Store> Clerk<S> {
    /// Records and stores a pause that is in force already; it comes back as it is then.
    pub(super) async fn keep_pause(&mut self, wanted: Pause, word: &Word) -> Pause {
        // A resume that was ordered before may have lifted the one that this one found.
        let pause = self.shared.standing.change(|orders| orders.pause.get_or_insert(wanted).clone());
        info!(pause.id = %pause.id, by = %word.by, "Paused");
        let event = Event::Pause { pause: pause.id.to_string(), by: word.record() };
        let stored = self.keep_tightened(event).await;
        Pause { stored, ..pause }
    }

    /// Nothing opens any more until an approver looks; called before the first command, too.
    pub(super) fn pause_by_client(&mut self, note: &str) {
        let (since, who, id) = (self.shared.clock.now(), CLIENT.to_owned(), PauseId::random());
        error!(note, "Paused by the client itself");
        let by = By { by: who.clone(), note: note.to_owned(), approval: Vec::new() };
        let pause = Pause { id, since, who, note: note.to_owned(), stored: false };
        // An earlier pause stays as it is.
        if self.shared.standing.change(|orders| orders.pause.get_or_insert(pause).id) == id {
            self.audit.note(Event::Pause { pause: id.to_string(), by });
        }
    }

    pub(super) async fn resume(
        &mut self,
        pause: PauseId,
        asked: u64,
        consent: &Consent,
    ) -> Result<(), ResumeError> {
        self.unused(consent.by.signed()).map_err(|Used| ResumeError::Replayed)?;
        self.shared.standing.read(|orders| resumable(orders, pause, asked))?;
        let event = Event::Resume { pause: pause.to_string(), by: Word::from(consent.clone()).record() };
        let lift = move |orders: &mut Orders| {
            if resumable(orders, pause, asked).is_ok() {
                orders.pause = None;
            }
        };
        self.loosen(event, consent, lift).await.map_err(ResumeError::NotStored)?;
        if self.shared.standing.read(|orders| orders.pause.is_some()) {
            return Err(ResumeError::Again);
        }
        info!(pause.id = %pause, by = %consent.by, "Resumed");
        Ok(())
    }

    /// Records and stores that an operator is denied, and ends all that it has; it was put on the list before.
    pub(super) async fn deny_operator(
        &mut self,
        operator: &OperatorName,
        word: &Word,
    ) -> Result<(), OperatorError> {
        let event = Event::DenyOperator { operator: operator.clone(), by: word.record() };
        let kept = self.keep_tightened(event).await;
        self.cut_denied(self.shared.clock.now()).await;
        if kept && self.unsaved.is_empty() { Ok(()) } else { Err(OperatorError::NotStored(Box::new(Unkept))) }
    }

    pub(super) async fn allow_operator(
        &mut self,
        operator: &OperatorName,
        consent: &Consent,
    ) -> Result<(), OperatorError> {
        self.unused(consent.by.signed()).map_err(|Used| OperatorError::Replayed)?;
        let denied = self.shared.standing.read(|orders| orders.denied.get(operator).cloned());
        let denied = denied.ok_or(OperatorError::NotDenied)?;
        let by = Word::from(consent.clone()).record();
        let (event, operator) = (Event::AllowOperator { operator: operator.clone(), by }, operator.clone());
        let lift = move |orders: &mut Orders| {
            // Denied once more in between: that is another order.
            if orders.denied.get(&operator) == Some(&denied) {
                orders.denied.remove(&operator);
            }
        };
        self.loosen(event, consent, lift).await.map_err(OperatorError::NotStored)
    }

    /// Sets the highest time seen back. What was open lived by the wrong clock and is void; what was issued before
    /// could have been seen and forgotten, and is refused.
    pub(super) async fn reset_clock(
        &mut self,
        to: UnixMillis,
        consent: &Consent,
    ) -> Result<UnixMillis, ClockError> {
        self.unused(consent.by.signed()).map_err(|Used| ClockError::Replayed)?;
        let from = self.shared.clock.check_reset(to).ok_or(ClockError::Bounds)?;
        let by = Word::from(consent.clone()).record();
        let event = Event::ClockReset { from: Millis(from), to: Millis(to), by };
        self.loosen(event, consent, |_| ()).await.map_err(ClockError::NotStored)?;
        self.void_all("Void: the client's clock was reset; ask again").await;
        if !self.unsaved.is_empty() {
            return Err(ClockError::NotStored(Box::new(Unkept)));
        }
        let refuse_before = self.shared.clock.after_reset(to).plus(SKEW);
        let reset = self.store.reset_time(to, refuse_before).await;
        reset.map_err(|error| ClockError::NotStored(Box::new(error)))?;
        self.shared.clock.reset(to);
        self.refuse_before = self.refuse_before.max(refuse_before);
        warn!(from = from.0, to = to.0, by = %consent.by, "Clock reset");
        Ok(from)
    }

    async fn void_all(&mut self, why: &str) {
        let now = self.shared.clock.now();
        let open: Vec<_> = {
            let book = self.shared.book.read();
            let open = |record: &&Record| record.state.is_open() && !record.is_cut();
            book.all().filter(open).cloned().collect()
        };
        for mut record in open {
            if record.void(why, now).is_ok() {
                // In effect at once; a failure to store is retried by itself.
                let _ = self.close(record, now).await;
            }
        }
    }

    /// What tightens is stored whatever the audit log says: its writer keeps what it could not write.
    async fn keep_tightened(&mut self, event: Event) -> bool {
        if let Err(error) = self.audit.record(event).await {
            warn!(error = %chain(&error), "In force, but not recorded yet");
        }
        self.keep_orders().await
    }

    /// What loosens is recorded and stored before it is in force.
    async fn loosen(
        &mut self,
        event: Event,
        consent: &Consent,
        change: impl Fn(&mut Orders),
    ) -> Result<(), StoreFault> {
        self.audit.record(event).await?;
        let now = self.shared.clock.now();
        let change = |orders: &mut Orders| {
            change(orders);
            orders.spend(consent.by.signed(), now);
        };
        let mut orders = self.shared.standing.read(Clone::clone);
        change(&mut orders);
        if let Err(error) = self.write_orders(&orders).await {
            self.shared.standing.doubt();
            return Err(error.into());
        }
        // The disk holds it; memory may have been tightened meanwhile, which the next turn stores.
        self.shared.standing.change(change);
        self.keep_orders().await;
        Ok(())
    }

    /// Stores what changed; tried again at each turn until the disk takes it. True if nothing is left to store.
    pub(super) async fn keep_orders(&mut self) -> bool {
        let Some((change, orders)) = self.shared.standing.unstored() else { return true };
        match self.write_orders(&orders).await {
            Ok(()) => {
                self.shared.standing.stored(change);
                true
            }
            Err(error) => {
                self.failed(&error);
                false
            }
        }
    }

    async fn write_orders(&mut self, orders: &Orders) -> Result<(), StoreError> {
        let (body, now) = (codec::orders::encode(orders), self.shared.clock.now());
        let written = match self.put_object(ORDERS, &body, self.orders_version, now).await {
            // The answer to the first write was lost; nobody else writes it.
            Err(StoreError::Exists) => self.catch_up(ORDERS, &body, now).await,
            written => written,
        };
        self.orders_version = written?;
        Ok(())
    }

    /// A start on what was stored.
    pub(super) fn load_orders(&mut self, orders: Orders, version: u64) {
        self.orders_version = version;
        self.shared.standing.load(orders);
    }
}

/// Whether this pause, asked for so often, is the one in force.
fn resumable(orders: &Orders, pause: PauseId, asked: u64) -> Result<(), ResumeError> {
    match &orders.pause {
        None => Err(ResumeError::NotPaused),
        Some(now) if now.id != pause => Err(ResumeError::Other(now.id)),
        Some(_) if orders.asked != asked => Err(ResumeError::Again),
        Some(_) => Ok(()),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("it is in force, and stored as soon as the disk takes it")]
struct Unkept;

/// Its name in the store, which no request can have.
pub(super) const ORDERS: &str = "orders";
