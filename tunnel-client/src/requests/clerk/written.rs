//! What the audit log is told of a request.

use tunnel_certs::{
    issue::IssuedGrant,
    statement::request::{
        Operation,
        operation::{Scale, Size, What},
    },
    words::Words,
};
use tunnel_protos::v1::{self, ReasonType};

use crate::{
    audit::{Asked, By, DoorDigest, Event, GrantedMethod, Millis, Move},
    gate::grants::Level,
    requests::{
        Record,
        record::{Access, Revocation, Subject, Verdict},
        state::State,
    },
};

/// What became of `before`: where the state goes on telling of a run, that its grant was cut.
pub(super) fn change(before: Option<&Record>, record: &Record) -> Event {
    let stays = |before: &Record| before.state == record.state && !before.is_cut() && record.is_cut();
    if before.is_some_and(stays) { cut(record) } else { moved(record) }
}

/// The move of `record` to the state it is in.
pub(super) fn moved(record: &Record) -> Event {
    Event::Move(Box::new(entry(record)))
}

fn cut(record: &Record) -> Event {
    let why = record.operation().and_then(|operation| operation.cut.clone()).unwrap_or_default();
    let by = record.revocation.as_ref().map(By::from);
    Event::Move(Box::new(Move { state: State::Revoked.name(), why, by, ..entry(record) }))
}

fn entry(record: &Record) -> Move {
    Move {
        request: record.id,
        subject: record.subject.kind(),
        operator: record.operator.clone(),
        state: record.state.name(),
        rule: record.rule.clone(),
        why: record.why_here().to_owned(),
        digest: record.digest,
        words: Words::of(&record.digest).to_string(),
        // Version 0: nothing of it was ever stored, or recorded.
        asked: (record.version == 0).then(|| asked(record)),
        granted: record.access().filter(|_| record.state == State::Approved).map(granted).unwrap_or_default(),
        by: person(record),
        late: false,
    }
}

/// Who moved it, if a person did.
fn person(record: &Record) -> Option<By> {
    // Without what was said about a plan that nobody will carry out.
    let said = |answer| record.verdicts.iter().rev().find(|verdict| verdict.is(answer)).map(By::from);
    match record.state {
        State::Revoked => record.revocation.as_ref().map(By::from),
        State::Denied => said(v1::Answer::No),
        State::Approved => said(v1::Answer::Yes),
        _ => None,
    }
}

/// A certificate under `grant`, made for the request `record`.
pub(super) fn certificate(record: &Record, grant: &Record, issued: &IssuedGrant) -> Event {
    let doors = grant.access().into_iter().flat_map(|access| &access.doors);
    Event::Certificate {
        request: record.id,
        grant: grant.id.into(),
        operator: record.operator.clone(),
        serial: issued.serial.to_string(),
        until: Millis(issued.not_after),
        doors: doors.map(|(target, door)| DoorDigest::new(target, door)).collect(),
    }
}

fn asked(record: &Record) -> Asked {
    let access = record.access();
    Asked {
        occasion: occasion(record.reason.r#type()),
        reason: record.reason.text.clone(),
        ticket: record.reason.ticket.clone(),
        methods: access.iter().flat_map(|access| &access.asked).map(ToString::to_string).collect(),
        operation: record.operation().map(|operation| describe(&operation.asked)),
        targets: access.iter().flat_map(|access| &access.targets).map(ToString::to_string).collect(),
        about: match &record.subject {
            Subject::Certificate(grant) => Some(grant.to_string()),
            Subject::Withdraw(request) => Some(request.to_string()),
            Subject::Access(_) | Subject::Operation(_) | Subject::Unreadable => None,
        },
        issued: Millis(record.issued),
    }
}

/// What an operation asks for, in one line.
fn describe(asked: &Operation) -> String {
    let what = match &asked.what {
        What::Scale(Scale { component, size: Size::Replicas { expected, wanted } }) => {
            format!("scale {component}: {expected} → {wanted} replicas")
        }
        What::Scale(Scale { component, .. }) => format!("scale {component}: resources"),
        What::Upgrade(upgrade) => {
            let components = upgrade.components.iter().map(|upgrade| &upgrade.component);
            format!("upgrade {}", list(components))
        }
        What::Restart(restart) => format!("restart {}: {}", restart.component, list(&restart.nodes)),
        What::Configure(configure) => {
            let names = configure.settings.iter().map(|change| &change.name);
            format!("configure {}: {}", configure.component, list(names))
        }
        What::RunTask(run) => format!("runTask {}: {}", run.task, list(&run.targets)),
        What::CollectDebug(debug) => format!("collectDebug: {}", list(&debug.collectors)),
    };
    if asked.dry_run { format!("{what} (dry run)") } else { what }
}

fn list<'i, T: ToString + 'i>(items: impl IntoIterator<Item = &'i T>) -> String {
    let items: Vec<_> = items.into_iter().map(ToString::to_string).collect();
    if items.is_empty() { "all".to_owned() } else { items.join(", ") }
}

fn granted(access: &Access) -> Vec<GrantedMethod> {
    let level = |level: &Level| match level {
        Level::Auto => "auto",
        Level::Manual => "manual",
    };
    let methods = access.methods.iter();
    methods.map(|(method, at)| GrantedMethod { method: method.to_string(), level: level(at) }).collect()
}

fn occasion(reason: ReasonType) -> &'static str {
    match reason {
        ReasonType::Incident => "incident",
        ReasonType::Change => "change",
        ReasonType::Support => "support",
        ReasonType::Other | ReasonType::Unspecified => "other",
    }
}

impl From<&Revocation> for By {
    fn from(by: &Revocation) -> Self {
        Self { by: by.who.clone(), note: by.note.clone(), approval: Vec::new() }
    }
}

impl From<&Verdict> for By {
    fn from(by: &Verdict) -> Self {
        let approval = by.proof.as_ref().map(|proof| proof.envelope.clone()).unwrap_or_default();
        Self { by: by.who.clone(), note: by.note.clone(), approval }
    }
}
