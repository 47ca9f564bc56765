//! Operations between their request and the end of their run: planned, decided by their plan, begun, followed, stopped.
//!
//! Planner and runner are told by level, not by edge: each turn says again what they have to do and do not do yet, so
//! that neither a full queue nor a restart loses anything. That a run begins is stored before the runner hears of it.

use std::{sync::Arc, time::Duration};

use tracing::{debug, info, warn};
use tunnel_certs::statement::request::operation::Start;
use tunnel_protos::{Digest, RequestId, UnixMillis};
use tunnel_runtime::chain;

use super::Clerk;
use crate::{
    approvers::CancelError,
    audit::Event,
    operations::{Ask, Order, PlanRefusal, Planned, Refused, RunState, Word},
    policy::{self, Decision, Reason},
    requests::{Record, answer, clerk::keep::KeepError, judge, office::Stopper, state::State},
    store::Store,
};

impl<S: Store> Clerk<S> {
    /// Takes a word of planner or runner; one about something that has moved on meanwhile is dropped.
    pub(super) async fn heard(&mut self, word: Word) {
        let now = self.shared.clock.now();
        match word {
            Word::Planned(id, result) => self.planned(id, result, now).await,
            Word::Stale(id, result) => self.stale(id, result, now).await,
            // Whoever asked has stopped meanwhile.
            Word::Turn { id, plan, reply } => drop(reply.send(self.its_turn(&id, plan, now))),
            Word::Moved { id, plan, state, why } => self.moved(id, plan, state, &why, now).await,
        }
    }

    /// Says what is to be planned, begun, run and stopped.
    pub(super) async fn hand_over(&mut self, now: UnixMillis) {
        let open: Vec<_> = {
            let book = self.shared.book.read();
            book.all().filter(|record| record.awaits_operations()).cloned().collect()
        };
        self.handed.retain(|id, _| open.iter().any(|record| record.id == *id));
        self.stale.retain(|id, _| self.shared.record(id).is_some_and(|record| record.state.is_open()));
        for record in open {
            if !record.begins_by_itself() {
                self.hand(&record, now);
            } else if !self.was_handed(&record.id, now) {
                // Not now: tried again at the next turn.
                let _ = self.begin(record.id).await;
            }
        }
    }

    /// Whether it was said, or tried, a moment ago.
    fn was_handed(&self, id: &RequestId, now: UnixMillis) -> bool {
        self.handed.get(id).is_some_and(|at| now.since(*at) < AGAIN)
    }

    fn hand(&mut self, record: &Record, now: UnixMillis) {
        let Some(operation) = record.operation() else { return };
        if let Some(why) = &operation.stop {
            self.shared.desk.cancel(&record.id, why);
        }
        if self.was_handed(&record.id, now) {
            return;
        }
        let (id, digest, asked) = (record.id, record.digest, (*operation.asked).clone());
        let told = match &operation.planned {
            Some(planned) if record.state == State::Running => {
                let (planned, operator) = ((**planned).clone(), record.operator.clone());
                self.shared.desk.start(Order { id, digest, planned, operation: asked, operator })
            }
            None => self.shared.desk.plan(Ask { id, digest, operation: asked }),
            Some(_) => return,
        };
        match told {
            Ok(()) => drop(self.handed.insert(id, now)),
            Err(error) => debug!(%error, request.id = %id.short(), "Not handed over yet"),
        }
    }

    async fn planned(&mut self, id: RequestId, result: Result<Planned, PlanRefusal>, now: UnixMillis) {
        let Some(mut record) = self.shared.record(&id).filter(Record::is_unplanned) else { return };
        if let (Ok(plan), Some(operation)) = (&result, record.operation_mut()) {
            operation.planned = Some(Arc::new(plan.clone()));
        }
        self.decide_planned(record, result.err(), now).await;
    }

    /// What the runner found before its first step is not what was planned: nothing was done, and what people said about
    /// the plan before counts no more.
    async fn stale(&mut self, id: RequestId, result: Result<Planned, PlanRefusal>, now: UnixMillis) {
        // Only now may it be started again, by what is decided here.
        self.shared.desk.release(&id);
        let Some(mut record) = self.shared.record(&id).filter(|record| record.state == State::Running) else {
            return;
        };
        if record.operation().is_some_and(|operation| operation.stop.is_some()) {
            return self.ran(record, RunState::Cancelled, "Stopped before its first step", now).await;
        }
        let (plan, refusal) = match result {
            Ok(plan) => (Some(plan), None),
            Err(refusal) => (None, Some(refusal)),
        };
        // It runs, as was looked at above.
        let _ = record.replan(plan, now);
        *self.stale.entry(id).or_default() += 1;
        self.decide_planned(record, refusal, now).await;
    }

    /// Decides about an operation that was planned, or could not be; what fails is planned again after a while.
    async fn decide_planned(&mut self, mut record: Record, refusal: Option<PlanRefusal>, now: UnixMillis) {
        let before = self.shared.record(&record.id).map(|record| record.state);
        match refusal {
            // A pending request can be denied.
            Some(refusal) => drop(record.refuse_plan(refusal, now)),
            None => self.judge_plan(&mut record, now),
        }
        let (id, state) = (record.id, record.state);
        match self.keep_planned(record, before != Some(state), now).await {
            Ok(()) => {
                self.handed.remove(&id);
                info!(request.id = %id.short(), state = state.name(), "Operation planned");
            }
            Err(error) => debug!(error = %chain(&error), request.id = %id.short(), "Plan not kept"),
        }
    }

    fn judge_plan(&self, record: &mut Record, now: UnixMillis) {
        let policy = self.policy.borrow().clone();
        let Some((asked, facts)) = record.operation().and_then(|operation| {
            operation.planned.as_ref().map(|planned| (operation.asked.clone(), planned.facts.clone()))
        }) else {
            return;
        };
        let decision = policy::decide_operation(&policy, &asked, &facts, record.issued, now);
        record.denied_before = self.shared.book.read().operation_denied_before(record);
        let paused = self.shared.standing.read(|orders| orders.pause.is_some());
        let decision = judge::temper(decision, paused, record.denied_before);
        let restless = self.stale.get(&record.id).is_some_and(|times| *times >= MOST_STALE);
        let decision = if restless && record.is_on_approval() { by_hand(decision) } else { decision };
        record.apply(&decision, policy.clocks(), now);
    }

    async fn keep_planned(
        &mut self,
        mut record: Record,
        moved: bool,
        now: UnixMillis,
    ) -> Result<(), KeepError> {
        if let Some(planned) = record.operation().and_then(|operation| operation.planned.clone()) {
            self.audit.record(planned_event(&record, &planned)).await.map_err(KeepError::Audit)?;
        }
        // Its outcome is not made if no key signs; the state counts all the same.
        let _ = answer::renew(&mut record, None, &self.room, now);
        let kept = if moved { self.open_up(record, now).await } else { self.keep(record, None, now).await };
        kept.map(drop)
    }

    /// Whether what waited, perhaps for days, may take its first step.
    fn its_turn(&self, id: &RequestId, plan: Digest, now: UnixMillis) -> Result<(), String> {
        let record = self.shared.record(id).filter(|record| record.runs_by(plan));
        let record = record.ok_or("It is not to run any more")?;
        let policy = self.policy.borrow().clone();
        self.shared.standing.read(|orders| judge::turn(&record, &policy, orders, now))
    }

    /// What a run under another plan became says nothing of this one.
    async fn moved(&mut self, id: RequestId, plan: Digest, state: RunState, why: &str, now: UnixMillis) {
        let record = self.shared.record(&id).filter(|record| record.runs_by(plan));
        if let Some(record) = record {
            self.ran(record, state, why, now).await;
        }
    }

    async fn ran(&mut self, mut record: Record, state: RunState, why: &str, now: UnixMillis) {
        if !state.is_over() {
            if record.why != why {
                why.clone_into(&mut record.why);
                // True at once; a failure to store is retried by itself.
                let _ = self.note(record, now).await;
            }
            return;
        }
        let clocks = *self.policy.borrow().clocks();
        // A run can end in each of these.
        let _ = record.run_ended(state, why, &clocks, now);
        info!(request.id = %record.id.short(), state = record.state.name(), "Operation ended");
        let _ = self.close(record, now).await;
    }

    /// Lets an approved operation begin, once; for one that has begun there is nothing to do.
    pub(super) async fn begin(&mut self, id: RequestId) -> Result<(), Refused> {
        let now = self.shared.clock.now();
        let mut record = self.shared.record(&id).filter(|record| record.operation().is_some());
        let record = record.as_mut().ok_or(Refused::Unknown)?;
        if record.state == State::Running || record.state.is_over_run() {
            return Ok(());
        }
        let policy = self.policy.borrow().clone();
        let orders = |orders: &_| judge::beginning(record, &policy, orders, now);
        self.shared.standing.read(orders).map_err(Refused::NotNow)?;
        record.begin(now).map_err(|_| Refused::NotNow(NOT_BEGUN.to_owned()))?;
        // As above.
        let _ = answer::renew(record, None, &self.room, now);
        let begun = match self.open_up(record.clone(), now).await {
            Ok(begun) => begun,
            Err(error) => {
                // Each try is recorded, so that a sick disk must not cause one per turn.
                self.handed.insert(id, now);
                warn!(error = %chain(&error), request.id = %id.short(), "Operation not begun");
                return Err(Refused::NotNow(NOT_BEGUN.to_owned()));
            }
        };
        info!(request.id = %id.short(), "Operation begun");
        self.handed.remove(&id);
        self.hand(&begun, now);
        Ok(())
    }

    /// Stops an operation: before it begins at once, later before its next step; the runner has been told.
    pub(super) async fn stop(&mut self, id: RequestId, by: Stopper) -> Result<(), CancelError> {
        let now = self.shared.clock.now();
        let record = self.shared.record(&id).filter(|record| record.operation().is_some());
        let mut record = record.ok_or(CancelError::Unknown)?;
        let why = by.why();
        let runs = record.state == State::Running;
        if record.state.is_over_run() || (runs && !record.stop(&why) && !self.unsaved.contains(&id)) {
            return Ok(());
        }
        if !runs {
            record.cancel(&why, now).map_err(|_| CancelError::NotNow(record.state.to_message()))?;
        }
        if let Some(by) = by.record() {
            // What tightens is in force whatever the audit log says: its writer keeps what it could not write.
            let _ = self.audit.record(Event::CancelOperation { request: id, by }).await;
        }
        let stored = if runs { self.note(record, now).await } else { self.close(record, now).await };
        stored.map_err(|error| CancelError::NotStored(Box::new(error)))
    }
}

/// What is found otherwise again and again would be planned, recorded and begun without a pause.
fn by_hand(decision: Decision) -> Decision {
    let text =
        "What was found changed again and again before it began, so a person must answer it".to_owned();
    let reason = Reason { rule: "restless".to_owned(), text };
    match decision {
        Decision::Auto(methods, _) => Decision::Manual(methods, reason),
        decision => decision,
    }
}

fn planned_event(record: &Record, planned: &Planned) -> Event {
    Event::Planned {
        request: record.id,
        operation: planned.plan.operation.clone(),
        title: planned.plan.title.clone(),
        plan: Digest::new(planned.digest()),
        steps: planned.plan.steps.len(),
    }
}

impl Record {
    /// Whether planner or runner have to do something about it.
    fn awaits_operations(&self) -> bool {
        let runs = self.state == State::Running && self.operation().is_some();
        self.is_unplanned() || self.begins_by_itself() || runs
    }

    fn is_on_approval(&self) -> bool {
        self.operation().is_some_and(|operation| operation.asked.start == Start::OnApproval)
    }

    fn runs_by(&self, plan: Digest) -> bool {
        let planned = self.operation().and_then(|operation| operation.planned.as_ref());
        self.state == State::Running && planned.is_some_and(|planned| Digest::new(planned.digest()) == plan)
    }
}

/// Of the customer's disks its operator is told no more.
const NOT_BEGUN: &str = "It was not begun: the customer's client cannot store that now; try again";

/// Longer than a plan may take: what was not answered by then is lost, or was forgotten.
const AGAIN: Duration = Duration::from_secs(60);

/// Once may be chance. Of what its operator begins, each plan waits for its operator anyway.
const MOST_STALE: usize = 2;
