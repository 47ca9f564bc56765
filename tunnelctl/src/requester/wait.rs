//! The waiting for an answer, as a pure state machine: events in; what to show and when to stop, out.
//!
//! The broker's word moves nothing forward: only an outcome signed by the cluster key grants.

use tunnel_certs::statement::outcome::Outcome;
use tunnel_protos::{UnixMillis, operators::Delivery, v1::RequestState};

/// What was asked, as far as waiting differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// An access request or operation: until it is granted.
    Grant,
    /// A certificate or withdraw request: until it is done.
    Done,
    /// Any request: until nothing can follow.
    End,
}

/// Something that happened while waiting.
#[derive(Debug)]
pub enum Event {
    /// The broker said where the request is.
    Delivery(Delivery),
    /// The cluster answered; verified.
    Outcome(Box<Outcome>),
    /// The broker delivered something that the cluster did not sign, or not for this request.
    Forged(String),
    /// The stream of events ended or broke.
    Disconnected(String),
    /// The broker does not know the request.
    Forgotten,
    /// Waited as long as allowed.
    TimeUp,
    /// The person stopped the command.
    Interrupted,
}

/// What to do about an event.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Nothing new.
    Wait,
    /// Show this, and go on waiting.
    Say(News),
    /// Put the same sealed request into the mailbox again.
    Resubmit,
    /// Stop waiting.
    Finish(Box<Finish>),
}

/// Something worth showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Where the request is, by the broker's word.
    BrokerSays(Delivery),
    /// People are asked; the cluster says so.
    Pending(Pending),
    /// The cluster granted it, and its end is awaited.
    Granted {
        /// Approved, active or running.
        state: RequestState,
        /// When the grant ends, or has to be used.
        until: UnixMillis,
    },
    /// The broker delivered something that does not hold; ignored.
    Ignored(String),
    /// The broker is out of reach.
    Reconnecting(String),
    /// Nothing is new, but a second went by.
    Tick,
}

/// A request that waits for people, by the cluster's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Approvals given.
    pub had: u32,
    /// Approvals needed.
    pub needed: u32,
    /// Who was told of it, and when.
    pub notified: Vec<(String, UnixMillis)>,
    /// When the cluster said so.
    pub since: UnixMillis,
    /// When the request expires.
    pub until: UnixMillis,
    /// The cluster's sentence.
    pub reason: String,
}

/// How waiting ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Finish {
    /// The cluster did what was asked (granted, issued or withdrew).
    Yes(Outcome),
    /// The cluster said no.
    Denied(Outcome),
    /// The request or its grant is over.
    Over(Outcome),
    /// No answer yet; the request stays open.
    StillWaiting {
        /// The broker says that the cluster has no tunnel.
        offline: bool,
    },
    /// By the broker's word the request can never be answered.
    Undeliverable(Delivery),
}

/// The state of one waiting.
#[derive(Debug)]
pub struct Wait {
    goal: Goal,
    delivery: Option<Delivery>,
    shown: Option<News>,
    forged_shown: bool,
}

impl Wait {
    /// Nothing has happened yet.
    pub const fn new(goal: Goal) -> Self {
        Self { goal, delivery: None, shown: None, forged_shown: false }
    }

    /// Takes an event.
    pub fn on(&mut self, event: Event) -> Step {
        match event {
            Event::Delivery(delivery) => self.on_delivery(delivery),
            Event::Outcome(outcome) => self.on_outcome(*outcome),
            Event::Forged(problem) => self.on_forged(problem),
            Event::Disconnected(problem) => self.say(News::Reconnecting(problem)),
            Event::Forgotten => Step::Resubmit,
            Event::TimeUp | Event::Interrupted => finish(Finish::StillWaiting { offline: self.is_offline() }),
        }
    }

    fn is_offline(&self) -> bool {
        self.delivery == Some(Delivery::Waiting)
    }

    fn on_delivery(&mut self, delivery: Delivery) -> Step {
        self.delivery = Some(delivery);
        match delivery {
            Delivery::Unproven | Delivery::UnknownKey | Delivery::Lapsed => {
                finish(Finish::Undeliverable(delivery))
            }
            Delivery::Unspecified => Step::Wait,
            Delivery::Waiting | Delivery::Sent | Delivery::Taken | Delivery::Full => {
                self.say(News::BrokerSays(delivery))
            }
        }
    }

    fn on_outcome(&mut self, outcome: Outcome) -> Step {
        match Meaning::of(outcome.state, self.goal) {
            Meaning::Yes => finish(Finish::Yes(outcome)),
            Meaning::No => finish(Finish::Denied(outcome)),
            Meaning::Over => finish(Finish::Over(outcome)),
            Meaning::NotYet => self.say(standing(outcome)),
        }
    }

    /// Once is enough: a hostile broker must not be able to flood the screen.
    fn on_forged(&mut self, problem: String) -> Step {
        if std::mem::replace(&mut self.forged_shown, true) {
            Step::Wait
        } else {
            Step::Say(News::Ignored(problem))
        }
    }

    fn say(&mut self, news: News) -> Step {
        if self.shown.as_ref() == Some(&news) {
            return Step::Wait;
        }
        self.shown = Some(news.clone());
        Step::Say(news)
    }
}

/// What a state means to the one who asked.
enum Meaning {
    Yes,
    No,
    Over,
    NotYet,
}

impl Meaning {
    fn of(state: RequestState, goal: Goal) -> Self {
        match state {
            // Whoever waits for the yes to an operation has it, however it went on since.
            RequestState::Approved
            | RequestState::Active
            | RequestState::Running
            | RequestState::Succeeded
            | RequestState::Failed
            | RequestState::RolledBack
            | RequestState::Cancelled
            | RequestState::Indeterminate
                if goal == Goal::Grant =>
            {
                Self::Yes
            }
            RequestState::Done => Self::Yes,
            RequestState::Denied => Self::No,
            RequestState::Expired
            | RequestState::Withdrawn
            | RequestState::Ended
            | RequestState::Revoked
            | RequestState::Succeeded
            | RequestState::Failed
            | RequestState::RolledBack
            | RequestState::Cancelled
            | RequestState::Indeterminate => Self::Over,
            RequestState::Unspecified
            | RequestState::Pending
            | RequestState::Approved
            | RequestState::Active
            | RequestState::Running => Self::NotYet,
        }
    }
}

fn standing(outcome: Outcome) -> News {
    let deadlines = outcome.deadlines;
    match outcome.state {
        state @ RequestState::Approved => {
            News::Granted { state, until: UnixMillis(deadlines.claim_until_ms) }
        }
        state @ (RequestState::Active | RequestState::Running) => {
            News::Granted { state, until: UnixMillis(deadlines.work_until_ms) }
        }
        _ => News::Pending(Pending {
            had: outcome.approvals_had,
            needed: outcome.approvals_needed,
            notified: outcome.notified,
            since: outcome.time,
            until: UnixMillis(deadlines.pending_until_ms),
            reason: outcome.reason,
        }),
    }
}

fn finish(how: Finish) -> Step {
    Step::Finish(Box::new(how))
}

#[cfg(test)]
mod tests;
