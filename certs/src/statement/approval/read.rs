//! From the message to the typed approval: grammar and bounds of each field.

use std::str::FromStr;

use prost::Message;
use tunnel_protos::{Digest, UnixMillis, v1};

use super::{
    Answer, Approval, OpenError, Subject, SubjectMessage, VERSION,
    envelope::{self, EnvelopeError, PayloadType},
};

pub(super) fn approval(envelope: &v1::Envelope) -> Result<Approval, OpenError> {
    let message: v1::Approval = envelope::payload(envelope, PayloadType::Approval)
        .map_err(|error| OpenError::Envelope(EnvelopeError::Payload(error)))?;
    // Of two subjects a decoder keeps the last; another reader might keep the first.
    if message.encoded_len() != envelope.payload.len() {
        return Err(OpenError::Field("subject"));
    }
    if message.version != VERSION {
        return Err(OpenError::Field("version"));
    }
    Ok(Approval {
        label: field("label", &message.label)?,
        approver: field("approver", &message.approver)?,
        time: UnixMillis(message.time_ms),
        note: field("note", &message.note)?,
        subject: subject(&message.subject.ok_or(OpenError::Field("subject"))?)?,
    })
}

fn subject(message: &SubjectMessage) -> Result<Subject, OpenError> {
    Ok(match message {
        SubjectMessage::Request(message) => request(message)?,
        SubjectMessage::Resume(message) => Subject::Resume { pause: field("pause", &message.pause_id)? },
        SubjectMessage::ClockReset(message) => Subject::ClockReset {
            challenge: bytes("challenge", &message.challenge)?,
            to: UnixMillis(message.to_ms),
        },
        SubjectMessage::AuditOrigin(message) => {
            Subject::AuditOrigin { challenge: bytes("challenge", &message.challenge)? }
        }
        SubjectMessage::EnrollConfirm(message) => {
            Subject::EnrollConfirm { entry: bytes("entry", &message.entry_digest)? }
        }
        SubjectMessage::AllowOperator(message) => Subject::AllowOperator {
            operator: field("operator", &message.operator)?,
            denied_since: UnixMillis(message.denied_since_ms),
        },
        SubjectMessage::ReleaseBundle(message) => Subject::ReleaseBundle {
            request: bytes("request", &message.request_digest)?,
            bundle: bytes("bundle", &message.bundle_digest)?,
        },
    })
}

fn request(message: &v1::RequestApproval) -> Result<Subject, OpenError> {
    let answer = match message.answer() {
        v1::Answer::Yes => Answer::Yes,
        v1::Answer::No => Answer::No,
        v1::Answer::Unspecified => return Err(OpenError::Field("answer")),
    };
    Ok(Subject::Request {
        request: bytes("request", &message.request_digest)?,
        plan: plan(&message.plan_digest)?,
        answer,
    })
}

fn plan(raw: &[u8]) -> Result<Option<Digest>, OpenError> {
    if raw.is_empty() { Ok(None) } else { bytes("plan", raw).map(Some) }
}

fn bytes<'r, T: TryFrom<&'r [u8]>>(name: &'static str, raw: &'r [u8]) -> Result<T, OpenError> {
    T::try_from(raw).map_err(|_| OpenError::Field(name))
}

fn field<T: FromStr>(name: &'static str, text: &str) -> Result<T, OpenError> {
    text.parse().map_err(|_| OpenError::Field(name))
}
