//! Lists: requests, operators; and a pause.

use tunnel_protos::{UnixMillis, approvers as api, v1::RequestState};

use super::{
    Pasted, state,
    text::{columns, fields, moment, relative},
};

/// Requests, those that wait for a person first.
pub(in crate::cli) fn requests(views: &[api::RequestView], now: UnixMillis) -> String {
    if views.is_empty() {
        return "No requests.\n".into();
    }
    let mut views: Vec<_> = views.iter().collect();
    // Stable: within each part, newest first as the daemon says.
    views.sort_by_key(|view| view.state() != RequestState::Pending);
    let headings = ["ID", "KIND", "OPERATOR", "STATE", "UNTIL", "ASKED", "WORDS"];
    let mut rows = vec![headings.map(str::to_owned).to_vec()];
    rows.extend(views.iter().map(|view| row(view, now)));
    columns(&rows)
}

fn row(view: &api::RequestView, now: UnixMillis) -> Vec<String> {
    vec![
        view.id.chars().take(8).collect(),
        view.kind.clone(),
        view.operator.clone(),
        state(view.state),
        relative(until(view), now),
        relative(view.issued_ms, now),
        view.words.clone(),
    ]
}

/// The deadline that comes next for a request in its state.
pub(super) fn until(view: &api::RequestView) -> i64 {
    let deadlines = view.deadlines.unwrap_or_default();
    match view.state() {
        RequestState::Pending => deadlines.pending_until_ms,
        RequestState::Approved => deadlines.claim_until_ms,
        RequestState::Active => deadlines.work_until_ms,
        _ => 0,
    }
}

/// Operators, those that are denied last.
pub(in crate::cli) fn operators(views: &[api::OperatorView], now: UnixMillis) -> String {
    if views.is_empty() {
        return "No operators.\n".into();
    }
    let mut views: Vec<_> = views.iter().collect();
    views.sort_by_key(|view| view.denied_since_ms != 0);
    let headings = ["OPERATOR", "PENDING", "GRANTS", "SESSIONS", "LAST ASKED", "DENIED", "BY", "NOTE"];
    let mut rows = vec![headings.map(str::to_owned).to_vec()];
    rows.extend(views.iter().map(|view| {
        vec![
            view.operator.clone(),
            view.requests_pending.to_string(),
            view.grants_live.to_string(),
            view.sessions_open.to_string(),
            relative(view.last_asked_ms, now),
            relative(view.denied_since_ms, now),
            view.denied_by.clone(),
            view.denied_note.clone(),
        ]
    }));
    columns(&rows)
}

/// A pause in force, and how to end it.
pub(in crate::cli) fn paused(view: &api::PauseView, pasted: Pasted<'_>) -> String {
    let stored = if view.stored { "" } else { "no: a restart would forget it; free the disk" };
    fields(vec![
        ("Paused", moment(view.since_ms, crate::clock::wall())),
        ("By", view.who.clone()),
        ("Note", view.note.clone()),
        ("Sessions cut", view.sessions_cut.to_string()),
        ("Stored", stored.into()),
        ("To end it", format!("tunnel-client resume {}{}", view.id, pasted.words())),
    ])
}
