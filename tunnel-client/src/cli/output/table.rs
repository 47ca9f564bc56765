//! The forms for people: aligned columns, times relative to now, nothing that needs color.

use std::{fmt::Write, time::Duration};

use tunnel_protos::{UnixMillis, approvers as api, v1};

use super::{super::customer::Answer, health, level, state};

pub(super) fn answer(answer: &Answer, now: UnixMillis) -> String {
    match answer {
        Answer::Requests(list) if list.requests.is_empty() => "No requests.\n".into(),
        Answer::Requests(list) => requests(&list.requests, now),
        Answer::Request(view) => request(view, now),
        Answer::Revoked(reply) => format!("Revoked {}; sessions cut: {}.\n", reply.id, reply.sessions_cut),
        Answer::Status(status) => self::status(status, now),
    }
}

fn requests(views: &[api::RequestView], now: UnixMillis) -> String {
    let mut rows = vec![["ID", "KIND", "OPERATOR", "STATE", "UNTIL", "WORDS"].map(str::to_owned).to_vec()];
    rows.extend(views.iter().map(|view| {
        let id = view.id.chars().take(8).collect();
        vec![
            id,
            view.kind.clone(),
            view.operator.clone(),
            state(view.state),
            until(view, now),
            view.words.clone(),
        ]
    }));
    columns(&rows)
}

fn request(view: &api::RequestView, now: UnixMillis) -> String {
    let reason = view.reason.clone().unwrap_or_default();
    let mut rows = vec![
        ("Id", view.id.clone()),
        ("Words", view.words.clone()),
        ("Kind", view.kind.clone()),
        ("Operator", view.operator.clone()),
        ("Reason", reason.text),
        ("Ticket", reason.ticket),
        ("State", state(view.state)),
        ("Because", view.state_reason.clone()),
        ("Asked", moment(view.issued_ms, now)),
        ("Received", moment(view.received_ms, now)),
        ("Until", until(view, now)),
        ("Targets", view.targets.join(", ")),
        ("Sessions", view.sessions.to_string()),
    ];
    rows.extend(view.methods.iter().map(|method| ("Asks for", method.clone())));
    let granted = view.granted.iter().flat_map(|granted| &granted.methods);
    rows.extend(granted.map(|granted| ("Granted", format!("{} ({})", granted.method, level(granted.level)))));
    fields(rows)
}

fn status(status: &api::Status, now: UnixMillis) -> String {
    let policy = status.policy.clone().unwrap_or_default();
    let mut rows = vec![
        ("Cluster", format!("{} (label {})", status.cluster, status.label)),
        ("Replica", status.replica.clone()),
        ("Build", status.build.clone()),
        ("Refusing requests", status.refusing.clone()),
        ("Words", status.registration_words.clone()),
        ("Policy", policy.digest.chars().take(16).collect()),
        ("Policy not taken", policy.error),
        ("Requests pending", status.requests_pending.to_string()),
        ("Grants live", status.grants_live.to_string()),
        ("Sessions open", status.sessions_open.to_string()),
        ("Trust bundle ends", moment(status.trust_bundle_expires_ms, now)),
        ("Entry ends", moment(status.entry_expires_ms, now)),
        ("Mesh certificate ends", moment(status.mesh_certificate_expires_ms, now)),
        ("Access CA ends", moment(status.access_ca_expires_ms, now)),
    ];
    rows.extend(status.tunnels.iter().map(|tunnel| ("Tunnel", self::tunnel(tunnel, now))));
    rows.extend(
        status
            .targets
            .iter()
            .map(|target| ("Engine", format!("{} {}", target.target, health(target.health)))),
    );
    fields(rows)
}

fn tunnel(tunnel: &api::TunnelStatus, now: UnixMillis) -> String {
    let mut text = format!("{} {} since {}", tunnel.address, tunnel.state, moment(tunnel.since_ms, now));
    if !tunnel.broker_id.is_empty() {
        let _infallible = write!(text, ", broker {}", tunnel.broker_id);
    }
    if !tunnel.last_error.is_empty() {
        let _infallible = write!(text, ", last error: {}", tunnel.last_error);
    }
    text
}

/// The deadline that comes next for a request in its state.
fn until(view: &api::RequestView, now: UnixMillis) -> String {
    let deadlines = view.deadlines.unwrap_or_default();
    let next = match v1::RequestState::try_from(view.state) {
        Ok(v1::RequestState::Pending) => deadlines.pending_until_ms,
        Ok(v1::RequestState::Approved) => deadlines.claim_until_ms,
        Ok(v1::RequestState::Active) => deadlines.work_until_ms,
        _ => 0,
    };
    moment(next, now)
}

/// `in 12m 3s` or `5m ago`; nothing for a time that is not set.
fn moment(ms: i64, now: UnixMillis) -> String {
    match UnixMillis(ms) {
        UnixMillis(0) => String::new(),
        time if time > now => format!("in {}", rounded(time.since(now))),
        time => format!("{} ago", rounded(now.since(time))),
    }
}

/// Whole seconds, and at most the two largest units: more is noise to a person.
fn rounded(time: Duration) -> String {
    let text = humantime::format_duration(Duration::from_secs(time.as_secs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// `Name: value` lines with values aligned; empty values are left out.
fn fields(rows: Vec<(&str, String)>) -> String {
    let rows: Vec<_> = rows.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
    rows.iter().fold(String::new(), |mut text, (name, value)| {
        let _infallible = writeln!(text, "{:width$}  {value}", format!("{name}:"));
        text
    })
}

fn columns(rows: &[Vec<String>]) -> String {
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    rows.iter().fold(String::new(), |mut text, row| {
        for (column, cell) in row.iter().enumerate() {
            let _infallible = write!(text, "{cell:width$}  ", width = width(column).unwrap_or(0));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    })
}
