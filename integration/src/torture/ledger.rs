//! What was acknowledged to somebody: the promises that must hold after every power cut. Pure, behind a lock.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::watch;
use tunnel_certs::{
    statement::{approval::Answer, request::Kind},
    verify::Summary,
};
use tunnel_protos::{RequestId, approvers::RequestView, v1::RequestState};

use super::calls::Calls;
use crate::harness::operator::Submitted;

/// Promises by request.
#[derive(Default)]
pub(super) struct Ledger {
    asked: Mutex<BTreeMap<RequestId, Asked>>,
    /// Those of which something was promised since the books were last looked at.
    news: Mutex<BTreeSet<RequestId>>,
    calls: Calls,
    tally: watch::Sender<Tally>,
    stopped: watch::Sender<bool>,
}

/// One request, as far as anybody was told of it.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) submitted: Arc<Submitted>,
    /// The operator it was asked by.
    pub(super) operator: usize,
    promise: Promise,
    /// What a person said, and the client took.
    answer: Option<Answer>,
    /// The certificate that was read, DER.
    certificate: Option<Vec<u8>>,
}

/// The strongest that was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Promise {
    /// The broker took it.
    Submitted,
    /// It waits for a person.
    Pending,
    /// Granted, by the policy or by a person.
    Yes,
    /// Denied, by a person.
    No,
    /// Granted, and over: revoked by a person.
    Revoked,
    /// A certificate was issued for it.
    Done,
}

/// What must therefore be in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    /// A request moved to a state.
    Moved(RequestId, &'static str),
    /// A person answered it, with yes or no.
    Answered(RequestId, bool),
    /// A certificate of this serial was made for it.
    Certified(RequestId, String),
}

/// How many of each were acknowledged.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Requests that the broker took.
    pub requests: u64,
    /// Decisions that an operator read.
    pub decisions: u64,
    /// Answers of a person that the client took.
    pub answers: u64,
    /// Grants that the client said it revoked.
    pub revocations: u64,
    /// Certificates that an operator read.
    pub certificates: u64,
    /// Mutating calls that the engine answered.
    pub calls: u64,
}

impl Ledger {
    /// Notes a request that the broker took.
    pub(super) fn submitted(&self, operator: usize, submitted: &Arc<Submitted>) {
        let asked = Asked {
            submitted: Arc::clone(submitted),
            operator,
            promise: Promise::Submitted,
            answer: None,
            certificate: None,
        };
        self.asked.lock().insert(submitted.request.id, asked);
        self.tally.send_modify(|tally| tally.requests += 1);
    }

    /// Notes what was promised of a request, and counts it.
    pub(super) fn promised(&self, id: RequestId, promise: Promise, count: impl FnOnce(&mut Tally)) {
        self.note(id, |asked| asked.promise = asked.promise.max(promise), count);
    }

    /// Notes a person's answer that the client took.
    pub(super) fn answered(&self, id: RequestId, answer: Answer) {
        let promise = if answer == Answer::Yes { Promise::Yes } else { Promise::No };
        let note = |asked: &mut Asked| (asked.promise, asked.answer) = (promise, Some(answer));
        self.note(id, note, |tally| tally.answers += 1);
    }

    /// Notes a certificate that was read.
    pub(super) fn certified(&self, id: RequestId, certificate: Vec<u8>) {
        let note =
            |asked: &mut Asked| (asked.promise, asked.certificate) = (Promise::Done, Some(certificate));
        self.note(id, note, |tally| tally.certificates += 1);
    }

    fn note(&self, id: RequestId, note: impl FnOnce(&mut Asked), count: impl FnOnce(&mut Tally)) {
        if let Some(asked) = self.asked.lock().get_mut(&id) {
            note(asked);
        }
        self.news.lock().insert(id);
        self.tally.send_modify(count);
    }

    /// What the log must say of the requests of which something was promised since the last time.
    pub(super) fn news(&self) -> Vec<Fact> {
        let news = std::mem::take(&mut *self.news.lock());
        let asked = self.asked.lock();
        news.iter().filter_map(|id| asked.get(id)).flat_map(Asked::facts).collect()
    }

    /// What the log must say of all.
    pub(super) fn facts(&self) -> Vec<Fact> {
        self.asked.lock().values().flat_map(Asked::facts).collect()
    }

    /// Attempts to call the engine.
    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Counts a mutating call that was answered.
    pub(super) fn called(&self) {
        self.tally.send_modify(|tally| tally.calls += 1);
    }

    /// Everything promised until now, in the order of request ids, which is random.
    pub(super) fn all(&self) -> Vec<Asked> {
        self.asked.lock().values().cloned().collect()
    }

    pub(super) fn tally(&self) -> Tally {
        *self.tally.borrow()
    }

    /// Waits for so many events from now on.
    pub(super) async fn events(&self, count: u64) {
        let mut tally = self.tally.subscribe();
        let enough = tally.borrow().total() + count;
        // The sender is `self`.
        let _ = tally.wait_for(|tally| tally.total() >= enough).await;
    }

    /// Ends the load after the job in hand.
    pub(super) fn stop(&self) {
        self.stopped.send_replace(true);
    }

    pub(super) fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }
}

impl Asked {
    pub(super) fn id(&self) -> RequestId {
        self.submitted.request.id
    }

    /// Whether what the client says of the request keeps what was promised.
    pub(super) fn holds(&self, view: &RequestView) -> bool {
        use RequestState as State;
        let state = view.state();
        match self.promise {
            Promise::Submitted | Promise::Pending => true,
            Promise::Yes => matches!(
                state,
                State::Approved | State::Active | State::Ended | State::Expired | State::Revoked
            ),
            Promise::No => state == State::Denied,
            Promise::Revoked => state == State::Revoked,
            Promise::Done => state == State::Done,
        }
    }

    /// Whether a certificate read again is the one that was read first.
    pub(super) fn is_certificate(&self, again: &[u8]) -> bool {
        self.certificate.as_deref().is_none_or(|certificate| certificate == again)
    }

    /// What the log must say of it.
    fn facts(&self) -> Vec<Fact> {
        let moved = |state| Fact::Moved(self.id(), state);
        let mut facts: Vec<Fact> = self.promise.states().iter().copied().map(moved).collect();
        if let Some(answer) = self.answer {
            facts.extend([moved("pending"), Fact::Answered(self.id(), answer == Answer::Yes)]);
        }
        if let (Kind::Certificate(asked), Some(der)) = (&self.submitted.request.kind, &self.certificate) {
            // One that cannot be read has no serial that the log could name.
            let serial = Summary::read(der).ok().and_then(|certificate| certificate.serial);
            let serial = serial.map(|serial| serial.to_string()).unwrap_or_default();
            facts.extend([Fact::Certified(self.id(), serial), Fact::Moved(asked.grant.into(), "active")]);
        }
        facts
    }

    pub(super) fn promise(&self) -> Promise {
        self.promise
    }
}

impl Promise {
    /// The states that a request went through by then.
    fn states(self) -> &'static [&'static str] {
        match self {
            Self::Submitted => &[],
            Self::Pending => &["pending"],
            Self::Yes => &["approved"],
            Self::No => &["denied"],
            Self::Revoked => &["approved", "revoked"],
            Self::Done => &["done"],
        }
    }
}

impl Tally {
    /// All together.
    pub fn total(&self) -> u64 {
        let Self { requests, decisions, answers, revocations, certificates, calls } = self;
        requests + decisions + answers + revocations + certificates + calls
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, decisions, answers, revocations, certificates, calls } = self;
        write!(
            f,
            "{requests} requests, {decisions} decisions, {answers} answers, {revocations} revocations, \
             {certificates} certificates, {calls} calls"
        )
    }
}
