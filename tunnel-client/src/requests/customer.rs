//! What the customer's people order: tightened here and now in memory, then handed to the clerk; loosened by the
//! clerk alone.

use tokio::sync::oneshot;
use tunnel_protos::{
    Digest, GrantId, OperatorName, PauseId, PersonText, RequestId, UnixMillis,
    approvers::{OperatorView, PauseView},
};

use super::{
    PauseState, Requests,
    clerk::Order,
    handle::answered,
    judge::Shown,
    orders::Denied,
    pause::Pause,
    word::{Consent, Word},
};
use crate::{
    approvers::{
        AnswerError, Approver, ClockError, OperatorDenied, OperatorError, ResumeError, RevokeError, Revoked,
        StoreFault, Who,
    },
    gate::grants::{Life, Over},
};

impl Requests {
    /// Says yes to a pending request whose envelope has this digest, and whose plan that one if it is an operation.
    pub async fn approve(
        &self,
        request: RequestId,
        digest: Digest,
        plan: Option<Digest>,
        note: PersonText,
        by: Approver,
    ) -> Result<(), AnswerError> {
        let shown = Shown { request: digest, plan };
        let answer = self.order(|reply| Order::Approve(request, shown, Consent { by, note }, reply)).await;
        answer.unwrap_or_else(|fault| Err(AnswerError::NotStored(fault)))
    }

    /// Says no to a pending request, for ever; a digest that is given must be the envelope's.
    pub async fn deny(
        &self,
        request: RequestId,
        shown: Option<Digest>,
        note: PersonText,
        by: Who,
    ) -> Result<(), AnswerError> {
        let answer = self.order(|reply| Order::Deny(request, shown, Word { by, note }, reply)).await;
        answer.unwrap_or_else(|fault| Err(AnswerError::NotStored(fault)))
    }

    /// Cuts a live grant: its sessions at once, then for ever.
    pub async fn revoke(&self, grant: GrantId, note: PersonText, by: Who) -> Result<Revoked, RevokeError> {
        let record = self.shared.record(&grant.into()).ok_or(RevokeError::Unknown)?;
        if !record.holds_grant(self.shared.clock.now()) && !record.is_cut() {
            return Err(RevokeError::NotLive(record.state.to_message()));
        }
        let sessions_cut = self.sessions(&grant);
        let word = Word { by, note };
        // In memory first: this works with a full disk and behind a long queue.
        self.shared.grants.set_life(&grant, Life::Over(Over::Revoked));
        self.stop_run(&record, &word.revocation().why());
        let revoked = self.order(|reply| Order::Revoke(grant, word, reply)).await;
        revoked.unwrap_or_else(|fault| Err(RevokeError::NotStored(fault)))?;
        Ok(Revoked { sessions_cut })
    }

    /// Stops everything, in memory first; an earlier pause stays as it is.
    pub async fn pause(&self, note: PersonText, by: Who) -> PauseView {
        let sessions_cut = count(self.shared.view.sessions());
        let pause = Pause {
            id: PauseId::random(),
            since: self.shared.clock.now(),
            who: by.to_string(),
            note: note.to_string(),
            stored: false,
        };
        let in_force = self.shared.standing.change(|orders| orders.ask_for(pause.clone()));
        let kept = self.order(|reply| Order::KeepPause(pause, Word { by, note }, reply)).await;
        let pause = kept.unwrap_or(Pause { stored: false, ..in_force });
        PauseView { sessions_cut, ..pause.view() }
    }

    /// The pause in force.
    pub fn pause_view(&self) -> Option<PauseView> {
        self.shared.standing.read(|orders| orders.pause.as_ref().map(Pause::view))
    }

    /// The pause, as it comes and goes.
    pub fn paused(&self) -> PauseState {
        self.shared.standing.paused()
    }

    /// Ends the pause of this id.
    pub async fn resume(&self, pause: PauseId, note: PersonText, by: Approver) -> Result<(), ResumeError> {
        let asked = self.shared.standing.read(|orders| orders.asked);
        let resumed = self.order(|reply| Order::Resume(pause, asked, Consent { by, note }, reply)).await;
        resumed.unwrap_or_else(|fault| Err(ResumeError::NotStored(fault)))
    }

    /// Refuses an operator from now on and ends all that it has, in memory first.
    pub async fn deny_operator(
        &self,
        operator: OperatorName,
        note: PersonText,
        by: Who,
    ) -> Result<OperatorDenied, OperatorError> {
        let denied = Denied { since: self.shared.clock.now(), who: by.to_string(), note: note.to_string() };
        self.shared.standing.change(|orders| {
            let room = orders.denied.len() < MAX_DENIED || orders.denied.contains_key(&operator);
            if !room {
                return Err(OperatorError::Full);
            }
            orders.denied.insert(operator.clone(), denied.clone());
            Ok(())
        })?;
        let cut = self.cut_grants_of(&operator);
        self.stop_runs_of(&operator, &denied.revocation().why());
        let done = self.order(|reply| Order::DenyOperator(operator, Word { by, note }, reply)).await;
        done.unwrap_or_else(|fault| Err(OperatorError::NotStored(fault)))?;
        Ok(cut)
    }

    fn cut_grants_of(&self, operator: &OperatorName) -> OperatorDenied {
        let (pending, live) = self.shared.book.read().open_of(operator, self.shared.clock.now());
        let cut = |id: &RequestId| {
            let sessions = self.sessions(&(*id).into());
            self.shared.grants.set_life(&(*id).into(), Life::Over(Over::Revoked));
            sessions
        };
        OperatorDenied {
            sessions_cut: live.iter().map(cut).sum(),
            requests_denied: count(pending),
            grants_revoked: count(live.len()),
        }
    }

    /// Also runs whose grant has ended by itself.
    fn stop_runs_of(&self, operator: &OperatorName, why: &str) {
        let book = self.shared.book.read();
        book.all()
            .filter(|record| record.operator == *operator)
            .for_each(|record| self.stop_run(record, why));
    }

    /// Takes an operator off the deny list.
    pub async fn allow_operator(
        &self,
        operator: OperatorName,
        note: PersonText,
        by: Approver,
    ) -> Result<(), OperatorError> {
        let done = self.order(|reply| Order::AllowOperator(operator, Consent { by, note }, reply)).await;
        done.unwrap_or_else(|fault| Err(OperatorError::NotStored(fault)))
    }

    /// The operators that are denied.
    pub fn denied_operators(&self) -> Vec<String> {
        self.shared.standing.read(|orders| orders.denied.keys().map(ToString::to_string).collect())
    }

    /// Operators that asked here, and those that are denied, by name.
    pub fn operators(&self) -> Vec<OperatorView> {
        let mut views = self.shared.book.read().operators();
        for (id, view) in self.shared.book.read().live(self.shared.clock.now()) {
            let sessions = self.sessions(&id.into());
            views.entry(view).or_default().sessions_open += sessions;
        }
        self.shared.standing.read(|orders| {
            for (operator, denied) in &orders.denied {
                let view = views.entry(operator.clone()).or_default();
                view.denied_since_ms = denied.since.0;
                view.denied_by.clone_from(&denied.who);
                view.denied_note.clone_from(&denied.note);
            }
        });
        let named = |(operator, view): (OperatorName, OperatorView)| OperatorView {
            operator: operator.to_string(),
            ..view
        };
        views.into_iter().map(named).collect()
    }

    /// Sets the highest time ever seen to `to`; says what it was before. All open requests and grants are void.
    pub async fn reset_clock(
        &self,
        to: UnixMillis,
        note: PersonText,
        by: Approver,
    ) -> Result<UnixMillis, ClockError> {
        let reset = self.order(|reply| Order::ResetClock(to, Consent { by, note }, reply)).await;
        reset.unwrap_or_else(|fault| Err(ClockError::NotStored(fault)))
    }

    pub(super) async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<T>) -> Order,
    ) -> Result<T, StoreFault> {
        answered(&self.orders, order).await.map_err(|error| Box::new(error) as StoreFault)
    }
}

impl Pause {
    fn view(&self) -> PauseView {
        PauseView {
            id: self.id.to_string(),
            since_ms: self.since.0,
            who: self.who.clone(),
            note: self.note.clone(),
            sessions_cut: 0,
            stored: self.stored,
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Far more than a vendor employs.
pub(super) const MAX_DENIED: usize = 4096;
