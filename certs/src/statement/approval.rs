//! Approvals: what an approver's own key says, for who cannot be known by a user id.
//!
//! Invariant: an approval that opened is fresh, of this cluster, and of the approver whose key the policy names. That
//! it is accepted once is for its reader, who keeps the digest until [`Opened::forget_after`] or knows the challenge.

mod read;

use std::time::Duration;

use prost::Message;
use tunnel_protos::{
    ApproverName, Challenge, Digest, Label, OperatorName, PauseId, PersonText, UnixMillis,
    v1::{self, approval::Subject as SubjectMessage},
};

use super::envelope::{self, EnvelopeError, PayloadType};
use crate::key::{PublicKey, SignError, Signer};

/// An approver's word on one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The cluster it is for.
    pub label: Label,
    /// Who says so, by the policy's name.
    pub approver: ApproverName,
    /// When it was said.
    pub time: UnixMillis,
    /// Why; may be empty.
    pub note: PersonText,
    /// On what.
    pub subject: Subject,
}

/// What an approval is about, exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// One request, as it was shown.
    Request {
        /// Digest of the request's envelope.
        request: Digest,
        /// Digest of the plan shown; none for access.
        plan: Option<Digest>,
        /// Yes or no.
        answer: Answer,
    },
    /// The end of one pause.
    Resume {
        /// The pause.
        pause: PauseId,
    },
    /// The highest time seen is set back.
    ClockReset {
        /// From the client.
        challenge: Challenge,
        /// The new highest time.
        to: UnixMillis,
    },
    /// A lost audit log begins anew.
    AuditOrigin {
        /// From the client.
        challenge: Challenge,
    },
    /// An inventory entry whose words were compared.
    EnrollConfirm {
        /// Digest of the entry's envelope.
        entry: Digest,
    },
    /// An operator comes off the deny list.
    AllowOperator {
        /// The operator.
        operator: OperatorName,
        /// When it was denied: a later deny is another one.
        denied_since: UnixMillis,
    },
    /// A debug bundle leaves.
    ReleaseBundle {
        /// Digest of the request's envelope.
        request: Digest,
        /// SHA-256 of the archive.
        bundle: [u8; 32],
    },
}

/// An answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It may be done.
    Yes,
    /// It must not be done, ever.
    No,
}

/// An approval that was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What it says.
    pub approval: Approval,
    /// `SHA-256(PAE)`: what is remembered so that it is accepted once.
    pub digest: Digest,
}

/// Why an approval was refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not an envelope of an approval, or not signed by the approver's key.
    #[error("the approval's envelope")]
    Envelope(#[source] EnvelopeError),
    /// A field outside its grammar or bounds.
    #[error("the approval's {0} is malformed or missing")]
    Field(&'static str),
    /// For another cluster.
    #[error("the approval is for another cluster")]
    Label,
    /// The policy names nobody of this name, or no key of theirs.
    #[error("the policy names no approver key of '{0}'; add `approvers: {{ {0}: {{ key: … }} }}` to it")]
    Approver(ApproverName),
    /// Made too long ago, or ahead of our clock.
    #[error("the approval was not made within the last {} minutes; are the clocks right?", FRESH.as_secs() / 60)]
    Stale,
}

impl Approval {
    /// Signs the approval with the approver's key.
    pub fn make(&self, approver_key: &dyn Signer) -> Result<v1::Envelope, SignError> {
        let message = v1::Approval {
            version: VERSION,
            label: self.label.to_string(),
            approver: self.approver.to_string(),
            time_ms: self.time.0,
            note: self.note.to_string(),
            subject: Some(self.subject.to_message()),
        };
        envelope::sign(PayloadType::Approval, message.encode_to_vec(), &[(approver_key, None)])
    }
}

impl Subject {
    /// Whether it is fresh by a challenge of the client, which holds even where a clock is wrong.
    fn has_challenge(&self) -> bool {
        matches!(self, Self::ClockReset { .. } | Self::AuditOrigin { .. })
    }

    fn to_message(&self) -> SubjectMessage {
        match self {
            Self::Request { request, plan, answer } => SubjectMessage::Request(v1::RequestApproval {
                request_digest: request.as_bytes().to_vec(),
                plan_digest: plan.map(|plan| plan.as_bytes().to_vec()).unwrap_or_default(),
                answer: answer.to_message().into(),
            }),
            Self::Resume { pause } => {
                SubjectMessage::Resume(v1::ResumeApproval { pause_id: pause.to_string() })
            }
            Self::ClockReset { challenge, to } => SubjectMessage::ClockReset(v1::ClockResetApproval {
                challenge: challenge.as_bytes().to_vec(),
                to_ms: to.0,
            }),
            Self::AuditOrigin { challenge } => SubjectMessage::AuditOrigin(v1::AuditOriginApproval {
                challenge: challenge.as_bytes().to_vec(),
            }),
            Self::EnrollConfirm { entry } => SubjectMessage::EnrollConfirm(v1::EnrollConfirmApproval {
                entry_digest: entry.as_bytes().to_vec(),
            }),
            Self::AllowOperator { operator, denied_since } => {
                SubjectMessage::AllowOperator(v1::AllowOperatorApproval {
                    operator: operator.to_string(),
                    denied_since_ms: denied_since.0,
                })
            }
            Self::ReleaseBundle { request, bundle } => {
                SubjectMessage::ReleaseBundle(v1::ReleaseBundleApproval {
                    request_digest: request.as_bytes().to_vec(),
                    bundle_digest: bundle.to_vec(),
                })
            }
        }
    }
}

impl Answer {
    fn to_message(self) -> v1::Answer {
        match self {
            Self::Yes => v1::Answer::Yes,
            Self::No => v1::Answer::No,
        }
    }
}

/// Opens an approval for `label`; `key` gives the approver key that the policy names.
///
/// The payload is read before the signature, because it says whose key to ask for; nothing of it is believed until
/// that key has signed.
pub fn open(
    bytes: &[u8],
    label: &Label,
    now: UnixMillis,
    key: impl FnOnce(&ApproverName) -> Option<PublicKey>,
) -> Result<Opened, OpenError> {
    let envelope = envelope::decode(bytes, PayloadType::Approval).map_err(OpenError::Envelope)?;
    let approval = read::approval(&envelope)?;
    let key = key(&approval.approver).ok_or_else(|| OpenError::Approver(approval.approver.clone()))?;
    envelope::verify(&envelope, &[key], 1).map_err(OpenError::Envelope)?;
    if approval.label != *label {
        return Err(OpenError::Label);
    }
    if !approval.subject.has_challenge() && now.since(approval.time).max(approval.time.since(now)) > FRESH {
        return Err(OpenError::Stale);
    }
    Ok(Opened { approval, digest: envelope::digest(&envelope) })
}

impl Opened {
    /// From when on it cannot be accepted any more, so that nobody need remember its digest.
    pub fn forget_after(&self) -> UnixMillis {
        self.approval.time.plus(FRESH)
    }
}

const VERSION: u32 = 1;
/// Long enough to carry it between two machines by hand; both clocks may differ by as much.
const FRESH: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests;
