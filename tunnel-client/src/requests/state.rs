//! The states of a request and which event leads where; everything else about a request follows from this table.

use tunnel_protos::v1;

use crate::gate::grants::Over;

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for a person.
    Pending,
    /// A grant that was not used yet.
    Approved,
    /// A grant in use.
    Active,
    /// Refused, for ever.
    Denied,
    /// Nobody answered, or nobody used it, in time.
    Expired,
    /// The operator took it back before using it.
    Withdrawn,
    /// The grant came to its end.
    Ended,
    /// The customer cut the grant.
    Revoked,
    /// A certificate or withdraw request was carried out.
    Done,
    /// An operation that was started, or waits for its turn.
    Running,
    /// Every step of the operation is done.
    Succeeded,
    /// The operation stopped; what was done stays done.
    Failed,
    /// The operation stopped; what was done was taken back.
    RolledBack,
    /// Somebody stopped the operation.
    Cancelled,
    /// Nobody knows what became of the operation.
    Indeterminate,
}

/// What can happen to a request for access or for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Rule or person said yes.
    Approve,
    /// Rule or person said no.
    Deny,
    /// A certificate was issued.
    Claim,
    /// The time of this state is over.
    Elapse,
    /// The operator takes it back.
    Withdraw,
    /// The customer cuts it.
    Revoke,
    /// Its run begins.
    Begin,
    /// The world has moved on before the first step of its run: planned again.
    Replan,
    /// Its run did all that was planned.
    Succeed,
    /// Its run stopped.
    Fail,
    /// Its run was taken back.
    RollBack,
    /// Somebody stopped it.
    Cancel,
    /// Nobody knows what became of its run.
    Lose,
}

impl State {
    /// Where `event` leads from here; none if it cannot happen here.
    pub fn after(self, event: Event) -> Option<Self> {
        match (self, event) {
            (Self::Pending, Event::Approve) => Some(Self::Approved),
            (Self::Pending, Event::Deny) => Some(Self::Denied),
            (Self::Pending | Self::Approved, Event::Elapse) => Some(Self::Expired),
            (Self::Pending | Self::Approved, Event::Withdraw) => Some(Self::Withdrawn),
            (Self::Approved | Self::Active, Event::Claim) => Some(Self::Active),
            (Self::Approved | Self::Active, Event::Revoke) => Some(Self::Revoked),
            (Self::Active, Event::Elapse | Event::Withdraw) => Some(Self::Ended),
            (Self::Approved, Event::Begin) => Some(Self::Running),
            (Self::Approved | Self::Running, Event::Cancel) => Some(Self::Cancelled),
            (Self::Running, Event::Replan) => Some(Self::Pending),
            (Self::Running, Event::Succeed) => Some(Self::Succeeded),
            (Self::Running, Event::Fail) => Some(Self::Failed),
            (Self::Running, Event::RollBack) => Some(Self::RolledBack),
            (Self::Running, Event::Lose) => Some(Self::Indeterminate),
            _ => None,
        }
    }

    /// Whether certificates may be issued under it.
    pub fn is_live_grant(self) -> bool {
        matches!(self, Self::Approved | Self::Active | Self::Running)
    }

    /// Whether it tells of a run that is over: nothing happens to it any more, but its grant may still be looked through.
    pub fn is_over_run(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::RolledBack | Self::Cancelled | Self::Indeterminate
        )
    }

    /// Whether something can still happen to it.
    pub fn is_open(self) -> bool {
        self == Self::Pending || self.is_live_grant()
    }

    /// How the gate names the end of a grant in this state.
    pub fn over(self) -> Option<Over> {
        match self {
            Self::Pending | Self::Approved | Self::Active | Self::Done | Self::Running => None,
            Self::Expired => Some(Over::Expired),
            Self::Withdrawn => Some(Over::Withdrawn),
            Self::Revoked => Some(Over::Revoked),
            Self::Ended | Self::Denied => Some(Over::Ended),
            Self::Succeeded | Self::Failed | Self::RolledBack | Self::Cancelled | Self::Indeterminate => {
                Some(Over::Ended)
            }
        }
    }

    /// For metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Active => "active",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Ended => "ended",
            Self::Revoked => "revoked",
            Self::Done => "done",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::RolledBack => "rolledBack",
            Self::Cancelled => "cancelled",
            Self::Indeterminate => "indeterminate",
        }
    }

    /// For messages.
    pub fn to_message(self) -> v1::RequestState {
        MESSAGES.iter().find(|(state, _)| *state == self).map_or(v1::RequestState::Unspecified, |(_, m)| *m)
    }

    /// From a message; none for states of other kinds of request.
    pub fn from_message(message: v1::RequestState) -> Option<Self> {
        MESSAGES.iter().find(|(_, m)| *m == message).map(|(state, _)| *state)
    }
}

const MESSAGES: [(State, v1::RequestState); 15] = [
    (State::Pending, v1::RequestState::Pending),
    (State::Approved, v1::RequestState::Approved),
    (State::Active, v1::RequestState::Active),
    (State::Denied, v1::RequestState::Denied),
    (State::Expired, v1::RequestState::Expired),
    (State::Withdrawn, v1::RequestState::Withdrawn),
    (State::Ended, v1::RequestState::Ended),
    (State::Revoked, v1::RequestState::Revoked),
    (State::Done, v1::RequestState::Done),
    (State::Running, v1::RequestState::Running),
    (State::Succeeded, v1::RequestState::Succeeded),
    (State::Failed, v1::RequestState::Failed),
    (State::RolledBack, v1::RequestState::RolledBack),
    (State::Cancelled, v1::RequestState::Cancelled),
    (State::Indeterminate, v1::RequestState::Indeterminate),
];

#[cfg(test)]
impl Event {
    /// Each of them.
    pub(super) const ALL: [Self; 13] = [
        Self::Approve,
        Self::Deny,
        Self::Claim,
        Self::Elapse,
        Self::Withdraw,
        Self::Revoke,
        Self::Begin,
        Self::Replan,
        Self::Succeed,
        Self::Fail,
        Self::RollBack,
        Self::Cancel,
        Self::Lose,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transition_is_as_designed() {
        use Event::{
            Approve, Begin, Cancel, Claim, Deny, Elapse, Fail, Lose, Replan, Revoke, RollBack, Succeed,
            Withdraw,
        };
        use State::{
            Active, Approved, Cancelled, Denied, Ended, Expired, Failed, Indeterminate, Pending, Revoked,
            RolledBack, Running, Succeeded, Withdrawn,
        };
        let allowed = [
            (Pending, Approve, Approved),
            (Pending, Deny, Denied),
            (Pending, Elapse, Expired),
            (Pending, Withdraw, Withdrawn),
            (Approved, Claim, Active),
            (Approved, Elapse, Expired),
            (Approved, Withdraw, Withdrawn),
            (Approved, Revoke, Revoked),
            (Active, Claim, Active),
            (Active, Elapse, Ended),
            (Active, Withdraw, Ended),
            (Active, Revoke, Revoked),
            (Approved, Begin, Running),
            (Approved, Cancel, Cancelled),
            (Running, Replan, Pending),
            (Running, Succeed, Succeeded),
            (Running, Fail, Failed),
            (Running, RollBack, RolledBack),
            (Running, Cancel, Cancelled),
            (Running, Lose, Indeterminate),
        ];
        for (state, _) in MESSAGES {
            for event in Event::ALL {
                let expected =
                    allowed.iter().find(|(s, e, _)| (*s, *e) == (state, event)).map(|(_, _, to)| *to);
                assert_eq!(state.after(event), expected, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn denied_is_final() {
        assert!(Event::ALL.iter().all(|event| State::Denied.after(*event).is_none()));
    }

    #[test]
    fn nothing_happens_to_a_run_that_is_over() {
        let over = MESSAGES.iter().map(|(state, _)| *state).filter(|state| state.is_over_run());
        assert!(over.clone().count() == 5);
        assert!(
            over.flat_map(|state| Event::ALL.map(|event| state.after(event))).all(|after| after.is_none())
        );
    }

    #[test]
    fn every_state_survives_its_message() {
        for (state, _) in MESSAGES {
            assert_eq!(State::from_message(state.to_message()), Some(state));
        }
    }
}
