//! The form of a session's description on disk (JSON).

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use tunnel_protos::UnixMillis;

use super::Session;

#[derive(Serialize, Deserialize)]
struct Form {
    cluster: String,
    label: String,
    grant: String,
    doors: BTreeMap<String, String>,
    connect_address: Option<String>,
    certificate_until_ms: i64,
    until_ms: i64,
    methods: Vec<String>,
}

pub(super) fn encode(session: &Session) -> Vec<u8> {
    let form = Form {
        cluster: session.cluster.to_string(),
        label: session.label.to_string(),
        grant: session.grant.to_string(),
        doors: session.doors.iter().map(|(target, host)| (target.to_string(), host.clone())).collect(),
        connect_address: session.connect_address.clone(),
        certificate_until_ms: session.certificate_until.0,
        until_ms: session.until.0,
        methods: session.methods.iter().map(ToString::to_string).collect(),
    };
    serde_json::to_vec(&form).unwrap_or_default()
}

pub(super) fn decode(folder: &Path, bytes: &[u8]) -> Option<Session> {
    let form: Form = serde_json::from_slice(bytes).ok()?;
    let doors = form.doors.into_iter().map(|(target, host)| Some((target.parse().ok()?, host)));
    Some(Session {
        folder: folder.into(),
        cluster: form.cluster.parse().ok()?,
        label: form.label.parse().ok()?,
        grant: form.grant.parse().ok()?,
        doors: doors.collect::<Option<_>>()?,
        connect_address: form.connect_address,
        certificate_until: UnixMillis(form.certificate_until_ms),
        until: UnixMillis(form.until_ms),
        methods: form.methods.iter().map(|method| method.parse().ok()).collect::<Option<_>>()?,
    })
}
