//! Answers of people to pending requests: a yes is proven once more against everything at the moment it is given.

use tunnel_protos::{Digest, RequestId, UnixMillis, v1};

use super::Clerk;
use crate::{
    approvers::{AnswerError, RevokeError, Signed},
    audit::Event,
    metrics,
    requests::{
        Record, answer,
        judge::{self, Approval, Shown},
        state::State,
        word::{Consent, Word},
    },
    store::Store,
};

impl<S: Store> Clerk<S> {
    pub(super) async fn approve(
        &mut self,
        id: &RequestId,
        shown: &Shown,
        consent: Consent,
    ) -> Result<(), AnswerError> {
        let now = self.shared.clock.now();
        let mut record = self.approvable(id, shown, consent.by.signed(), now)?;
        let word = Word::from(consent);
        self.record_answer(&record, true, &word).await?;
        let (verdict, clocks) = (word.verdict(v1::Answer::Yes, now), *self.policy.borrow().clocks());
        let doors = record.new_doors();
        record.approve_by(verdict, doors, &clocks).map_err(|_| not_pending(&record))?;
        answer::renew(&mut record, None, &self.room, now).map_err(not_stored)?;
        let wait = now.since(record.received);
        self.open_up(record, now).await.map_err(not_stored)?;
        metrics::decided(true, wait);
        Ok(())
    }

    fn approvable(
        &self,
        id: &RequestId,
        shown: &Shown,
        signed: Option<&Signed>,
        now: UnixMillis,
    ) -> Result<Record, AnswerError> {
        self.unused(signed).map_err(|Used| AnswerError::Replayed)?;
        let book = self.shared.book.read();
        let record = book.get(id).ok_or(AnswerError::Unknown)?;
        let (policy, refusing) = (self.policy.borrow().clone(), self.room.refusing(now));
        let targets = self.room.targets.borrow().clone();
        let facts = Approval { book: &book, policy: &policy, targets: &targets, refusing, now };
        self.shared.standing.read(|orders| judge::approval(&facts, orders, record, shown))?;
        Ok(record.clone())
    }

    /// In effect at once, and for ever.
    pub(super) async fn refuse(
        &mut self,
        id: &RequestId,
        shown: Option<&Digest>,
        word: Word,
    ) -> Result<(), AnswerError> {
        let now = self.shared.clock.now();
        self.unused(word.signed()).map_err(|Used| AnswerError::Replayed)?;
        let mut record = self.shared.record(id).ok_or(AnswerError::Unknown)?;
        if shown.is_some_and(|shown| *shown != record.digest) {
            return Err(AnswerError::Changed);
        }
        record.refuse(word.verdict(v1::Answer::No, now)).map_err(|_| not_pending(&record))?;
        metrics::decided(false, now.since(record.received));
        let recorded = self.record_answer(&record, false, &word).await;
        let stored = self.close(record, now).await.map_err(not_stored);
        recorded.and(stored)
    }

    async fn record_answer(&self, record: &Record, yes: bool, word: &Word) -> Result<(), AnswerError> {
        let plan = record.operation().and_then(|operation| operation.planned.as_ref());
        let plan = plan.map(|planned| Digest::new(planned.digest()));
        let event = Event::Answer { request: record.id, digest: record.digest, plan, yes, by: word.record() };
        self.audit.record(event).await.map_err(not_stored)
    }

    /// A signed approval counts once, whatever it was for.
    pub(super) fn unused(&self, signed: Option<&Signed>) -> Result<(), Used> {
        let Some(signed) = signed else { return Ok(()) };
        let spent = self.shared.standing.read(|orders| orders.used.contains_key(&signed.digest));
        if spent || self.shared.book.read().has_proof(&signed.digest) { Err(Used) } else { Ok(()) }
    }

    /// Ends what is pending or live of denied operators: also what a kill left open after the order was stored, and
    /// what was being opened when the order came.
    pub(super) async fn cut_denied(&mut self, now: UnixMillis) {
        let cut = {
            let book = self.shared.book.read();
            self.shared.standing.read(|orders| judge::cut(&book, orders, now))
        };
        for record in cut {
            // In effect at once; a failure to store is retried by itself.
            let _ = self.close(record, now).await;
        }
    }

    pub(super) async fn revoke(
        &mut self,
        grant: tunnel_protos::GrantId,
        word: Word,
    ) -> Result<(), RevokeError> {
        let now = self.shared.clock.now();
        let mut record = self.shared.record(&grant.into()).ok_or(RevokeError::Unknown)?;
        let goes_on = record.state == State::Running || self.unsaved.contains(&record.id);
        // The same cut once more, as after a full disk, is no news: nothing is lost by saying yes when it is stored.
        let stored = if record.is_cut() && goes_on {
            self.keep(record, None, now).await.map(drop)
        } else {
            let revoked = record.revoke(word.revocation(), now);
            revoked.map_err(|_| RevokeError::NotLive(record.state.to_message()))?;
            self.close(record, now).await
        };
        stored.map_err(|error| RevokeError::NotStored(Box::new(error)))
    }
}

/// A signed approval was used before.
#[derive(Debug)]
pub(super) struct Used;

fn not_pending(record: &Record) -> AnswerError {
    AnswerError::NotPending(record.state.to_message())
}

fn not_stored(error: impl std::error::Error + Send + Sync + 'static) -> AnswerError {
    AnswerError::NotStored(Box::new(error))
}
