//! The client's answers: an outcome signed by the cluster key and sealed to the asker, with a rising sequence.

use prost::Message;
use tunnel_certs::{
    key::SignError,
    seal::{self, SealError},
    statement::outcome::{self, Granted, Issued, Outcome},
};
use tunnel_protos::{UnixMillis, v1};

use super::{
    codec::level_message,
    judge::Refusal,
    record::{Access, Record},
    room::Room,
    state::State,
};

/// Why an answer could not be given.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    /// The cluster key did not sign.
    #[error("the cluster key cannot sign the outcome")]
    Sign(#[source] SignError),
    /// The asker's key takes nothing.
    #[error("the outcome cannot be sealed")]
    Seal(#[source] SealError),
}

/// Gives `record` its next answer, which says where it stands now.
pub(super) fn renew(
    record: &mut Record,
    issued: Option<Issued>,
    room: &Room,
    now: UnixMillis,
) -> Result<(), AnswerError> {
    let sequence = record.answer.sequence + 1;
    let said = outcome_of(record, issued, sequence, now);
    let sealed = sign_and_seal(&said, record, room)?;
    record.answer.sequence = sequence;
    record.answer.sealed = sealed.encode_to_vec();
    Ok(())
}

/// The answer to a request that is not remembered: refused, once and for all.
pub(super) fn refusal(
    record: &Record,
    refusal: &Refusal,
    room: &Room,
    now: UnixMillis,
) -> Result<v1::SealedOutcome, AnswerError> {
    let said = Outcome {
        request_digest: record.digest,
        sequence: 1,
        state: State::Denied.to_message(),
        time: now,
        reason: refusal.why.clone(),
        rule: refusal.rule.clone(),
        approvals_had: 0,
        approvals_needed: 0,
        notified: Vec::new(),
        deadlines: v1::Deadlines::default(),
        granted: None,
        issued: None,
    };
    sign_and_seal(&said, record, room)
}

fn outcome_of(record: &Record, issued: Option<Issued>, sequence: u64, now: UnixMillis) -> Outcome {
    Outcome {
        request_digest: record.digest,
        sequence,
        state: record.state.to_message(),
        time: now,
        reason: record.why.clone(),
        rule: record.rule.clone(),
        approvals_had: record.approvals_had(),
        approvals_needed: record.approvals_needed(),
        notified: record.notices.iter().map(|notice| (notice.who.clone(), notice.time)).collect(),
        deadlines: record.deadlines.to_message(),
        granted: record.access().filter(|access| !access.doors.is_empty()).map(granted),
        issued,
    }
}

fn granted(access: &Access) -> Granted {
    Granted {
        methods: access
            .methods
            .iter()
            .map(|(method, level)| (method.clone(), level_message(*level)))
            .collect(),
        targets: access.doors.keys().cloned().collect(),
    }
}

fn sign_and_seal(said: &Outcome, record: &Record, room: &Room) -> Result<v1::SealedOutcome, AnswerError> {
    let keys = room.keys.borrow().clone();
    let signed = outcome::make(said, keys.signer(record.answer.key.as_ref())).map_err(AnswerError::Sign)?;
    let sealed = seal::seal_outcome(&signed.encode_to_vec(), &record.envelope, &record.outcome_key);
    sealed.map_err(AnswerError::Seal)
}
