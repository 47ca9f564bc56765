//! A delivery's way: known? → open and verify → admit → decide → store → answer.

use prost::Message;
use tracing::{debug, info};
use tunnel_certs::{
    seal::{self, SealError},
    statement::request::{self, Kind, OpenError, Opened, Place, operation::What},
};
use tunnel_protos::{
    EnvelopeId, SealingKeyId, UnixMillis,
    v1::{ReceivedStatus, SealedOutcome, SealedRequest},
};
use tunnel_runtime::chain;

use super::Clerk;
use crate::{
    metrics::{self, Queue},
    policy::{self, Ask, Decision, Facts},
    requests::{
        AdmitError, Record, Room,
        answer::{self, AnswerError},
        clerk::keep::KeepError,
        judge::{self, Refusal},
        record::Access,
        state::State,
    },
    store::{Store, StoreError},
};

impl<S: Store> Clerk<S> {
    pub(super) async fn deliver(&mut self, sealed: &SealedRequest) -> ReceivedStatus {
        if self.room.refusing(self.shared.clock.now()).is_some() {
            return ReceivedStatus::Full;
        }
        if let Err(error) = seal::check_shape(sealed) {
            return self.unproven(&error);
        }
        let envelope = seal::envelope_id(sealed);
        if self.answered_before(&envelope) {
            return ReceivedStatus::Known;
        }
        let keys = self.room.keys.borrow().clone();
        match seal::open_request(sealed, &self.room.label, &keys.opening(self.shared.clock.now())) {
            Ok(bytes) => self.open(Sealed { envelope, key: key(sealed) }, &bytes).await,
            Err(SealError::UnknownKey) => ReceivedStatus::UnknownKey,
            Err(error) => self.unproven(&error),
        }
    }

    /// The same envelope again: its latest answer goes out again.
    fn answered_before(&self, envelope: &EnvelopeId) -> bool {
        let book = self.shared.book.read();
        let Some(record) = book.by_envelope(envelope) else { return false };
        if self.unsaved.contains(&record.id) {
            // A kill would take its last answer back; it goes out once it is stored.
            return true;
        }
        if let Ok(outcome) = SealedOutcome::decode(&record.answer.sealed[..]) {
            // Full: it will be asked for once more.
            let _ = self.shared.outbox.put(outcome);
        }
        true
    }

    async fn open(&mut self, sealed: Sealed, bytes: &[u8]) -> ReceivedStatus {
        let now = self.shared.clock.now();
        let operators = self.room.operators.borrow().clone();
        let Room { cluster, label, .. } = &*self.room;
        let place = Place { operators: &operators.verifier, cluster, label };
        match request::open(bytes, place, now, now) {
            Ok(opened) => self.admit(sealed, &opened, now).await,
            Err(OpenError::Refused { operator, digest, reply: Some(reply), fault }) => {
                let mut record = Record::unreadable(&reply, sealed.envelope, digest, operator, now);
                record.answer.key = sealed.key;
                self.refuse_unheard(record, &Refusal::new("verification", fault.to_string()), now).await
            }
            Err(error) => self.unproven(&error),
        }
    }

    async fn admit(&mut self, sealed: Sealed, opened: &Opened, now: UnixMillis) -> ReceivedStatus {
        let mut record = Record::new(sealed.envelope, opened, now);
        record.answer.key = sealed.key;
        if let Err(refusal) = self.admissible(&record) {
            return self.refuse_unheard(record, &refusal, now).await;
        }
        match &opened.request.kind {
            Kind::Access(_) => {
                self.decide(&mut record, now);
                self.finish(record, None, now).await
            }
            Kind::Operation(asked) => self.take_operation(record, &asked.what, now).await,
            Kind::Certificate(asked) => self.certify(record, asked, now).await,
            Kind::Withdraw(asked) => self.withdraw(record, &asked.request, now).await,
        }
    }

    /// A kind that is denied is refused at once; everything else is decided once it is planned.
    async fn take_operation(&mut self, mut record: Record, what: &What, now: UnixMillis) -> ReceivedStatus {
        let policy = self.policy.borrow().clone();
        if let Some(reason) = policy.refuses(what) {
            record.conclude(State::Denied, &reason.rule, &reason.text, now);
        } else {
            "Being planned".clone_into(&mut record.why);
            record.wait(policy.clocks());
        }
        self.finish(record, None, now).await
    }

    fn admissible(&self, record: &Record) -> Result<(), Refusal> {
        if record.issued < self.refuse_before {
            let why = format!(
                "This client's store was restored or its clock set back: what is asked before {} could be a repetition; \
                 ask again then",
                self.refuse_before
            );
            return Err(Refusal::new("restored", why));
        }
        if self.shared.standing.read(|orders| orders.denied.contains_key(&record.operator)) {
            return Err(Refusal::new("operator", "The customer refuses this operator's requests"));
        }
        let book = self.shared.book.read();
        let doors = record.access().map_or(0, |access| access.targets.len());
        let admitted = book.admit(&record.id, &record.digest, &record.operator);
        let admitted = admitted.and_then(|()| book.admit_doors(&record.operator, doors));
        admitted.inspect_err(count_full).map_err(|error| Refusal::new("admission", error.to_string()))
    }

    /// Refuses without a look at what is asked. A used id cannot be stored twice: its refusal is only sent.
    async fn refuse_unheard(
        &mut self,
        mut record: Record,
        refusal: &Refusal,
        now: UnixMillis,
    ) -> ReceivedStatus {
        let admitted = self.shared.book.read().admit(&record.id, &record.digest, &record.operator);
        match admitted {
            Err(AdmitError::Replay) => self.refuse_replay(&record, now),
            Err(AdmitError::TooManyRemembered) => {
                metrics::refused(Queue::Remembered);
                ReceivedStatus::Full
            }
            Ok(()) | Err(AdmitError::SameWords | AdmitError::TooManyPending | AdmitError::TooManyDoors) => {
                record.conclude(State::Denied, &refusal.rule, &refusal.why, now);
                self.finish(record, None, now).await
            }
        }
    }

    fn refuse_replay(&self, record: &Record, now: UnixMillis) -> ReceivedStatus {
        metrics::replayed();
        info!(request.id = %record.id.short(), "Replay refused");
        let original = self.shared.record(&record.id);
        // The very same request in a second seal: its own answer stands, and no second one is signed.
        if original.is_some_and(|original| original.digest == record.digest) {
            return ReceivedStatus::Known;
        }
        let refusal = Refusal::new("admission", AdmitError::Replay.to_string());
        match answer::refusal(record, &refusal, &self.room, now) {
            Ok(outcome) => {
                let room = self.shared.outbox.put(outcome);
                if room { ReceivedStatus::Taken } else { ReceivedStatus::Full }
            }
            Err(error) => self.unanswerable(&error),
        }
    }

    fn decide(&self, record: &mut Record, now: UnixMillis) {
        let policy = self.policy.borrow().clone();
        let Some(access) = record.access() else { return };
        let targets = self.room.targets.borrow().clone();
        let facts = Facts { policy: &policy, targets: &targets };
        let decision = policy::decide(&facts, &ask(access, record.issued), now);
        let asked = Access { methods: decision.extent(), ..access.clone() };
        record.denied_before = self.shared.book.read().denied_before(&record.operator, &asked, &policy);
        let paused = self.shared.standing.read(|orders| orders.pause.is_some());
        let decision = judge::temper(decision, paused, record.denied_before);
        record.apply(&decision, policy.clocks(), now);
    }

    /// Answers, stores and publishes a request that was decided.
    pub(super) async fn finish(
        &mut self,
        mut record: Record,
        issued: Option<tunnel_certs::statement::outcome::Issued>,
        now: UnixMillis,
    ) -> ReceivedStatus {
        if let Err(error) = answer::renew(&mut record, issued, &self.room, now) {
            return self.unanswerable(&error);
        }
        let (id, kind, state) = (record.id, record.subject.kind(), record.state);
        match self.open_up(record, now).await {
            Ok(record) => {
                metrics::answered(kind, state.name());
                info!(request.id = %id.short(), kind, state = state.name(), rule = record.rule, "Request answered");
                ReceivedStatus::Taken
            }
            Err(KeepError::Store(StoreError::Exists)) => self.adopt(&id).await,
            Err(error) => {
                debug!(error = %chain(&error), "Request not taken");
                ReceivedStatus::Full
            }
        }
    }

    fn unanswerable(&self, error: &AnswerError) -> ReceivedStatus {
        info!(error = %chain(error), "Request cannot be answered");
        match error {
            // The operator's fault; another delivery would end the same.
            AnswerError::Seal(_) => ReceivedStatus::Taken,
            AnswerError::Sign(_) => ReceivedStatus::Full,
        }
    }

    fn unproven(&mut self, error: &(dyn std::error::Error + 'static)) -> ReceivedStatus {
        self.unproven.count(error);
        ReceivedStatus::Unproven
    }
}

/// How a request came.
#[derive(Debug, Clone, Copy)]
struct Sealed {
    envelope: EnvelopeId,
    key: Option<SealingKeyId>,
}

fn key(sealed: &SealedRequest) -> Option<SealingKeyId> {
    SealingKeyId::try_from(&sealed.key_id[..]).ok()
}

impl Record {
    /// Takes the policy's decision on: refused, waiting for a person, or a grant at once.
    pub(super) fn apply(&mut self, decision: &Decision, clocks: &policy::Clocks, now: UnixMillis) {
        let reason = decision.reason();
        reason.rule.clone_into(&mut self.rule);
        reason.text.clone_into(&mut self.why);
        let doors = self.new_doors();
        if let Some(access) = self.access_mut() {
            access.methods = decision.extent();
        }
        // A new record is pending, from where each of these is possible.
        let _ = match decision {
            Decision::Deny(reason) => self.deny(&reason.text, now),
            Decision::Manual(..) => {
                self.wait(clocks);
                Ok(())
            }
            Decision::Auto(_, reason) => self.approve(doors, &reason.text, clocks, now),
        };
    }
}

/// Too many that are remembered are counted where they are turned away.
fn count_full(error: &AdmitError) {
    match error {
        AdmitError::TooManyPending => metrics::refused(Queue::Pending),
        AdmitError::TooManyDoors => metrics::refused(Queue::Doors),
        AdmitError::Replay | AdmitError::SameWords | AdmitError::TooManyRemembered => {}
    }
}

fn ask(access: &Access, issued: UnixMillis) -> Ask {
    Ask { methods: access.asked.clone(), targets: access.targets.clone(), raw: access.raw, issued }
}
