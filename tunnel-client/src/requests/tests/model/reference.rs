//! The reference: what is true of requests and orders after each turn, without disk, keys or tasks.

use std::collections::BTreeSet;

use tunnel_protos::{Digest, UnixMillis};

use super::super::house::{HOUR, MINUTE};
use crate::{
    operations::RunState,
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
    /// Of an operation, which waits for its operator to begin.
    pub(super) operation: Option<Run>,
}

/// What is known of an operation besides.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Run {
    /// The number of its plan; none while it is being made.
    pub(super) plan: Option<u8>,
    pub(super) granted: bool,
    pub(super) claimed: bool,
    pub(super) stop: bool,
    pub(super) cut: bool,
    /// The end of its grant; nothing ends it while it runs and nobody has a certificate.
    pub(super) end: Option<UnixMillis>,
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

    pub(super) fn task(self) -> &'static str {
        match self {
            Self::Auto => "compact",
            Self::Manual => "reindex",
            Self::Unknown => "drop",
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

    /// Whether the gate may know it as anything but over.
    pub(super) fn is_open_at_the_gate(&self) -> bool {
        let Some(run) = &self.operation else { return self.is_live() };
        let stands = |state: State| state == State::Pending || state.is_live_grant() || state.is_over_run();
        run.granted && !run.cut && self.state.is_some_and(stands)
    }

    /// Whether its operator gets a certificate, as far as time and state say.
    fn holds_grant(&self, now: UnixMillis) -> bool {
        let Some(run) = &self.operation else { return self.is_live() };
        let in_time = match self.state {
            Some(State::Running) if !run.claimed => true,
            Some(state) if state.is_live_grant() || state.is_over_run() => {
                run.end.is_some_and(|end| end > now)
            }
            _ => false,
        };
        run.granted && !run.cut && in_time
    }

    /// A yes, by whomever: how long it may stay unused, unless it is in use already.
    fn granted(&mut self, now: UnixMillis) {
        self.due = Some(now.plus(30 * MINUTE));
        if let Some(run) = &mut self.operation {
            run.granted = true;
            if !run.claimed {
                run.end = self.due;
            }
            self.due = run.end;
        }
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
            let kind = other.operation.is_some() == ask.operation.is_some();
            same && kind && other.state.is_some() && other.refused
        };
        let person = self.paused || now.since(ask.issued) > STALE_AFTER || self.asks.iter().any(again);
        if ask.operation.is_some() {
            return self.arrive_operation(at, now);
        }
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

    fn arrive_operation(&mut self, at: usize, now: UnixMillis) {
        let ask = &self.asks[at];
        let denied =
            self.denied.contains(&ask.operator) || ask.method.approval(self.strict) == Approval::Deny;
        let ask = &mut self.asks[at];
        ask.state = Some(if denied { State::Denied } else { State::Pending });
        ask.due = Some(now.plus(2 * HOUR));
    }

    /// The planner's word.
    pub(super) fn plan(&mut self, at: usize, now: UnixMillis) {
        let unplanned = |run: &Run| run.plan.is_none();
        let ask = &self.asks[at];
        if ask.state == Some(State::Pending) && ask.operation.as_ref().is_some_and(unplanned) {
            self.decide(at, 0, now);
        }
    }

    /// The runner's word that the world has moved on.
    pub(super) fn stale(&mut self, at: usize, now: UnixMillis) {
        let ask = &mut self.asks[at];
        let Some(run) = ask.operation.clone().filter(|_| ask.state == Some(State::Running)) else { return };
        if run.stop {
            return self.ran(at, RunState::Cancelled, now);
        }
        ask.step(Event::Replan);
        ask.due = Some(ask.issued.plus(4 * HOUR).min(now.plus(2 * HOUR)));
        self.decide(at, run.plan.map_or(0, |plan| plan.wrapping_add(1)), now);
    }

    fn decide(&mut self, at: usize, plan: u8, now: UnixMillis) {
        let ask = &self.asks[at];
        let again = |other: &Ask| {
            let same = (other.operator, other.method) == (ask.operator, ask.method);
            same && other.operation.is_some() && other.state.is_some() && other.refused
        };
        let person = self.paused || now.since(ask.issued) > STALE_AFTER || self.asks.iter().any(again);
        let approval = ask.method.approval(self.strict);
        let ask = &mut self.asks[at];
        if let Some(run) = &mut ask.operation {
            run.plan = Some(plan);
        }
        match approval {
            Approval::Deny => {
                ask.step(Event::Deny);
            }
            Approval::Auto if !person => {
                ask.by_person = false;
                ask.step(Event::Approve);
                ask.granted(now);
            }
            Approval::Auto | Approval::Manual => ask.by_person = true,
        }
    }

    pub(super) fn ran(&mut self, at: usize, state: RunState, now: UnixMillis) {
        let ask = &mut self.asks[at];
        let event = match state {
            RunState::Running => return,
            RunState::Succeeded => Event::Succeed,
            RunState::Failed => Event::Fail,
            RunState::RolledBack => Event::RollBack,
            RunState::Cancelled => Event::Cancel,
            RunState::Indeterminate => Event::Lose,
        };
        let runs = ask.state == Some(State::Running);
        if let Some(run) = ask.operation.as_mut().filter(|_| runs) {
            if !run.claimed {
                run.end = Some(now.plus(30 * MINUTE));
            }
            ask.step(event);
        }
    }

    pub(super) fn begin(&mut self, at: usize) -> bool {
        let (paused, strict) = (self.paused, self.strict);
        let refused = self.denied.contains(&self.asks[at].operator);
        let ask = &mut self.asks[at];
        if ask.operation.is_none() {
            return false;
        }
        if ask.state.is_some_and(|state| state == State::Running || state.is_over_run()) {
            return true;
        }
        let begins = ask.state == Some(State::Approved) && !paused && !refused && ask.passes(strict);
        begins && ask.step(Event::Begin)
    }

    pub(super) fn stop(&mut self, at: usize) -> bool {
        let ask = &mut self.asks[at];
        let (Some(run), Some(state)) = (&mut ask.operation, ask.state) else { return false };
        if state == State::Running {
            run.stop = true;
        }
        state == State::Running || state.is_over_run() || ask.step(Event::Cancel)
    }

    pub(super) fn approve(&mut self, at: usize, signed: Option<Digest>, now: UnixMillis) -> bool {
        let ask = &self.asks[at];
        let planned = ask.operation.as_ref().is_none_or(|run| run.plan.is_some());
        let allowed = ask.state == Some(State::Pending) && planned && ask.passes(self.strict) && !self.paused;
        let fresh = signed.is_none_or(|digest| !self.used.contains(&digest));
        if !allowed || !fresh || self.denied.contains(&ask.operator) {
            return false;
        }
        self.used.extend(signed);
        self.asks[at].granted(now);
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
        if !own || self.paused || !ask.holds_grant(now) || !ask.passes(self.strict) {
            return false;
        }
        let ask = &mut self.asks[at];
        if let Some(run) = &mut ask.operation {
            if !std::mem::replace(&mut run.claimed, true) {
                run.end = Some(now.plus(30 * MINUTE));
                ask.due = run.end;
            }
            return true;
        }
        if ask.state == Some(State::Approved) {
            ask.due = Some(now.plus(30 * MINUTE));
        }
        ask.step(Event::Claim)
    }

    pub(super) fn revoke(&mut self, at: usize, now: UnixMillis) -> bool {
        let ask = &mut self.asks[at];
        let runs = ask.state == Some(State::Running);
        let over = ask.state.is_some_and(State::is_over_run);
        if ask.operation.is_none() || !(runs || over) {
            return ask.step(Event::Revoke);
        }
        let cuts = runs || ask.holds_grant(now);
        if let Some(run) = ask.operation.as_mut().filter(|_| cuts) {
            run.stop |= runs;
            return !std::mem::replace(&mut run.cut, true);
        }
        false
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

    pub(super) fn deny_operator(&mut self, operator: usize, now: UnixMillis) -> bool {
        self.denied.insert(operator);
        self.cut(now);
        true
    }

    /// Nothing of a denied operator is open.
    pub(super) fn cut(&mut self, now: UnixMillis) {
        for at in 0..self.asks.len() {
            if self.denied.contains(&self.asks[at].operator) && !self.deny(at) {
                self.revoke(at, now);
            }
        }
    }

    pub(super) fn elapse(&mut self, now: UnixMillis) {
        self.asks.iter_mut().for_each(|ask| *ask = ask.at(now));
    }
}
