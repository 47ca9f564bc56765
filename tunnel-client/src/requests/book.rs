//! All requests that are remembered, and the checks that need this memory. Pure; the store holds the same.

use std::collections::{BTreeMap, HashMap};

use tunnel_certs::words::Words;
use tunnel_protos::{Digest, EnvelopeId, OperatorName, RequestId, UnixMillis, approvers::OperatorView};

use super::{
    record::{Access, Record},
    state::State,
};
use crate::policy::Policy;

/// The requests that are remembered, by id.
#[derive(Debug, Default)]
pub(super) struct Book {
    records: HashMap<RequestId, Record>,
    envelopes: HashMap<EnvelopeId, RequestId>,
}

/// Why a new request is not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// Its id was used before.
    #[error("a request with this id was received before")]
    Replay,
    /// It would be shown with the same words as another.
    #[error("another live request has the same 8 words; ask again")]
    SameWords,
    /// This operator has too many open.
    #[error("{MAX_PENDING} requests of this operator are pending already")]
    TooManyPending,
    /// This operator, or all together, asked too often for the ids to be kept.
    #[error("too many requests are remembered; ask again later")]
    TooManyRemembered,
    /// Doors stay announced for 24 h after their grant.
    #[error("too many doors were given in the last 24 h; ask again later, or for fewer targets")]
    TooManyDoors,
}

impl Book {
    /// Remembers, or replaces what was remembered under the same id.
    pub(super) fn put(&mut self, record: Record) {
        self.envelopes.insert(record.envelope, record.id);
        self.records.insert(record.id, record);
    }

    /// Forgets.
    pub(super) fn remove(&mut self, id: &RequestId) {
        if let Some(record) = self.records.remove(id) {
            self.envelopes.remove(&record.envelope);
        }
    }

    /// The request of this id.
    pub(super) fn get(&self, id: &RequestId) -> Option<&Record> {
        self.records.get(id)
    }

    /// The request that came in this envelope.
    pub(super) fn by_envelope(&self, envelope: &EnvelopeId) -> Option<&Record> {
        self.envelopes.get(envelope).and_then(|id| self.records.get(id))
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// Checks a request that has proven itself against everything that is remembered.
    pub(super) fn admit(
        &self,
        id: &RequestId,
        digest: &Digest,
        operator: &OperatorName,
    ) -> Result<(), AdmitError> {
        if self.records.contains_key(id) {
            return Err(AdmitError::Replay);
        }
        let words = Words::of(digest);
        if self.all().any(|record| record.state.is_open() && Words::of(&record.digest) == words) {
            return Err(AdmitError::SameWords);
        }
        self.admit_one_more(operator)
    }

    fn admit_one_more(&self, operator: &OperatorName) -> Result<(), AdmitError> {
        let (mut pending, mut remembered) = (0, 0);
        for record in self.all().filter(|record| record.operator == *operator) {
            remembered += 1;
            pending += usize::from(record.state == State::Pending);
        }
        let full = remembered >= MAX_REMEMBERED || self.records.len() >= MAX_REMEMBERED_IN_ALL;
        match (pending >= MAX_PENDING, full) {
            (_, true) => Err(AdmitError::TooManyRemembered),
            (true, false) => Err(AdmitError::TooManyPending),
            (false, false) => Ok(()),
        }
    }

    /// Checks that `more` doors for `operator` leave the set of all doors announceable, and room for the others.
    pub(super) fn admit_doors(&self, operator: &OperatorName, more: usize) -> Result<(), AdmitError> {
        let (mut own, mut all) = (more, more);
        for record in self.all() {
            let doors = record.access().map_or(0, |access| access.doors.len());
            all += doors;
            own += if record.operator == *operator { doors } else { 0 };
        }
        if own > MAX_DOORS_PER_OPERATOR || all > MAX_DOORS { Err(AdmitError::TooManyDoors) } else { Ok(()) }
    }

    /// How much is pending of `operator`, and its live grants.
    pub(super) fn open_of(&self, operator: &OperatorName, now: UnixMillis) -> (usize, Vec<RequestId>) {
        let own = |record: &Record| record.operator == *operator;
        let pending = self.all().filter(|record| own(record) && record.state == State::Pending).count();
        (pending, self.ids(|record| own(record) && record.holds_grant(now)))
    }

    /// Live grants with their operators.
    pub(super) fn live(&self, now: UnixMillis) -> Vec<(RequestId, OperatorName)> {
        let live = self.all().filter(|record| record.holds_grant(now));
        live.map(|record| (record.id, record.operator.clone())).collect()
    }

    /// What each operator has here, by name.
    pub(super) fn operators(&self) -> BTreeMap<OperatorName, OperatorView> {
        let mut views = BTreeMap::<_, OperatorView>::new();
        for record in self.all() {
            let view = views.entry(record.operator.clone()).or_default();
            view.requests_pending += u32::from(record.state == State::Pending);
            view.grants_live += u32::from(record.state.is_live_grant());
            view.last_asked_ms = view.last_asked_ms.max(record.received.0);
        }
        views
    }

    /// Whether the signed approval of this digest answered a request.
    pub(super) fn has_proof(&self, digest: &Digest) -> bool {
        let mut proofs =
            self.all().flat_map(|record| &record.verdicts).filter_map(|said| said.proof.as_ref());
        proofs.any(|proof| proof.digest == *digest)
    }

    /// The newest ask of the same operator that a person denied, and that `access` repeats under `policy`.
    pub(super) fn denied_before(
        &self,
        operator: &OperatorName,
        access: &Access,
        policy: &Policy,
    ) -> Option<RequestId> {
        let denied =
            self.all().filter(|record| record.operator == *operator && record.is_refused_by_person());
        let same =
            denied.filter(|record| record.access().is_some_and(|before| access.repeats(before, policy)));
        same.max_by_key(|record| (record.received, record.id)).map(|record| record.id)
    }

    /// The newest operation of the same operator that a person denied, and that `again` repeats.
    pub(super) fn operation_denied_before(&self, again: &Record) -> Option<RequestId> {
        let asked = again.operation()?;
        let own = |record: &&Record| record.operator == again.operator && record.id != again.id;
        let denied = self.all().filter(own).filter(|record| record.is_refused_by_person());
        let same = denied.filter(|record| record.operation().is_some_and(|before| asked.repeats(before)));
        same.max_by_key(|record| (record.received, record.id)).map(|record| record.id)
    }

    /// Those whose time is over at `now`.
    pub(super) fn due(&self, now: UnixMillis) -> Vec<RequestId> {
        self.ids(|record| record.due().is_some_and(|due| due <= now))
    }

    /// Those that may be forgotten at `now`.
    pub(super) fn forgettable(&self, now: UnixMillis) -> Vec<RequestId> {
        self.ids(|record| record.forget_at().is_some_and(|at| at < now))
    }

    fn ids(&self, wanted: impl Fn(&Record) -> bool) -> Vec<RequestId> {
        self.all().filter(|record| wanted(record)).map(|record| record.id).collect()
    }
}

/// More than any team answers in a day; each one occupies a line on an approver's screen.
pub const MAX_PENDING: usize = 64;

/// Ids kept for one operator: a certificate every 30 seconds for a day and more.
pub const MAX_REMEMBERED: usize = 4096;

/// Ids kept in all: whoever holds the operator CA can make any number of operators.
const MAX_REMEMBERED_IN_ALL: usize = 65_536;

/// What brokers let a tunnel announce; one more, and no operator at all would be served.
const MAX_DOORS: usize = 4096;

/// A grant of one target every 90 seconds for a day; four such operators fit.
const MAX_DOORS_PER_OPERATOR: usize = 1024;

#[cfg(test)]
mod tests {
    use tunnel_certs::{key::SealingKey, statement::request::Reply};
    use tunnel_protos::{Door, UnixMillis};

    use super::*;
    use crate::requests::record::Subject;

    /// A pending request with this digest.
    fn record(digest: [u8; 32]) -> Record {
        let outcome_key = *SealingKey::generate().unwrap().public();
        let reply = Reply { id: RequestId::random(), outcome_key };
        let operator = "ann".parse().unwrap();
        Record::unreadable(&reply, EnvelopeId::new(digest), Digest::new(digest), operator, UnixMillis(0))
    }

    #[test]
    fn a_request_with_the_words_of_a_live_one_is_refused() {
        let (mut first, mut twin) = ([7; 32], [7; 32]);
        // Beyond the 88 bits that words show.
        (first[31], twin[31]) = (1, 2);
        let mut book = Book::default();
        book.put(record(first));
        let admit = |book: &Book, digest| {
            book.admit(&RequestId::random(), &Digest::new(digest), &"bob".parse().unwrap())
        };
        assert_eq!(admit(&book, twin), Err(AdmitError::SameWords));
        assert_eq!(admit(&book, [8; 32]), Ok(()));
        let mut over = record(first);
        over.conclude(State::Denied, "", "", UnixMillis(0));
        let mut book = Book::default();
        book.put(over);
        assert_eq!(admit(&book, twin), Ok(()));
    }

    /// A grant of 64 doors.
    fn many_doors(n: u8, operator: &str) -> Record {
        let target = |n| format!("t{n}").parse().unwrap();
        let doors = (0..64).map(|n| (target(n), Door::from_random([n; 17]))).collect();
        let subject = Subject::Access(Access { doors, ..Access::default() });
        Record { subject, operator: operator.parse().unwrap(), ..record([n; 32]) }
    }

    #[test]
    fn doors_never_become_more_than_a_tunnel_may_announce() {
        let mut book = Book::default();
        let names = ["ann", "bob", "cid", "dan"];
        (0..63).for_each(|n: u8| book.put(many_doors(n, names[usize::from(n / 16)])));
        let admit = |book: &Book, name: &str, more| book.admit_doors(&name.parse().unwrap(), more);
        assert_eq!(admit(&book, "eve", 64), Ok(()));
        assert_eq!(admit(&book, "eve", 65), Err(AdmitError::TooManyDoors));
        assert_eq!(admit(&book, "ann", 1), Err(AdmitError::TooManyDoors));
        assert_eq!(admit(&book, "dan", 64), Ok(()));
    }

    #[test]
    fn too_many_ids_of_one_operator_are_refused_not_forgotten() {
        let mut book = Book::default();
        for n in 0..MAX_REMEMBERED {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_be_bytes());
            let mut record = record(digest);
            record.conclude(State::Done, "", "", UnixMillis(0));
            book.put(record);
        }
        let refused = book.admit(&RequestId::random(), &Digest::new([9; 32]), &"ann".parse().unwrap());
        assert_eq!(refused, Err(AdmitError::TooManyRemembered));
        assert_eq!(book.all().count(), MAX_REMEMBERED);
    }
}
