//! What a person said, with what proves who it was: a word tightens, a consent loosens.

use tunnel_protos::{PersonText, UnixMillis, v1};

use super::record::{Proof, Revocation, Verdict};
use crate::{
    approvers::{Approver, Signed, Who},
    audit::By,
};

/// Said by whoever could open the socket.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) by: Who,
    pub(super) note: PersonText,
}

/// Said by an approver.
#[derive(Debug, Clone)]
pub(super) struct Consent {
    pub(super) by: Approver,
    pub(super) note: PersonText,
}

impl Word {
    /// For the audit log.
    pub(super) fn record(&self) -> By {
        self.by.record(self.note.as_str())
    }

    /// As an answer to a request.
    pub(super) fn verdict(&self, answer: v1::Answer, now: UnixMillis) -> Verdict {
        Verdict {
            who: self.by.to_string(),
            answer,
            time: now,
            note: self.note.to_string(),
            proof: self.signed().map(Proof::from),
            void: false,
        }
    }

    pub(super) fn revocation(&self) -> Revocation {
        Revocation { who: self.by.to_string(), note: self.note.to_string() }
    }

    pub(super) fn signed(&self) -> Option<&Signed> {
        self.by.signed()
    }
}

impl From<Consent> for Word {
    fn from(consent: Consent) -> Self {
        Self { by: consent.by.into(), note: consent.note }
    }
}

impl From<&Signed> for Proof {
    fn from(signed: &Signed) -> Self {
        Self { digest: signed.digest, forget_after: signed.forget_after, envelope: signed.envelope.clone() }
    }
}
