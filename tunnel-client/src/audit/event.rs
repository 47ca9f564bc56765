//! What is written down: one variant per kind of record, its fields as they stand in the line.
//!
//! Invariant: no secret and no payload of a call ever becomes a field; doors appear as digests only.

use std::{fmt::Display, sync::Arc};

use serde::{Serialize, Serializer};
use tunnel_protos::{Digest, Door, GrantId, MethodName, OperatorName, RequestId, TargetName, UnixMillis};

/// Something that happened, or is about to.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// The client started.
    Started {
        /// Its version.
        build: String,
    },
    /// The client was drained and stops.
    Stopped,
    /// A request moves to a state; an intent.
    Move(Box<Move>),
    /// A person answered a request.
    Answer {
        /// Which request.
        #[serde(serialize_with = "text")]
        request: RequestId,
        /// What was shown to the person.
        #[serde(serialize_with = "text")]
        digest: Digest,
        /// The plan that was shown, of an operation.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional")]
        plan: Option<Digest>,
        /// Yes or no.
        yes: bool,
        /// Who answered.
        #[serde(flatten)]
        by: By,
    },
    /// An operation was planned: what a yes is about from now on.
    Planned {
        /// Which request.
        #[serde(serialize_with = "text")]
        request: RequestId,
        /// Its kind, as policies name it.
        operation: String,
        /// What it does, one sentence.
        title: String,
        /// Digest of the plan.
        #[serde(serialize_with = "text")]
        plan: Digest,
        /// How many steps it has.
        steps: usize,
    },
    /// The customer's people stop an operation before its next step.
    CancelOperation {
        /// Which request.
        #[serde(serialize_with = "text")]
        request: RequestId,
        /// Who said so.
        #[serde(flatten)]
        by: By,
    },
    /// An operation's run came to its end.
    Operation {
        /// Which request.
        #[serde(serialize_with = "text")]
        request: RequestId,
        /// Who asked.
        #[serde(serialize_with = "text")]
        operator: OperatorName,
        /// Its kind, as policies name it.
        operation: String,
        /// Digest of the plan.
        #[serde(serialize_with = "text")]
        plan: Digest,
        /// How it ended.
        state: &'static str,
        /// One sentence.
        why: String,
    },
    /// A step of an operation is called, or taken back; an intent.
    Step {
        /// Which request.
        #[serde(serialize_with = "text")]
        request: RequestId,
        /// From 1, as in the plan.
        step: usize,
        /// As in the plan.
        title: String,
        /// Whom; empty for this client itself.
        target: String,
        /// What; empty for this client itself.
        method: String,
        /// It is taken back.
        back: bool,
        /// It is called although it could not be recorded before; no outcome follows. Each other one says that it
        /// owes one: those of earlier versions never got any.
        #[serde(flatten, serialize_with = "owing")]
        late: bool,
    },
    /// The gate of a step was watched to its end.
    Gate {
        /// Which request.
        #[serde(serialize_with = "text")]
        request: RequestId,
        /// From 1, as in the plan.
        step: usize,
        /// Whether it held.
        held: bool,
    },
    /// A debug bundle was made, let go, handed out or deleted.
    Bundle {
        /// Which request.
        request: String,
        /// Who asked.
        operator: String,
        /// SHA-256 of the archive.
        #[serde(serialize_with = "text")]
        bundle: Digest,
        /// Its size.
        bytes: u64,
        /// `made`, `released`, `fetched` or `deleted`.
        what: &'static str,
        /// Who did it, unless it was the operator or the client itself.
        #[serde(flatten)]
        by: Option<By>,
    },
    /// Everything was stopped.
    Pause {
        /// The pause's id.
        pause: String,
        /// Who paused.
        #[serde(flatten)]
        by: By,
    },
    /// A pause was ended.
    Resume {
        /// The pause's id.
        pause: String,
        /// Who resumed.
        #[serde(flatten)]
        by: By,
    },
    /// An operator is refused from now on.
    DenyOperator {
        /// Whom.
        #[serde(serialize_with = "text")]
        operator: OperatorName,
        /// Who said so.
        #[serde(flatten)]
        by: By,
    },
    /// An operator is taken off the deny list.
    AllowOperator {
        /// Whom.
        #[serde(serialize_with = "text")]
        operator: OperatorName,
        /// Who said so.
        #[serde(flatten)]
        by: By,
    },
    /// The highest time ever seen was set back.
    ClockReset {
        /// It was this.
        from: Millis,
        /// It is this.
        to: Millis,
        /// Who said so.
        #[serde(flatten)]
        by: By,
    },
    /// Another policy is in force.
    Policy {
        /// SHA-256 over policy, profile and descriptors, hex.
        digest: String,
    },
    /// Another trust bundle of the vendor is in force.
    TrustBundle {
        /// Its sequence.
        sequence: u64,
        /// The sequence of the one before.
        replaces: u64,
        /// SHA-256 of its envelope, hex.
        sha256: String,
        /// Fingerprints of roots that came.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        added: Vec<String>,
        /// Fingerprints of roots that went.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        gone: Vec<String>,
        /// Who brought it.
        #[serde(flatten)]
        by: By,
    },
    /// A root is not trusted any more, whatever a trust bundle says.
    RootRemoved {
        /// Its fingerprint.
        root: String,
        /// Who said so.
        #[serde(flatten)]
        by: By,
    },
    /// Brokers are shown another certificate.
    MeshCertificate {
        /// Its fingerprint.
        fingerprint: String,
        /// Its end.
        until: Millis,
    },
    /// Another access CA issues.
    AccessCa {
        /// Its fingerprint.
        fingerprint: String,
        /// The end of the one before.
        previous_until: Millis,
        /// Who said so.
        #[serde(flatten)]
        by: By,
    },
    /// A person confirmed an inventory entry: requests are taken under its keys.
    EntryConfirmed {
        /// Its sequence.
        sequence: u64,
        /// What its words stand for.
        #[serde(serialize_with = "text")]
        digest: Digest,
        /// Its end.
        expires: Millis,
        /// Who said so.
        #[serde(flatten)]
        by: By,
    },
    /// Another inventory entry with the same keys is in force.
    EntryRenewed {
        /// Its sequence.
        sequence: u64,
        /// What its words stand for.
        #[serde(serialize_with = "text")]
        digest: Digest,
        /// Its end.
        expires: Millis,
    },
    /// Words for an inventory entry were wrong.
    WrongWords {
        /// Who typed them.
        #[serde(flatten)]
        by: By,
    },
    /// New cluster and sealing keys were registered.
    KeysRegistered {
        /// The words of their registration.
        words: String,
        /// Who said so.
        #[serde(flatten)]
        by: By,
    },
    /// A certificate was made.
    Certificate {
        /// The request for it.
        #[serde(serialize_with = "text")]
        request: RequestId,
        /// The grant it is for.
        #[serde(serialize_with = "text")]
        grant: GrantId,
        /// Who gets it.
        #[serde(serialize_with = "text")]
        operator: OperatorName,
        /// Its serial, hex.
        serial: String,
        /// Its end.
        until: Millis,
        /// The doors that go with it.
        doors: Vec<DoorDigest>,
    },
    /// An operator's session began.
    SessionOpened {
        /// Unique within one run of the client.
        session: u64,
        /// Under which grant.
        #[serde(serialize_with = "text")]
        grant: GrantId,
        /// Whose.
        #[serde(serialize_with = "text")]
        operator: OperatorName,
        /// To which target.
        #[serde(serialize_with = "text")]
        target: TargetName,
    },
    /// It ended.
    SessionEnded {
        /// As it was opened.
        session: u64,
        /// Under which grant.
        #[serde(serialize_with = "text")]
        grant: GrantId,
        /// How.
        end: &'static str,
    },
    /// A call that mutates is forwarded to the engine; an intent.
    Call(Call),
    /// A call that only reads was made.
    Read {
        /// What was called.
        #[serde(flatten)]
        call: Call,
        /// How it went.
        #[serde(flatten)]
        called: Called,
    },
}

/// A request's move to a state.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Move {
    /// Which request.
    #[serde(serialize_with = "text")]
    pub request: RequestId,
    /// `access`, `operation`, `certificate`, `withdraw` or `unreadable`.
    pub subject: &'static str,
    /// Who asked.
    #[serde(serialize_with = "text")]
    pub operator: OperatorName,
    /// Where to, by the state's name; `revoked` also if only the grant of a run was cut, of which the state goes on
    /// telling.
    pub state: &'static str,
    /// The rule that decided; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// Why, one sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What its words stand for.
    #[serde(serialize_with = "text")]
    pub digest: Digest,
    /// The eight words.
    pub words: String,
    /// What is asked for, when the request is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Every method with its level, when it becomes a grant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub granted: Vec<GrantedMethod>,
    /// Who did it, if a person did.
    #[serde(flatten)]
    pub by: Option<By>,
    /// It took effect before it could be recorded; no outcome follows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
}

/// What a request asks for, in the operator's words.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// `incident`, `change`, `support` or `other`.
    pub occasion: &'static str,
    /// The reason.
    pub reason: String,
    /// May be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ticket: String,
    /// Method patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The operation, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Targets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// The grant or request that it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// When the operator signed it.
    pub issued: Millis,
}

/// A granted method.
#[derive(Debug, Clone, Serialize)]
pub struct GrantedMethod {
    /// `package.Service/Method`.
    pub method: String,
    /// `auto` or `manual`.
    pub level: &'static str,
}

/// Who did something at the customer's side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct By {
    /// The approver's name in the policy, or `uid 1001`, or `client`.
    pub by: String,
    /// What was said about it; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The envelope of the signed approval; empty for one by user id.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "base64")]
    pub approval: Vec<u8>,
}

/// What is called, under which grant.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// Under which grant.
    #[serde(serialize_with = "text")]
    pub grant: GrantId,
    /// To which target.
    #[serde(serialize_with = "text")]
    pub target: TargetName,
    /// What is called.
    #[serde(serialize_with = "text")]
    pub method: Arc<MethodName>,
}

/// How a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Called {
    /// When it began.
    pub started: Millis,
    /// gRPC status code.
    pub status: u32,
    /// Message bytes from the operator.
    pub bytes_in: u64,
    /// Message bytes to the operator.
    pub bytes_out: u64,
}

/// A time, as Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Millis(pub UnixMillis);

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0.0)
    }
}

/// A target and the SHA-256 of its door: enough to recognize a door, not to learn one.
#[derive(Debug, Clone, Serialize)]
pub struct DoorDigest {
    target: String,
    sha256: String,
}

impl DoorDigest {
    /// The digest of `door` at `target`.
    pub fn new(target: &TargetName, door: &Door) -> Self {
        let sha256 = tunnel_certs::crypto::sha256(door.as_str().as_bytes());
        Self { target: target.to_string(), sha256: data_encoding::HEXLOWER.encode(&sha256) }
    }
}

impl Event {
    /// As it is recorded after it took effect.
    #[must_use]
    pub(super) fn late(mut self) -> Self {
        match &mut self {
            Self::Move(moved) => moved.late = true,
            Self::Step { late, .. } => *late = true,
            _ => {}
        }
        self
    }

    /// Whether it may use the reserve of a full disk: only what a person does to close something may.
    pub fn is_emergency(&self) -> bool {
        match self {
            Self::Pause { .. }
            | Self::DenyOperator { .. }
            | Self::CancelOperation { .. }
            | Self::RootRemoved { .. }
            | Self::Answer { yes: false, .. } => true,
            Self::Move(moved) => moved.by.is_some() && matches!(moved.state, "revoked" | "denied"),
            _ => false,
        }
    }
}

fn text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn owing<S: Serializer>(late: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map([(if *late { "late" } else { "owes" }, true)])
}

fn optional<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

fn base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&data_encoding::BASE64.encode_display(bytes))
}
