//! The live table: who is in since when, what is being called, how much passed, how fast.

use std::{collections::HashMap, time::Duration};

use tunnel_protos::{UnixMillis, approvers as api, time::lasting};

use crate::cli::output::{bytes, columns, safe};

/// Bytes per second of each session, from one snapshot to the next.
#[derive(Debug, Default)]
pub(super) struct Rates {
    at: UnixMillis,
    sessions: HashMap<u64, Rate>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Rate {
    total: u64,
    per_second: u64,
}

impl Rates {
    pub(super) fn take(&mut self, view: &api::SessionsView) {
        let passed = UnixMillis(view.time_ms).since(self.at);
        let before = std::mem::take(&mut self.sessions);
        let rate = |session: &api::SessionView| {
            let total = session.bytes_in.saturating_add(session.bytes_out);
            let moved = before.get(&session.id).map_or(0, |rate| total.saturating_sub(rate.total));
            (session.id, Rate { total, per_second: per_second(moved, passed) })
        };
        self.sessions = view.sessions.iter().map(rate).collect();
        self.at = UnixMillis(view.time_ms);
    }

    pub(super) fn of(&self, session: u64) -> u64 {
        self.sessions.get(&session).map_or(0, |rate| rate.per_second)
    }
}

fn per_second(moved: u64, passed: Duration) -> u64 {
    let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
    moved.saturating_mul(1000).checked_div(millis).unwrap_or(0)
}

/// The table, with a number before each session that a digit selects and a mark before the one that is selected.
pub(super) fn sessions(
    view: &api::SessionsView,
    rates: &Rates,
    selected: Option<u64>,
    now: UnixMillis,
) -> String {
    if view.sessions.is_empty() {
        return "No sessions are open.\n".into();
    }
    let headings = ["", "GRANT", "OPERATOR", "TARGET", "OPEN", "CALLS", "IN", "OUT", "RATE", "NOW CALLING"];
    let mut rows = vec![headings.map(str::to_owned).to_vec()];
    rows.extend(view.sessions.iter().zip(1..=MOST_ROWS).map(|(session, number)| {
        let mark = if selected == Some(session.id) { '>' } else { ' ' };
        let number = if number <= 9 { number.to_string() } else { String::new() };
        row(format!("{mark}{number}"), session, rates, now)
    }));
    let more = view.sessions.len().saturating_sub(MOST_ROWS);
    let more = if more > 0 { format!("and {more} more (`--output json`)\n") } else { String::new() };
    columns(&rows) + &more
}

fn row(first: String, session: &api::SessionView, rates: &Rates, now: UnixMillis) -> Vec<String> {
    vec![
        first,
        session.grant.chars().take(8).collect(),
        session.operator.clone(),
        session.target.clone(),
        lasting(now.since(UnixMillis(session.since_ms))),
        format!("{} of {}", session.calls.len(), session.calls_total),
        bytes(session.bytes_in),
        bytes(session.bytes_out),
        format!("{}/s", bytes(rates.of(session.id))),
        calling(&session.calls),
    ]
}

/// Each method once, with how often it is open.
fn calling(calls: &[api::CallView]) -> String {
    let mut open: Vec<(&str, usize)> = Vec::new();
    for call in calls {
        match open.iter_mut().find(|(method, _)| *method == call.method) {
            Some((_, count)) => *count += 1,
            None => open.push((&call.method, 1)),
        }
    }
    let each = open.iter().take(MOST_METHODS).map(|(method, count)| match count {
        1 => safe(method),
        count => format!("{} ×{count}", safe(method)),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// With headings, note and keys it fits a terminal of 24 lines.
pub(super) const MOST_ROWS: usize = 16;
/// Of one row.
const MOST_METHODS: usize = 3;
