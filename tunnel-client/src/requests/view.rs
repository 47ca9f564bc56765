//! Requests as the customer sees them.

use tunnel_certs::words::Words;
use tunnel_protos::{approvers::RequestView, v1};

use super::record::{Access, Record, Subject};

impl Record {
    /// As the customer's API shows it; `sessions` are open under it now.
    pub fn view(&self, sessions: u32) -> RequestView {
        let access = self.access();
        RequestView {
            id: self.id.to_string(),
            kind: self.subject.kind().to_owned(),
            words: Words::of(&self.digest).to_string(),
            digest: self.digest.as_bytes().to_vec(),
            operator: self.operator.to_string(),
            reason: Some(self.reason.clone()),
            methods: access.map(|access| texts(&access.asked)).unwrap_or_default(),
            granted: access.and_then(Access::to_granted),
            targets: access.map(|access| texts(&access.targets)).unwrap_or_default(),
            state: self.state.to_message().into(),
            state_reason: self.state_reason(),
            issued_ms: self.issued.0,
            received_ms: self.received.0,
            deadlines: Some(self.deadlines.to_message()),
            sessions,
        }
    }

    fn state_reason(&self) -> String {
        match &self.revocation {
            Some(by) if by.note.is_empty() => format!("{} (uid {})", self.why, by.uid),
            Some(by) => format!("{} (uid {}): {}", self.why, by.uid, by.note),
            None => self.why.clone(),
        }
    }
}

impl Subject {
    /// The kind's name, for people and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Access(_) => "access",
            Self::Certificate(_) => "certificate",
            Self::Withdraw(_) => "withdraw",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Access {
    fn to_granted(&self) -> Option<v1::Granted> {
        let granted = || v1::Granted { methods: self.granted_methods(), targets: texts(self.doors.keys()) };
        (!self.doors.is_empty()).then(granted)
    }
}

fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}
