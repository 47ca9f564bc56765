//! The reference: what is true of requests and orders after each turn, without disk, keys or tasks.

use std::collections::BTreeSet;

use tunnel_protos::{Digest, UnixMillis};

use super::super::house::{HOUR, MINUTE};
use crate::{
    policy::{Approval, STALE_AFTER},
    requests::state::{Event, State},
};

/// Everything that is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Model {
    pub(super) asks: Vec<Ask>,
    pub(super) paused: bool,
    pub(super) denied: BTreeSet<usize>,
    pub(super) used: BTreeSet<Digest>,
    pub(super) strict: bool,
}

/// One access request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ask {
    pub(super) operator: usize,
    pub(super) method: Method,
    pub(super) issued: UnixMillis,
    /// None while the client knows nothing of it.
    pub(super) state: Option<State>,
    pub(super) by_person: bool,
    pub(super) refused: bool,
    pub(super) due: Option<UnixMillis>,
}

/// The methods that are asked for, by what the policy says of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Auto,
    Manual,
    Unknown,
}

impl Method {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Auto => "e.Admin/Get",
            Self::Manual => "e.Admin/Compact",
            Self::Unknown => "e.Admin/Drop",
        }
    }

    /// A strict policy is one step stricter with each.
    fn approval(self, strict: bool) -> Approval {
        match (self, strict) {
            (Self::Auto, false) => Approval::Auto,
            (Self::Auto, true) | (Self::Manual, false) => Approval::Manual,
            (Self::Manual, true) | (Self::Unknown, _) => Approval::Deny,
        }
    }
}

impl Ask {
    fn step(&mut self, event: Event) -> bool {
        let next = self.state.and_then(|state| state.after(event));
        self.state = next.or(self.state);
        next.is_some()
    }

    /// As it is at `now` if nothing else happens.
    pub(super) fn at(&self, now: UnixMillis) -> Self {
        let mut ask = self.clone();
        if ask.due.is_some_and(|due| due <= now) {
            ask.step(Event::Elapse);
        }
        ask
    }

    pub(super) fn is_live(&self) -> bool {
        self.state.is_some_and(State::is_live_grant)
    }

    /// Whether `strict` or not, the policy lets it pass at the level that it has or would get.
    fn passes(&self, strict: bool) -> bool {
        let widest = if self.by_person { Approval::Manual } else { Approval::Auto };
        self.method.approval(strict) <= widest
    }
}

impl Model {
    /// It arrives; a known one changes nothing.
    pub(super) fn arrive(&mut self, at: usize, now: UnixMillis) {
        let ask = &self.asks[at];
        if ask.state.is_some() {
            return;
        }
        let again = |other: &Ask| {
            let same = (other.operator, other.method) == (ask.operator, ask.method);
            same && other.state.is_some() && other.refused
        };
        let person = self.paused || now.since(ask.issued) > STALE_AFTER || self.asks.iter().any(again);
        let state = match ask.method.approval(self.strict) {
            Approval::Deny => State::Denied,
            _ if self.denied.contains(&ask.operator) => State::Denied,
            Approval::Auto if !person => State::Approved,
            Approval::Auto | Approval::Manual => State::Pending,
        };
        let ask = &mut self.asks[at];
        ask.state = Some(state);
        ask.by_person = state == State::Pending;
        ask.due = Some(now.plus(if state == State::Pending { 2 * HOUR } else { 30 * MINUTE }));
    }

    pub(super) fn approve(&mut self, at: usize, signed: Option<Digest>, now: UnixMillis) -> bool {
        let ask = &self.asks[at];
        let allowed = ask.state == Some(State::Pending) && ask.passes(self.strict) && !self.paused;
        let fresh = signed.is_none_or(|digest| !self.used.contains(&digest));
        if !allowed || !fresh || self.denied.contains(&ask.operator) {
            return false;
        }
        self.used.extend(signed);
        self.asks[at].due = Some(now.plus(30 * MINUTE));
        self.asks[at].step(Event::Approve)
    }

    pub(super) fn deny(&mut self, at: usize) -> bool {
        let ask = &mut self.asks[at];
        ask.refused |= ask.state == Some(State::Pending);
        ask.step(Event::Deny)
    }

    pub(super) fn withdraw(&mut self, at: usize, by: usize) -> bool {
        let own = self.asks[at].operator == by && !self.denied.contains(&by);
        own && self.asks[at].step(Event::Withdraw)
    }

    pub(super) fn certify(&mut self, at: usize, by: usize, now: UnixMillis) -> bool {
        let ask = &self.asks[at];
        let own = ask.operator == by && !self.denied.contains(&by);
        if !own || self.paused || !ask.is_live() || !ask.passes(self.strict) {
            return false;
        }
        let ask = &mut self.asks[at];
        if ask.state == Some(State::Approved) {
            ask.due = Some(now.plus(30 * MINUTE));
        }
        ask.step(Event::Claim)
    }

    pub(super) fn revoke(&mut self, at: usize) -> bool {
        self.asks[at].step(Event::Revoke)
    }

    pub(super) fn resume(&mut self, signed: Option<Digest>) -> bool {
        let fresh = signed.is_none_or(|digest| !self.used.contains(&digest));
        let resumed = self.paused && fresh;
        if resumed {
            self.paused = false;
            self.used.extend(signed);
        }
        resumed
    }

    pub(super) fn deny_operator(&mut self, operator: usize) -> bool {
        self.denied.insert(operator);
        self.cut();
        true
    }

    /// Nothing of a denied operator is open.
    pub(super) fn cut(&mut self) {
        for at in 0..self.asks.len() {
            if self.denied.contains(&self.asks[at].operator) && !self.deny(at) {
                self.revoke(at);
            }
        }
    }

    pub(super) fn elapse(&mut self, now: UnixMillis) {
        self.asks.iter_mut().for_each(|ask| *ask = ask.at(now));
    }
}
