//! A request for an operation: its plan, which a yes is about, and how its run moves it. The grant part is as an access's.

use std::{sync::Arc, time::Duration};

use tunnel_certs::statement::request::{
    Operation,
    operation::{Start, What},
};
use tunnel_protos::{TargetName, UnixMillis};

use super::{Access, Deadlines, Event, Record, State, Subject, TransitionError};
use crate::{
    gate::grants::{Life, Operated, Over},
    operations::{PlanRefusal, Planned, RunState},
    policy::Clocks,
};

/// An operation that is asked for, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Operating {
    /// As asked.
    pub asked: Arc<Operation>,
    /// The plan; none while it is being made.
    pub planned: Option<Arc<Planned>>,
    /// Its methods, its one door and its certificates.
    pub grant: Access,
    /// Why its run is to stop, if somebody said so.
    pub stop: Option<String>,
    /// Why it could not be planned, with what was found: for the customer, whose operators are told less.
    pub refused: Option<String>,
    /// Why the customer cut its grant, if somebody did; the state goes on telling of the run.
    pub cut: Option<String>,
}

impl Operating {
    /// As asked, not planned yet.
    pub(super) fn new(asked: &Operation) -> Self {
        let target = TARGET.parse::<TargetName>();
        let grant =
            Access { targets: target.into_iter().collect(), wanted: asked.wanted, ..Access::default() };
        Self { asked: Arc::new(asked.clone()), planned: None, grant, stop: None, refused: None, cut: None }
    }

    /// What calls under its grant are checked against; none before its first plan.
    pub(super) fn operated(&self) -> Option<Operated> {
        let facts = self.planned.as_ref()?.facts.clone();
        Some(Operated { asked: (*self.asked).clone(), facts })
    }

    /// Whether it asks again for what a person's no to `before` was about: the same kind, of the same thing.
    pub fn repeats(&self, before: &Self) -> bool {
        match (&self.asked.what, &before.asked.what) {
            (What::Scale(now), What::Scale(then)) => now.component == then.component,
            (What::Restart(now), What::Restart(then)) => now.component == then.component,
            (What::Configure(now), What::Configure(then)) => now.component == then.component,
            (What::RunTask(now), What::RunTask(then)) => now.task == then.task,
            (What::Upgrade(now), What::Upgrade(then)) => {
                let then: Vec<_> = then.components.iter().map(|upgrade| &upgrade.component).collect();
                now.components.iter().any(|upgrade| then.contains(&&upgrade.component))
            }
            (What::CollectDebug(now), What::CollectDebug(then)) => {
                now.collectors.iter().any(|collector| then.collectors.contains(collector))
            }
            _ => false,
        }
    }
}

impl Record {
    /// The operation part, if it asks for one.
    pub fn operation(&self) -> Option<&Operating> {
        match &self.subject {
            Subject::Operation(operation) => Some(operation),
            _ => None,
        }
    }

    /// The operation part, to be changed.
    pub(in crate::requests) fn operation_mut(&mut self) -> Option<&mut Operating> {
        match &mut self.subject {
            Subject::Operation(operation) => Some(operation),
            _ => None,
        }
    }

    /// Waits for its plan: nobody can decide about it yet.
    pub fn is_unplanned(&self) -> bool {
        self.state == State::Pending && self.operation().is_some_and(|operation| operation.planned.is_none())
    }

    /// Approved, and to begin without another word.
    pub fn begins_by_itself(&self) -> bool {
        let by_itself = |asked: &Operation| asked.start == Start::OnApproval && !asked.dry_run;
        self.state == State::Approved && self.operation().is_some_and(|operation| by_itself(&operation.asked))
    }

    /// Its run begins, or waits for its turn.
    pub(in crate::requests) fn begin(&mut self, now: UnixMillis) -> Result<(), TransitionError> {
        self.moved(Event::Begin, "Waits for its turn", now)
    }

    /// The world has moved on before the first step: what was said about the plan before counts no more.
    pub(in crate::requests) fn replan(
        &mut self,
        plan: Option<Planned>,
        now: UnixMillis,
    ) -> Result<(), TransitionError> {
        self.moved(Event::Replan, "Planned again, because what was found has changed", now)?;
        self.verdicts.iter_mut().for_each(|verdict| verdict.void = true);
        // People are told of the new plan as of a new request.
        self.notices.clear();
        if self.deadlines.work.is_none() {
            self.deadlines.claim = None;
        }
        if let Some(operation) = self.operation_mut() {
            operation.planned = plan.map(Arc::new);
        }
        Ok(())
    }

    /// There is no plan for it.
    pub(in crate::requests) fn refuse_plan(
        &mut self,
        refusal: PlanRefusal,
        now: UnixMillis,
    ) -> Result<(), TransitionError> {
        self.deny(&refusal.told, now)?;
        self.rule = refusal.rule;
        if let Some(operation) = self.operation_mut().filter(|_| refusal.why != refusal.told) {
            operation.refused = Some(refusal.why);
        }
        Ok(())
    }

    /// Why it stands where it stands, as the customer may know it.
    pub(in crate::requests) fn why_here(&self) -> &str {
        self.operation().and_then(|operation| operation.refused.as_deref()).unwrap_or(&self.why)
    }

    /// Its run came to its end; without a certificate so far, its operator has the claim window to look at it.
    pub(in crate::requests) fn run_ended(
        &mut self,
        state: RunState,
        why: &str,
        clocks: &Clocks,
        now: UnixMillis,
    ) -> Result<(), TransitionError> {
        if let Some(event) = Event::of_run(state) {
            self.moved(event, why, now)?;
        }
        if self.deadlines.work.is_none() {
            self.deadlines.claim = Some(now.plus(clocks.claim_window));
        }
        Ok(())
    }

    /// Its run is to stop before its next step; false if that was said before.
    pub(in crate::requests) fn stop(&mut self, why: &str) -> bool {
        let unsaid = self.operation_mut().filter(|operation| operation.stop.is_none());
        unsaid.map(|operation| operation.stop = Some(why.to_owned())).is_some()
    }

    /// Why its run is to stop; none while it is not, or is over.
    pub(in crate::requests) fn stopping(&self) -> Option<&str> {
        let runs = self.operation().filter(|_| self.state == State::Running);
        runs.and_then(|operation| operation.stop.as_deref())
    }

    /// Stopped before it began.
    pub(in crate::requests) fn cancel(&mut self, why: &str, now: UnixMillis) -> Result<(), TransitionError> {
        self.moved(Event::Cancel, why, now)?;
        self.drop_plan();
        Ok(())
    }

    /// Of what is over without a run, only which plan it was stays: many are remembered, and each may be large.
    pub(super) fn drop_plan(&mut self) {
        if let Some(operation) = self.operation_mut() {
            let digest = operation.planned.as_ref().map(|planned| planned.digest());
            operation.planned = digest.map(|digest| Arc::new(Planned::dropped(digest, &operation.asked)));
        }
    }

    /// Nobody can say what became of its run.
    pub(in crate::requests) fn lose(&mut self, why: &str, now: UnixMillis) -> Result<(), TransitionError> {
        self.moved(Event::Lose, why, now)?;
        self.cut_grant(why);
        Ok(())
    }

    /// Cuts the grant of an operation that runs or is over, whose state tells of its run; false for everything else.
    pub(super) fn cut_run(&mut self, why: &str, now: UnixMillis) -> bool {
        let runs = self.state == State::Running;
        if !runs && !self.lingers(now) {
            return false;
        }
        self.cut_grant(why);
        if let Some(operation) = self.operation_mut().filter(|_| runs) {
            operation.stop.get_or_insert_with(|| why.to_owned());
        }
        true
    }

    fn cut_grant(&mut self, why: &str) {
        if let Some(operation) = self.operation_mut() {
            operation.cut.get_or_insert_with(|| why.to_owned());
        }
    }

    /// Whether its grant was cut by the customer.
    pub fn is_cut(&self) -> bool {
        self.state == State::Revoked || self.operation().is_some_and(|operation| operation.cut.is_some())
    }

    /// Over, but its operator may still look at it.
    pub fn lingers(&self, now: UnixMillis) -> bool {
        let ran = |operation: &Operating| !operation.grant.doors.is_empty() && operation.cut.is_none();
        self.state.is_over_run()
            && self.operation().is_some_and(ran)
            && self.grant_end().is_some_and(|end| end > now)
    }

    /// Whether certificates may be issued under it.
    pub fn holds_grant(&self, now: UnixMillis) -> bool {
        let live = self.state.is_live_grant() && !self.is_cut();
        (live && self.grant_end().is_none_or(|end| end > now)) || self.lingers(now)
    }

    /// When its grant ends by itself; none while nothing ends it: a run that nobody looks at goes on.
    pub fn grant_end(&self) -> Option<UnixMillis> {
        let Deadlines { work, claim, .. } = self.deadlines;
        work.or_else(|| claim.filter(|_| self.state != State::Running))
    }

    /// The life of an operation's grant.
    pub(super) fn operation_life(&self, operation: &Operating) -> Life {
        if operation.cut.is_some() {
            return Life::Over(Over::Revoked);
        }
        let runs = self.state.is_live_grant() || self.state.is_over_run();
        match (self.state, self.deadlines.work) {
            // Planned again: what was approved is not what would be done, so nothing passes until somebody says yes.
            (State::Pending, _) => Life::Waiting,
            (_, Some(until)) if runs => Life::Active { until },
            (_, None) if runs => Life::Waiting,
            (state, _) => Life::Over(state.over().unwrap_or(Over::Ended)),
        }
    }

    /// The end of the time in which an operation's tombstone answers.
    pub(super) fn forget_operation_at(&self, tombstone: Duration) -> UnixMillis {
        self.grant_end().unwrap_or(self.since).max(self.since).plus(tombstone)
    }
}

impl Event {
    /// What the end of a run does to its request; none while it runs.
    pub(super) fn of_run(state: RunState) -> Option<Self> {
        match state {
            RunState::Running => None,
            RunState::Succeeded => Some(Self::Succeed),
            RunState::Failed => Some(Self::Fail),
            RunState::RolledBack => Some(Self::RollBack),
            RunState::Cancelled => Some(Self::Cancel),
            RunState::Indeterminate => Some(Self::Lose),
        }
    }
}

/// The target that the grant of an operation leads to; no endpoint of a profile may have its name.
const TARGET: &str = "operations";
