//! Requests as the store keeps them. Fields are only ever added: what was written yesterday must be read tomorrow.

mod operating;
pub(super) mod orders;
mod people;

use std::{collections::BTreeMap, time::Duration};

use prost::Message;
use tunnel_protos::{GrantId, RequestId, SealingKeyId, UnixMillis, v1};

use self::operating::StoredOperation;
use self::people::{StoredNotice, StoredRevocation, StoredVerdict};
use super::{
    record::{Access, Answer, Deadlines, Record, Subject},
    state::State,
};
use crate::{
    gate::grants::{Level, Serial},
    store::Object,
};

/// A stored request that cannot be read: the file was damaged, or written by something else.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not an encoding of a record.
    #[error("not a stored request")]
    Malformed(#[source] prost::DecodeError),
    /// A field outside its grammar.
    #[error("a stored request's {0} is malformed")]
    Field(&'static str),
}

/// The stored form of a record.
pub(super) fn encode(record: &Record) -> Vec<u8> {
    Stored::from(record).encode_to_vec()
}

/// The record that was stored.
pub(super) fn decode(object: &Object) -> Result<Record, DecodeError> {
    let record = Stored::decode(&object.body[..]).map_err(DecodeError::Malformed)?.record()?;
    Ok(Record { version: object.version, ..record })
}

#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(bytes = "vec", tag = "2")]
    envelope: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    digest: Vec<u8>,
    #[prost(string, tag = "4")]
    operator: String,
    #[prost(message, optional, tag = "5")]
    reason: Option<v1::Reason>,
    #[prost(bytes = "vec", tag = "6")]
    outcome_key: Vec<u8>,
    #[prost(int64, tag = "7")]
    issued_ms: i64,
    #[prost(int64, tag = "8")]
    expires_ms: i64,
    #[prost(int64, tag = "9")]
    received_ms: i64,
    #[prost(enumeration = "v1::RequestState", tag = "10")]
    state: i32,
    #[prost(int64, tag = "11")]
    since_ms: i64,
    #[prost(string, tag = "12")]
    why: String,
    #[prost(string, tag = "13")]
    rule: String,
    #[prost(message, optional, tag = "14")]
    deadlines: Option<v1::Deadlines>,
    #[prost(uint64, tag = "15")]
    sequence: u64,
    #[prost(bytes = "vec", tag = "16")]
    sealed: Vec<u8>,
    #[prost(uint64, tag = "17")]
    delivered: u64,
    #[prost(message, optional, tag = "18")]
    revocation: Option<StoredRevocation>,
    #[prost(message, optional, tag = "19")]
    access: Option<StoredAccess>,
    #[prost(string, tag = "20")]
    certificate_of: String,
    #[prost(string, tag = "21")]
    withdraws: String,
    #[prost(message, repeated, tag = "22")]
    verdicts: Vec<StoredVerdict>,
    #[prost(message, repeated, tag = "23")]
    notices: Vec<StoredNotice>,
    #[prost(string, tag = "24")]
    denied_before: String,
    #[prost(bytes = "vec", tag = "25")]
    key: Vec<u8>,
    #[prost(message, optional, tag = "26")]
    operation: Option<StoredOperation>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredAccess {
    #[prost(string, repeated, tag = "1")]
    asked: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    targets: Vec<String>,
    #[prost(bool, tag = "3")]
    raw: bool,
    #[prost(uint64, tag = "4")]
    wanted_ms: u64,
    #[prost(message, repeated, tag = "5")]
    methods: Vec<v1::GrantedMethod>,
    #[prost(message, repeated, tag = "6")]
    doors: Vec<v1::TargetDoor>,
    #[prost(bytes = "vec", repeated, tag = "7")]
    serials: Vec<Vec<u8>>,
}

impl From<&Record> for Stored {
    fn from(record: &Record) -> Self {
        Self {
            id: record.id.to_string(),
            envelope: record.envelope.as_bytes().to_vec(),
            digest: record.digest.as_bytes().to_vec(),
            operator: record.operator.to_string(),
            reason: Some(record.reason.clone()),
            outcome_key: record.outcome_key.as_bytes().to_vec(),
            issued_ms: record.issued.0,
            expires_ms: record.expires.0,
            received_ms: record.received.0,
            state: record.state.to_message().into(),
            since_ms: record.since.0,
            why: record.why.clone(),
            rule: record.rule.clone(),
            deadlines: Some(record.deadlines.to_message()),
            sequence: record.answer.sequence,
            sealed: record.answer.sealed.clone(),
            delivered: record.answer.delivered,
            revocation: record.revocation.as_ref().map(StoredRevocation::from),
            access: access_of(&record.subject).map(StoredAccess::from),
            certificate_of: subject_id(&record.subject, false),
            withdraws: subject_id(&record.subject, true),
            verdicts: record.verdicts.iter().map(StoredVerdict::from).collect(),
            notices: record.notices.iter().map(StoredNotice::from).collect(),
            denied_before: record.denied_before.map(|id| id.to_string()).unwrap_or_default(),
            key: record.answer.key.map(|key| key.as_bytes().to_vec()).unwrap_or_default(),
            operation: record.operation().map(StoredOperation::from),
        }
    }
}

fn access_of(subject: &Subject) -> Option<&Access> {
    match subject {
        Subject::Access(access) => Some(access),
        _ => None,
    }
}

fn subject_id(subject: &Subject, withdraw: bool) -> String {
    match subject {
        Subject::Certificate(grant) if !withdraw => grant.to_string(),
        Subject::Withdraw(request) if withdraw => request.to_string(),
        _ => String::new(),
    }
}

impl Stored {
    fn record(self) -> Result<Record, DecodeError> {
        Ok(Record {
            subject: self.subject()?,
            id: parse(&self.id, "id")?,
            envelope: self.envelope[..].try_into().map_err(|_| DecodeError::Field("envelope"))?,
            digest: self.digest[..].try_into().map_err(|_| DecodeError::Field("digest"))?,
            operator: parse(&self.operator, "operator")?,
            outcome_key: self.outcome_key[..].try_into().map_err(|_| DecodeError::Field("outcome key"))?,
            issued: UnixMillis(self.issued_ms),
            expires: UnixMillis(self.expires_ms),
            received: UnixMillis(self.received_ms),
            state: State::from_message(self.state()).ok_or(DecodeError::Field("state"))?,
            since: UnixMillis(self.since_ms),
            deadlines: Deadlines::from_message(&self.deadlines.unwrap_or_default()),
            answer: Answer {
                sequence: self.sequence,
                sealed: self.sealed,
                delivered: self.delivered,
                key: SealingKeyId::try_from(&self.key[..]).ok(),
            },
            verdicts: self.verdicts.into_iter().map(StoredVerdict::verdict).collect::<Result<_, _>>()?,
            notices: self.notices.into_iter().map(StoredNotice::notice).collect(),
            denied_before: optional(&self.denied_before, "request denied before")?,
            revocation: self.revocation.map(StoredRevocation::revocation),
            reason: self.reason.unwrap_or_default(),
            why: self.why,
            rule: self.rule,
            version: 0,
        })
    }

    fn subject(&self) -> Result<Subject, DecodeError> {
        if let Some(access) = &self.access {
            return access.access().map(Subject::Access);
        }
        if let Some(operation) = &self.operation {
            return operation.operating().map(|operation| Subject::Operation(Box::new(operation)));
        }
        match (self.certificate_of.as_str(), self.withdraws.as_str()) {
            ("", "") => Ok(Subject::Unreadable),
            ("", request) => parse::<RequestId>(request, "withdrawn request").map(Subject::Withdraw),
            (grant, _) => parse::<GrantId>(grant, "grant").map(Subject::Certificate),
        }
    }
}

impl From<&Access> for StoredAccess {
    fn from(access: &Access) -> Self {
        Self {
            asked: access.asked.iter().map(ToString::to_string).collect(),
            targets: access.targets.iter().map(ToString::to_string).collect(),
            raw: access.raw,
            wanted_ms: u64::try_from(access.wanted.as_millis()).unwrap_or(u64::MAX),
            methods: access.granted_methods(),
            doors: access.target_doors(),
            serials: access.serials.iter().map(|serial| serial.as_bytes().to_vec()).collect(),
        }
    }
}

impl StoredAccess {
    fn access(&self) -> Result<Access, DecodeError> {
        let method = |m: &v1::GrantedMethod| Ok((parse(&m.method, "method")?, level(m.level())?));
        let door = |d: &v1::TargetDoor| Ok((parse(&d.target, "target")?, parse(&d.door, "door")?));
        Ok(Access {
            asked: self.asked.iter().map(|text| parse(text, "pattern")).collect::<Result<_, _>>()?,
            targets: self.targets.iter().map(|text| parse(text, "target")).collect::<Result<_, _>>()?,
            raw: self.raw,
            wanted: Duration::from_millis(self.wanted_ms),
            methods: self.methods.iter().map(method).collect::<Result<BTreeMap<_, _>, _>>()?,
            doors: self.doors.iter().map(door).collect::<Result<BTreeMap<_, _>, _>>()?,
            serials: self.serials.iter().map(|bytes| serial(bytes)).collect::<Result<_, _>>()?,
        })
    }
}

impl Access {
    /// The granted methods as messages list them.
    pub fn granted_methods(&self) -> Vec<v1::GrantedMethod> {
        let message = |(method, level): (&tunnel_protos::MethodName, &Level)| v1::GrantedMethod {
            method: method.to_string(),
            level: level_message(*level).into(),
        };
        self.methods.iter().map(message).collect()
    }

    /// The doors as messages list them.
    pub fn target_doors(&self) -> Vec<v1::TargetDoor> {
        let message =
            |(target, door): (_, &tunnel_protos::Door)| v1::TargetDoor { target, door: door.to_string() };
        self.doors.iter().map(|(target, door)| message((target.to_string(), door))).collect()
    }
}

impl Deadlines {
    /// As messages carry them: 0 where one does not apply.
    pub fn to_message(self) -> v1::Deadlines {
        let millis = |time: Option<UnixMillis>| time.map_or(0, |time| time.0);
        v1::Deadlines {
            pending_until_ms: millis(self.pending),
            claim_until_ms: millis(self.claim),
            work_until_ms: millis(self.work),
            certificate_until_ms: millis(self.certificate),
        }
    }

    fn from_message(message: &v1::Deadlines) -> Self {
        let time = |millis: i64| (millis != 0).then_some(UnixMillis(millis));
        Self {
            pending: time(message.pending_until_ms),
            claim: time(message.claim_until_ms),
            work: time(message.work_until_ms),
            certificate: time(message.certificate_until_ms),
        }
    }
}

/// How messages name a level.
pub(super) fn level_message(level: Level) -> v1::GrantLevel {
    match level {
        Level::Auto => v1::GrantLevel::Auto,
        Level::Manual => v1::GrantLevel::Manual,
    }
}

fn level(message: v1::GrantLevel) -> Result<Level, DecodeError> {
    match message {
        v1::GrantLevel::Auto => Ok(Level::Auto),
        v1::GrantLevel::Manual => Ok(Level::Manual),
        v1::GrantLevel::Unspecified => Err(DecodeError::Field("level")),
    }
}

fn serial(bytes: &[u8]) -> Result<Serial, DecodeError> {
    bytes.try_into().map(Serial::new).map_err(|_| DecodeError::Field("serial"))
}

fn optional<T: std::str::FromStr>(text: &str, field: &'static str) -> Result<Option<T>, DecodeError> {
    if text.is_empty() { Ok(None) } else { parse(text, field).map(Some) }
}

fn parse<T: std::str::FromStr>(text: &str, field: &'static str) -> Result<T, DecodeError> {
    text.parse().map_err(|_| DecodeError::Field(field))
}
