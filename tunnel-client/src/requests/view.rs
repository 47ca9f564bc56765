//! Requests as the customer sees them: all that must be known before a yes.

use tunnel_certs::words::Words;
use tunnel_protos::{
    MethodName, RequestId,
    approvers::{AnswerView, AskedMethod, RequestView},
    v1,
};

use super::{
    codec::level_message,
    record::{Access, Notice, Operating, Record, Revocation, Subject, Verdict, with_note},
    state::State,
};
use crate::{
    gate::grants::Level,
    policy::{Authorize, Policy},
};

/// As much of a request as tells whether people are to hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glimpse {
    /// Its id.
    pub id: RequestId,
    /// Where it stands.
    pub state: v1::RequestState,
    /// Whether somebody was told of it.
    pub told: bool,
}

impl Record {
    /// At a glance; none of what follows from another request, which nobody decides on.
    pub(super) fn glimpse(&self) -> Option<Glimpse> {
        self.access()?;
        // Nobody can decide on what is being planned.
        if self.is_unplanned() {
            return None;
        }
        Some(Glimpse { id: self.id, state: self.state.to_message(), told: !self.notices.is_empty() })
    }

    /// As the customer's API shows it under today's `policy`; `sessions` are open under it now.
    pub fn view(&self, policy: &Policy, sessions: u32) -> RequestView {
        RequestView {
            id: self.id.to_string(),
            kind: self.subject.kind().to_owned(),
            words: Words::of(&self.digest).to_string(),
            digest: self.digest.as_bytes().to_vec(),
            operator: self.operator.to_string(),
            reason: Some(self.reason.clone()),
            state: self.state.to_message().into(),
            state_reason: self.state_reason(policy),
            issued_ms: self.issued.0,
            received_ms: self.received.0,
            deadlines: Some(self.deadlines.to_message()),
            sessions,
            rule: self.rule.clone(),
            approvals_had: self.approvals_had(),
            approvals_needed: self.approvals_needed(),
            notified: self.notices.iter().map(Notice::to_message).collect(),
            answers: self.verdicts.iter().filter(|verdict| !verdict.void).map(Verdict::view).collect(),
            denied_before: self.denied_before.map(|id| id.to_string()).unwrap_or_default(),
            operation: self.operation().map(|operation| operation.asked.to_message()),
            ..self.extent(policy)
        }
    }

    fn extent(&self, policy: &Policy) -> RequestView {
        match (self.access(), self.operation()) {
            (Some(access), None) => access.view(policy),
            (Some(access), Some(_)) => access.grant_view(policy),
            (None, _) => RequestView::default(),
        }
    }

    /// What today's policy no longer lets pass, with the rule that refuses it.
    pub(super) fn stricter(&self, policy: &Policy) -> Option<(String, String)> {
        match self.operation() {
            Some(operation) => operation.stricter(policy).map(|rule| ("the operation".to_owned(), rule)),
            None => self.access()?.stricter(policy).map(|(method, rule)| (method.to_string(), rule)),
        }
    }

    fn state_reason(&self, policy: &Policy) -> String {
        let (live, why) = (self.state.is_live_grant(), self.why_here());
        // The reason ends with it, but in records of before.
        let note = |by: &Revocation| match why.ends_with(&by.note) {
            true => String::new(),
            false => format!(": {}", by.note),
        };
        match (&self.revocation, live.then(|| self.stricter(policy)).flatten()) {
            // The state tells of a run, which nobody revokes.
            (Some(by), _) if self.state != State::Revoked => {
                format!("{why}; its grant was revoked by {}", with_note(&by.who, &by.note))
            }
            (Some(by), _) => format!("{why} ({}){}", by.who, note(by)),
            (None, Some((what, rule))) => format!("{why}; today's policy refuses {what} ({rule})"),
            (None, None) => why.to_owned(),
        }
    }
}

impl Operating {
    /// The rule by which today's policy no longer lets it pass at the level that it has or would get.
    fn stricter(&self, policy: &Policy) -> Option<String> {
        let facts = &self.planned.as_ref()?.facts;
        let level = self.grant.methods.values().max().copied().unwrap_or(Level::Auto);
        match policy.authorize_operation(&self.asked, facts, level) {
            Authorize::Allow => None,
            Authorize::Deny { rule } => Some(rule),
        }
    }
}

impl Access {
    /// What its grant is, without what it lets through: that follows from the operation.
    fn grant_view(&self, policy: &Policy) -> RequestView {
        let clocks = policy.clocks();
        RequestView {
            granted: self.to_granted(),
            wanted_ms: millis(self.wanted),
            certificate_ttl_ms: millis(clocks.certificate_ttl),
            work_window_ms: millis(clocks.work_window),
            claim_window_ms: millis(clocks.claim_window),
            ..RequestView::default()
        }
    }

    fn view(&self, policy: &Policy) -> RequestView {
        RequestView {
            methods: texts(&self.asked),
            targets: texts(&self.targets),
            raw: self.raw,
            asked: self.methods.iter().map(|(method, level)| self.asked(method, *level, policy)).collect(),
            ..self.grant_view(policy)
        }
    }

    fn asked(&self, method: &MethodName, level: Level, policy: &Policy) -> AskedMethod {
        let limits = policy.rule(method, self.raw).map(|rule| rule.limits).unwrap_or_default();
        AskedMethod {
            method: method.to_string(),
            level: level_message(level).into(),
            mutates: !policy.methods().is_read_only(method),
            limit_bytes: limits.bytes,
            limit_calls_per_minute: limits.calls_per_minute,
            limit_streams: limits.streams,
        }
    }

    /// The first method that today's policy no longer lets pass, with the rule that refuses it.
    pub(super) fn stricter(&self, policy: &Policy) -> Option<(&MethodName, String)> {
        self.methods.iter().find_map(|(method, level)| match policy.authorize(method, *level, self.raw) {
            Authorize::Allow => None,
            Authorize::Deny { rule } => Some((method, rule)),
        })
    }

    fn to_granted(&self) -> Option<v1::Granted> {
        let granted = || v1::Granted { methods: self.granted_methods(), targets: texts(self.doors.keys()) };
        (!self.doors.is_empty()).then(granted)
    }
}

impl Verdict {
    fn view(&self) -> AnswerView {
        AnswerView {
            who: self.who.clone(),
            answer: self.answer.into(),
            time_ms: self.time.0,
            note: self.note.clone(),
            signed: self.proof.is_some(),
        }
    }
}

impl Notice {
    fn to_message(&self) -> v1::Notified {
        v1::Notified { who: self.who.clone(), time_ms: self.time.0 }
    }
}

impl Subject {
    /// The kind's name, for people and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Access(_) => "access",
            Self::Operation(_) => "operation",
            Self::Certificate(_) => "certificate",
            Self::Withdraw(_) => "withdraw",
            Self::Unreadable => "unreadable",
        }
    }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}
