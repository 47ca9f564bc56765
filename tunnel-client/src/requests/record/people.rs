//! What people did to a request: answered it, were told of it, cut its grant.

use std::collections::BTreeMap;

use tunnel_protos::{Digest, Door, MethodName, TargetName, UnixMillis, v1};

use super::{Access, Event, Record, State, TransitionError};
use crate::{
    gate::grants::Level,
    policy::{Approval, Clocks, Policy},
    requests::orders::Denied,
};

/// A person's answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// An approver's name, or `uid 1001` for a no by somebody who is none.
    pub who: String,
    /// Yes or no.
    pub answer: v1::Answer,
    /// When it was taken.
    pub time: UnixMillis,
    /// What was said about it; may be empty.
    pub note: String,
    /// The signed approval that proves it; none if the socket's peer was proof enough.
    pub proof: Option<Proof>,
    /// It was about a plan that was made anew since: it counts no more, and cannot be given again.
    pub void: bool,
}

/// A signed approval, kept as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Digest of the envelope: accepted once.
    pub digest: Digest,
    /// From when on it is too old to be accepted again.
    pub forget_after: UnixMillis,
    /// The envelope's bytes.
    pub envelope: Vec<u8>,
}

/// Somebody was told of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Who or what: an approver's name or a webhook's.
    pub who: String,
    /// When.
    pub time: UnixMillis,
}

/// Who cut a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// An approver's name, or `uid 1001`.
    pub who: String,
    /// What was said about it; may be empty.
    pub note: String,
}

impl Record {
    /// Keeps that somebody was told; false if it is known, or there is no room for one more.
    pub fn notify(&mut self, notice: Notice) -> bool {
        let known = self.notices.iter().any(|known| known.who == notice.who);
        let news = !known && self.notices.len() < MAX_NOTICES;
        if news {
            self.notices.push(notice);
        }
        news
    }

    /// A person says yes: it becomes a grant behind these doors.
    pub fn approve_by(
        &mut self,
        verdict: Verdict,
        doors: BTreeMap<TargetName, Door>,
        clocks: &Clocks,
    ) -> Result<(), TransitionError> {
        self.approve(doors, &said("Approved", &verdict), clocks, verdict.time)?;
        self.verdicts.push(verdict);
        Ok(())
    }

    /// A person says no, for ever.
    pub fn refuse(&mut self, verdict: Verdict) -> Result<(), TransitionError> {
        self.moved(Event::Deny, &said("Denied", &verdict), verdict.time)?;
        self.verdicts.push(verdict);
        Ok(())
    }

    /// Its operator is denied: a pending request is refused, a grant cut.
    pub(in crate::requests) fn cut(&mut self, by: &Denied, now: UnixMillis) -> Result<(), TransitionError> {
        match self.state {
            State::Pending => self.refuse(by.verdict(now)),
            _ => self.revoke(by.revocation(), now),
        }
    }

    /// The yeses it has.
    pub fn approvals_had(&self) -> u32 {
        let yes = self.verdicts.iter().filter(|verdict| verdict.is(v1::Answer::Yes)).count();
        u32::try_from(yes).unwrap_or(u32::MAX)
    }

    /// The yeses it needs or needed: none where a rule alone decided.
    pub fn approvals_needed(&self) -> u32 {
        match self.operation() {
            // While it is being planned nobody knows.
            Some(operation) => {
                u32::from(operation.grant.methods.values().any(|level| *level == Level::Manual))
            }
            None => u32::from(self.deadlines.pending.is_some()),
        }
    }

    /// Whether a person said no to it.
    pub fn is_refused_by_person(&self) -> bool {
        self.verdicts.iter().any(|verdict| verdict.is(v1::Answer::No))
    }
}

impl Revocation {
    /// Why a run that it cuts is to stop; one sentence.
    pub fn why(&self) -> String {
        with_note(&format!("Revoked by {}", self.who), &self.note)
    }
}

impl Verdict {
    /// Whether it is this answer, and counts.
    pub fn is(&self, answer: v1::Answer) -> bool {
        !self.void && self.answer == answer
    }
}

impl Access {
    /// Whether it asks again for some of what a person's no to `before` was about: the methods that need a person by
    /// `policy`, or all where none does.
    pub fn repeats(&self, before: &Self, policy: &Policy) -> bool {
        let manual = |method: &MethodName| {
            policy.rule(method, before.raw).is_some_and(|rule| rule.approval == Approval::Manual)
        };
        let some = before.methods.keys().any(manual);
        let mut about = before.methods.keys().filter(|method| !some || manual(method));
        about.any(|method| self.methods.contains_key(method)) && !before.targets.is_disjoint(&self.targets)
    }
}

/// One sentence for the operator.
pub(super) fn said(what: &str, verdict: &Verdict) -> String {
    with_note(&format!("{what} by {}", verdict.who), &verdict.note)
}

/// A sentence with what a person said about it, if anything.
pub(in crate::requests) fn with_note(what: &str, note: &str) -> String {
    if note.is_empty() { what.to_owned() } else { format!("{what}: {note}") }
}

/// As many as an outcome can list.
const MAX_NOTICES: usize = 16;
