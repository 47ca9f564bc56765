//! The form of a record on disk (JSON).

use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use tunnel_certs::key::PublicKey;
use tunnel_protos::{
    UnixMillis,
    v1::{Deadlines, RequestState},
};

use super::{Answer, Asked, Newest, Record, What};

#[derive(Serialize, Deserialize)]
struct Form {
    id: String,
    what: What,
    cluster: String,
    label: String,
    cluster_key: String,
    digest: String,
    envelope_id: String,
    issued_ms: i64,
    expires_ms: i64,
    methods: Vec<String>,
    targets: Vec<String>,
    #[serde(default)]
    raw: bool,
    #[serde(default)]
    wanted_ms: u64,
    reason: String,
    #[serde(default)]
    operation: Option<Asked>,
    answer: Option<AnswerForm>,
}

#[derive(Serialize, Deserialize)]
struct AnswerForm {
    sequence: u64,
    sha256: String,
    state: String,
    until_ms: i64,
    granted: Vec<String>,
    live: bool,
    #[serde(default)]
    at_ms: i64,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    rule: String,
    /// Pending, claim, work, certificate.
    #[serde(default)]
    deadlines_ms: [i64; 4],
}

pub(super) fn encode(record: &Record) -> Vec<u8> {
    let form = Form {
        id: record.id.to_string(),
        what: record.what,
        cluster: record.cluster.to_string(),
        label: record.label.to_string(),
        cluster_key: record.cluster_key.to_pem(),
        digest: record.digest.to_string(),
        envelope_id: record.envelope_id.to_string(),
        issued_ms: record.issued.0,
        expires_ms: record.expires.0,
        methods: record.methods.clone(),
        targets: record.targets.clone(),
        raw: record.raw,
        wanted_ms: u64::try_from(record.wanted.as_millis()).unwrap_or(u64::MAX),
        reason: record.reason.clone(),
        operation: record.operation.clone(),
        answer: record.answer.as_ref().map(answer_form),
    };
    serde_json::to_vec(&form).unwrap_or_default()
}

pub(super) fn decode(bytes: &[u8]) -> Option<Record> {
    let form: Form = serde_json::from_slice(bytes).ok()?;
    Some(Record {
        id: form.id.parse().ok()?,
        what: form.what,
        cluster: form.cluster.parse().ok()?,
        label: form.label.parse().ok()?,
        cluster_key: PublicKey::from_pem(&form.cluster_key).ok()?,
        digest: hex(&form.digest)?.as_slice().try_into().ok()?,
        envelope_id: hex(&form.envelope_id)?.as_slice().try_into().ok()?,
        issued: UnixMillis(form.issued_ms),
        expires: UnixMillis(form.expires_ms),
        methods: form.methods,
        targets: form.targets,
        raw: form.raw,
        wanted: Duration::from_millis(form.wanted_ms),
        reason: form.reason,
        operation: form.operation,
        answer: match form.answer {
            Some(answer) => Some(parse_answer(answer)?),
            None => None,
        },
    })
}

fn answer_form(answer: &Answer) -> AnswerForm {
    AnswerForm {
        sequence: answer.newest.sequence,
        sha256: HEXLOWER.encode(&answer.newest.sha256),
        state: answer.state.as_str_name().to_owned(),
        until_ms: answer.until.0,
        granted: answer.granted.clone(),
        live: answer.live,
        at_ms: answer.at.0,
        reason: answer.reason.clone(),
        rule: answer.rule.clone(),
        deadlines_ms: [
            answer.deadlines.pending_until_ms,
            answer.deadlines.claim_until_ms,
            answer.deadlines.work_until_ms,
            answer.deadlines.certificate_until_ms,
        ],
    }
}

fn parse_answer(form: AnswerForm) -> Option<Answer> {
    let sha256 = hex(&form.sha256)?.try_into().ok()?;
    Some(Answer {
        newest: Newest { sequence: form.sequence, sha256 },
        state: RequestState::from_str_name(&form.state)?,
        until: UnixMillis(form.until_ms),
        granted: form.granted,
        live: form.live,
        at: UnixMillis(form.at_ms),
        reason: form.reason,
        rule: form.rule,
        deadlines: deadlines(form.deadlines_ms),
    })
}

fn deadlines([pending, claim, work, certificate]: [i64; 4]) -> Deadlines {
    Deadlines {
        pending_until_ms: pending,
        claim_until_ms: claim,
        work_until_ms: work,
        certificate_until_ms: certificate,
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    HEXLOWER.decode(text.as_bytes()).ok()
}
