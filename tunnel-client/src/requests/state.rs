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
}

/// What can happen to an access request.
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
            _ => None,
        }
    }

    /// Whether certificates may be issued under it.
    pub fn is_live_grant(self) -> bool {
        matches!(self, Self::Approved | Self::Active)
    }

    /// Whether something can still happen to it.
    pub fn is_open(self) -> bool {
        self == Self::Pending || self.is_live_grant()
    }

    /// How the gate names the end of a grant in this state.
    pub fn over(self) -> Option<Over> {
        match self {
            Self::Pending | Self::Approved | Self::Active | Self::Done => None,
            Self::Expired => Some(Over::Expired),
            Self::Withdrawn => Some(Over::Withdrawn),
            Self::Revoked => Some(Over::Revoked),
            Self::Ended | Self::Denied => Some(Over::Ended),
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

const MESSAGES: [(State, v1::RequestState); 9] = [
    (State::Pending, v1::RequestState::Pending),
    (State::Approved, v1::RequestState::Approved),
    (State::Active, v1::RequestState::Active),
    (State::Denied, v1::RequestState::Denied),
    (State::Expired, v1::RequestState::Expired),
    (State::Withdrawn, v1::RequestState::Withdrawn),
    (State::Ended, v1::RequestState::Ended),
    (State::Revoked, v1::RequestState::Revoked),
    (State::Done, v1::RequestState::Done),
];

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 6] =
        [Event::Approve, Event::Deny, Event::Claim, Event::Elapse, Event::Withdraw, Event::Revoke];

    #[test]
    fn every_transition_is_as_designed() {
        use Event::{Approve, Claim, Deny, Elapse, Revoke, Withdraw};
        use State::{Active, Approved, Denied, Ended, Expired, Pending, Revoked, Withdrawn};
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
        ];
        for (state, _) in MESSAGES {
            for event in EVENTS {
                let expected =
                    allowed.iter().find(|(s, e, _)| (*s, *e) == (state, event)).map(|(_, _, to)| *to);
                assert_eq!(state.after(event), expected, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn denied_is_final() {
        assert!(EVENTS.iter().all(|event| State::Denied.after(*event).is_none()));
    }

    #[test]
    fn every_state_survives_its_message() {
        for (state, _) in MESSAGES {
            assert_eq!(State::from_message(state.to_message()), Some(state));
        }
    }
}
