//! From the message to the typed outcome: grammar and bounds of each field.

use std::str::FromStr;

use rustls_pki_types::CertificateDer;
use tunnel_protos::{Digest, PersonText, UnixMillis, v1};

use super::{Granted, Issued, OpenError, Outcome, VERSION};

pub(super) fn outcome(message: v1::Outcome) -> Result<Outcome, OpenError> {
    if message.version != VERSION {
        return Err(OpenError::Field("version"));
    }
    let state = message.state();
    if state == v1::RequestState::Unspecified {
        return Err(OpenError::Field("state"));
    }
    Ok(Outcome {
        request_digest: Digest::try_from(&message.request_digest[..])
            .map_err(|_| OpenError::Field("request"))?,
        sequence: message.sequence,
        state,
        time: UnixMillis(message.time_ms),
        reason: text("reason", message.reason)?,
        rule: text("rule", message.rule)?,
        approvals_had: message.approvals_had,
        approvals_needed: message.approvals_needed,
        notified: notified(message.notified)?,
        deadlines: message.deadlines.ok_or(OpenError::Field("deadlines"))?,
        granted: message.granted.as_ref().map(granted).transpose()?,
        issued: message.issued.map(issued).transpose()?,
    })
}

fn notified(message: Vec<v1::Notified>) -> Result<Vec<(String, UnixMillis)>, OpenError> {
    bounded("list of notified", message.len(), 0, MAX_NOTIFIED)?;
    let read = |one: v1::Notified| Ok((text("list of notified", one.who)?, UnixMillis(one.time_ms)));
    message.into_iter().map(read).collect()
}

fn granted(message: &v1::Granted) -> Result<Granted, OpenError> {
    bounded("methods", message.methods.len(), 0, MAX_METHODS)?;
    bounded("targets", message.targets.len(), 0, MAX_TARGETS)?;
    let method = |one: &v1::GrantedMethod| match one.level() {
        v1::GrantLevel::Unspecified => Err(OpenError::Field("level")),
        level => Ok((field("method", &one.method)?, level)),
    };
    Ok(Granted {
        methods: message.methods.iter().map(method).collect::<Result<_, _>>()?,
        targets: message.targets.iter().map(|target| field("target", target)).collect::<Result<_, _>>()?,
    })
}

fn issued(message: v1::IssuedCertificate) -> Result<Issued, OpenError> {
    bounded("doors", message.doors.len(), 1, MAX_TARGETS)?;
    bounded("anchors", message.access_ca_anchors.len(), 1, MAX_ANCHORS)?;
    let door = |one: &v1::TargetDoor| Ok((field("target", &one.target)?, field("door", &one.door)?));
    Ok(Issued {
        certificate: CertificateDer::from(message.certificate),
        doors: message.doors.iter().map(door).collect::<Result<_, _>>()?,
        anchors: message.access_ca_anchors.into_iter().map(CertificateDer::from).collect(),
    })
}

/// Also from the client only one line without tricks: it ends up in a terminal. A long one is cut, since what it says
/// of is signed and must be known.
fn text(name: &'static str, mut text: String) -> Result<String, OpenError> {
    text.truncate(text.floor_char_boundary(PersonText::MAX_BYTES));
    text.parse::<PersonText>().map(|_| text).map_err(|_| OpenError::Field(name))
}

fn field<T: FromStr>(name: &'static str, text: &str) -> Result<T, OpenError> {
    text.parse().map_err(|_| OpenError::Field(name))
}

fn bounded(name: &'static str, got: usize, least: usize, most: usize) -> Result<(), OpenError> {
    if (least..=most).contains(&got) { Ok(()) } else { Err(OpenError::Field(name)) }
}

const MAX_NOTIFIED: usize = 16;
/// As many as a grant may have.
const MAX_METHODS: usize = 4096;
const MAX_TARGETS: usize = 64;
/// The current access CA and, while rotating, the one before it.
const MAX_ANCHORS: usize = 2;
