//! One request with everything that became of it. Pure: transitions take now and the clocks, and touch nothing else.

mod begin;
mod operating;
mod people;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tunnel_certs::{crypto, key::SealingPublicKey};
use tunnel_protos::{
    Digest, Door, EnvelopeId, GrantId, MethodName, MethodPattern, OperatorName, RequestId, SealingKeyId,
    TargetName, UnixMillis, v1,
};

pub(super) use self::people::with_note;
pub use self::{
    operating::Operating,
    people::{Notice, Proof, Revocation, Verdict},
};
use super::state::{Event, State};
use crate::{
    gate::grants::{Grant, Level, Life, Over, Serial},
    policy::Clocks,
};

/// A request, as it is kept until its id may be forgotten.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Chosen by the operator; a second request with it is a replay.
    pub id: RequestId,
    /// What brokers know it by.
    pub envelope: EnvelopeId,
    /// What its words stand for.
    pub digest: Digest,
    /// Who asked.
    pub operator: OperatorName,
    /// Why, as the operator said.
    pub reason: v1::Reason,
    /// Outcomes are sealed to it.
    pub outcome_key: SealingPublicKey,
    /// When the operator signed it.
    pub issued: UnixMillis,
    /// When it ends by its own word.
    pub expires: UnixMillis,
    /// When it first came here.
    pub received: UnixMillis,
    /// What it asks for.
    pub subject: Subject,
    /// Where it stands.
    pub state: State,
    /// Since when.
    pub since: UnixMillis,
    /// Why it stands there, one sentence.
    pub why: String,
    /// The rule that decided; may be empty.
    pub rule: String,
    /// Its deadlines.
    pub deadlines: Deadlines,
    /// The answer that was given last.
    pub answer: Answer,
    /// What people said to it, oldest first.
    pub verdicts: Vec<Verdict>,
    /// Who was told of it.
    pub notices: Vec<Notice>,
    /// The request by which the same was asked before, and denied by a person.
    pub denied_before: Option<RequestId>,
    /// Who cut it, if somebody did.
    pub revocation: Option<Revocation>,
    /// Its version in the store; 0 before it is stored.
    pub version: u64,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// Methods of the engine.
    Access(Access),
    /// An operation of the closed set.
    Operation(Box<Operating>),
    /// A certificate under a grant.
    Certificate(GrantId),
    /// The end of another request.
    Withdraw(RequestId),
    /// It proved its signer, and nothing else of it was acceptable.
    Unreadable,
}

/// What an access request asks for, and what was granted of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// As asked.
    pub asked: Vec<MethodPattern>,
    /// As asked.
    pub targets: BTreeSet<TargetName>,
    /// Also methods of operations, by exact name.
    pub raw: bool,
    /// How long the work may take.
    pub wanted: Duration,
    /// What it means, method by method, at the level at which it is or would be granted.
    pub methods: BTreeMap<MethodName, Level>,
    /// One per target once granted.
    pub doors: BTreeMap<TargetName, Door>,
    /// Of every certificate issued.
    pub serials: Vec<Serial>,
}

/// When things end by themselves; none where it does not apply yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deadlines {
    /// A pending request expires.
    pub pending: Option<UnixMillis>,
    /// An unused grant expires.
    pub claim: Option<UnixMillis>,
    /// The grant ends.
    pub work: Option<UnixMillis>,
    /// The last certificate expires.
    pub certificate: Option<UnixMillis>,
}

/// The last answer to the operator.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Rises by one with each answer.
    pub sequence: u64,
    /// A `SealedOutcome`, encoded.
    pub sealed: Vec<u8>,
    /// The sequence that a broker acknowledged last.
    pub delivered: u64,
    /// The sealing key that the request named: its operator knows the keys of that entry.
    pub key: Option<SealingKeyId>,
}

/// Something that cannot happen to a request in its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a request that is {state:?} cannot {event:?}")]
pub struct TransitionError {
    state: State,
    event: Event,
}

impl Record {
    /// Ends a request that is no access request, or one that is refused unheard.
    pub fn conclude(&mut self, state: State, rule: &str, why: &str, now: UnixMillis) {
        self.state = state;
        self.since = now;
        rule.clone_into(&mut self.rule);
        why.clone_into(&mut self.why);
    }

    /// Moves on; deadlines and grants are the caller's to set.
    fn moved(&mut self, event: Event, why: &str, now: UnixMillis) -> Result<(), TransitionError> {
        let next = self.state.after(event).ok_or(TransitionError { state: self.state, event })?;
        // A renewed certificate is no new state.
        if next != self.state {
            self.state = next;
            self.since = now;
            why.clone_into(&mut self.why);
        }
        if !self.state.is_open() && !self.state.is_over_run() {
            self.drop_plan();
        }
        Ok(())
    }

    /// Waits for a person until the earlier of its own end and the policy's, which counts from when it came or was
    /// planned again.
    pub fn wait(&mut self, clocks: &Clocks) {
        self.deadlines.pending = Some(self.expires.min(self.since.plus(clocks.request_ttl)));
    }

    /// Becomes a grant behind these doors, to be used within the claim window.
    pub fn approve(
        &mut self,
        doors: BTreeMap<TargetName, Door>,
        why: &str,
        clocks: &Clocks,
        now: UnixMillis,
    ) -> Result<(), TransitionError> {
        self.moved(Event::Approve, why, now)?;
        self.deadlines.claim = Some(now.plus(clocks.claim_window));
        if let Some(access) = self.access_mut() {
            access.doors = doors;
        }
        Ok(())
    }

    /// Is refused for ever.
    pub fn deny(&mut self, why: &str, now: UnixMillis) -> Result<(), TransitionError> {
        self.moved(Event::Deny, why, now)
    }

    /// The operator takes it back.
    pub fn withdraw(&mut self, now: UnixMillis) -> Result<(), TransitionError> {
        self.moved(Event::Withdraw, "Withdrawn by the operator", now)
    }

    /// The customer cuts it; of an operation that runs, the run is to stop as well.
    pub fn revoke(&mut self, revocation: Revocation, now: UnixMillis) -> Result<(), TransitionError> {
        if !self.cut_run(&revocation.why(), now) {
            self.moved(Event::Revoke, &with_note("Revoked by the customer", &revocation.note), now)?;
        }
        self.revocation = Some(revocation);
        Ok(())
    }

    /// Whatever it was, it opens nothing any more: what is remembered of it cannot be trusted.
    pub fn void(&mut self, why: &str, now: UnixMillis) -> Result<(), TransitionError> {
        if self.cut_run(why, now) {
            return Ok(());
        }
        let event = if self.state == State::Pending { Event::Deny } else { Event::Revoke };
        self.moved(event, why, now)
    }

    /// When the grant would end if its first certificate were issued now.
    pub fn work_end(&self, clocks: &Clocks, now: UnixMillis) -> UnixMillis {
        let wanted = self.access().map_or(Duration::ZERO, |access| access.wanted);
        // Nothing wanted in particular means as long as the policy gives.
        let wanted = if wanted.is_zero() { clocks.work_window } else { wanted };
        self.deadlines.work.unwrap_or_else(|| now.plus(wanted.min(clocks.work_window)))
    }

    /// A certificate was made under this grant; the first one starts the work window.
    pub fn claim(
        &mut self,
        serial: Serial,
        certificate_end: UnixMillis,
        work_end: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), TransitionError> {
        // A run tells of itself by its state; a plan that is only looked at is used like access.
        if self.operation().is_none_or(|operation| operation.asked.dry_run) {
            self.moved(Event::Claim, "In use", now)?;
        }
        self.deadlines.work.get_or_insert(work_end);
        self.deadlines.certificate = Some(certificate_end);
        if let Some(access) = self.access_mut() {
            access.serials.push(serial);
        }
        Ok(())
    }

    /// Lets the time pass: whether the record moved on.
    pub fn elapse(&mut self, now: UnixMillis) -> bool {
        let due = self.due().is_some_and(|due| due <= now);
        // It was planned again after its own end: nobody could answer it.
        let late = self.state == State::Pending && self.expires <= self.since;
        let why = if late { "Its time was over before it was planned again" } else { self.state.elapsed() };
        due && self.moved(Event::Elapse, why, now).is_ok()
    }

    /// When it moves on by itself.
    pub fn due(&self) -> Option<UnixMillis> {
        match self.state {
            State::Pending => self.deadlines.pending,
            State::Approved => self.grant_end(),
            State::Active => self.deadlines.work,
            _ => None,
        }
    }

    /// When its id may be forgotten: no replay can live, and its tombstone has answered long enough.
    pub fn forget_at(&self) -> Option<UnixMillis> {
        let replay_end = self.expires.plus(SKEW);
        let tombstone_end = match self.operation() {
            Some(_) => self.forget_operation_at(TOMBSTONE),
            None => self.since.plus(TOMBSTONE),
        };
        (!self.state.is_open()).then(|| tombstone_end.max(replay_end))
    }

    /// What it grants or would grant, if it asks for access or for an operation.
    pub fn access(&self) -> Option<&Access> {
        match &self.subject {
            Subject::Access(access) => Some(access),
            Subject::Operation(operation) => Some(&operation.grant),
            Subject::Certificate(_) | Subject::Withdraw(_) | Subject::Unreadable => None,
        }
    }

    /// As [`Record::access`], to be changed.
    pub(super) fn access_mut(&mut self) -> Option<&mut Access> {
        match &mut self.subject {
            Subject::Access(access) => Some(access),
            Subject::Operation(operation) => Some(&mut operation.grant),
            Subject::Certificate(_) | Subject::Withdraw(_) | Subject::Unreadable => None,
        }
    }

    /// A random door for each target asked for; the doors that it has stay.
    pub(super) fn new_doors(&self) -> BTreeMap<TargetName, Door> {
        if let Some(access) = self.access().filter(|access| !access.doors.is_empty()) {
            return access.doors.clone();
        }
        let targets = self.access().map(|access| &access.targets).into_iter().flatten();
        targets.map(|target| (target.clone(), Door::from_random(crypto::random()))).collect()
    }

    /// Its grant as the gate sees it; none where no door was ever given.
    pub fn grant(&self) -> Option<(Grant, Life)> {
        let access = self.access().filter(|access| !access.doors.is_empty())?;
        let grant = Grant {
            id: self.id.into(),
            operator: self.operator.clone(),
            methods: access.methods.clone(),
            doors: access.doors.clone(),
            raw: access.raw,
            operation: self.operation().and_then(Operating::operated).map(Arc::new),
        };
        Some((grant, self.life()))
    }

    fn life(&self) -> Life {
        if let Some(operation) = self.operation() {
            return self.operation_life(operation);
        }
        match (self.state, self.deadlines.work) {
            (State::Active, Some(until)) => Life::Active { until },
            (State::Approved, _) => Life::Waiting,
            // Everything else opens nothing.
            (state, _) => Life::Over(state.over().unwrap_or(Over::Ended)),
        }
    }
}

impl State {
    fn elapsed(self) -> &'static str {
        match self {
            Self::Pending => "Nobody answered in time",
            Self::Approved => "Nobody used it in time",
            _ => "The work window is over",
        }
    }
}

/// Clocks of operators and clients may differ by this much.
pub const SKEW: Duration = Duration::from_secs(2 * 60);

/// How long an ended grant keeps answering that it has ended.
pub const TOMBSTONE: Duration = Duration::from_secs(24 * 3600);
