//! The form of a record on disk (JSON).

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use tunnel_certs::key::PublicKey;
use tunnel_protos::{UnixMillis, v1::RequestState};

use super::{Answer, Newest, Record, What};

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
    reason: String,
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
        reason: record.reason.clone(),
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
        reason: form.reason,
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
    })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    HEXLOWER.decode(text.as_bytes()).ok()
}
