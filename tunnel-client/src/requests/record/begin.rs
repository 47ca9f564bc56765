//! How a record begins: from a request that proved itself, or from one of which only the signer was proven.

use tunnel_certs::statement::request::{Kind, Occasion, Opened, Reason, Reply};
use tunnel_protos::{Digest, EnvelopeId, OperatorName, UnixMillis, v1};

use super::{Access, Answer, Deadlines, Operating, Record, State, Subject, TOMBSTONE};

impl Record {
    /// A request that has just proven itself, not decided yet.
    pub fn new(envelope: EnvelopeId, opened: &Opened, received: UnixMillis) -> Self {
        let request = &opened.request;
        Self {
            id: request.id,
            envelope,
            digest: opened.digest,
            operator: request.operator.clone(),
            reason: reason_message(&request.reason),
            outcome_key: request.outcome_key,
            issued: request.issued,
            expires: request.expires,
            received,
            subject: Subject::from(&request.kind),
            state: State::Pending,
            since: received,
            why: String::new(),
            rule: String::new(),
            deadlines: Deadlines::default(),
            answer: Answer::default(),
            verdicts: Vec::new(),
            notices: Vec::new(),
            denied_before: None,
            revocation: None,
            version: 0,
        }
    }

    /// One that proved its signer, whose content was refused; its id must still be remembered.
    pub fn unreadable(
        reply: &Reply,
        envelope: EnvelopeId,
        digest: Digest,
        operator: OperatorName,
        received: UnixMillis,
    ) -> Self {
        Self {
            id: reply.id,
            envelope,
            digest,
            operator,
            reason: v1::Reason::default(),
            outcome_key: reply.outcome_key,
            issued: received,
            // Nothing can be issued for longer; its own word about it is not to be believed.
            expires: received.plus(TOMBSTONE),
            received,
            subject: Subject::Unreadable,
            state: State::Pending,
            since: received,
            why: String::new(),
            rule: String::new(),
            deadlines: Deadlines::default(),
            answer: Answer::default(),
            verdicts: Vec::new(),
            notices: Vec::new(),
            denied_before: None,
            revocation: None,
            version: 0,
        }
    }
}

impl From<&Kind> for Subject {
    fn from(kind: &Kind) -> Self {
        match kind {
            Kind::Access(asked) => Self::Access(Access {
                asked: asked.methods.clone(),
                targets: asked.targets.iter().cloned().collect(),
                raw: asked.raw,
                wanted: asked.wanted,
                ..Access::default()
            }),
            Kind::Operation(asked) => Self::Operation(Box::new(Operating::new(asked))),
            Kind::Certificate(asked) => Self::Certificate(asked.grant),
            Kind::Withdraw(asked) => Self::Withdraw(asked.request),
        }
    }
}

fn reason_message(reason: &Reason) -> v1::Reason {
    let occasion = match reason.occasion {
        Occasion::Incident => v1::ReasonType::Incident,
        Occasion::Change => v1::ReasonType::Change,
        Occasion::Support => v1::ReasonType::Support,
        Occasion::Other => v1::ReasonType::Other,
    };
    v1::Reason { r#type: occasion.into(), text: reason.text.to_string(), ticket: reason.ticket.to_string() }
}
