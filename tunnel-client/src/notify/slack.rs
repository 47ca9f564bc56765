//! A request as a chat message: `{"text": …}`, as Slack and those who imitate it take.

use std::fmt::Write;

use bytes::Bytes;
use serde_json::json;
use tunnel_protos::{UnixMillis, approvers::RequestView, v1::RequestState};

use super::message::{About, approve, occasion, safe, state, time, title};

pub(super) fn message(view: &RequestView, about: &About, _now: UnixMillis) -> Bytes {
    let reason = view.reason.clone().unwrap_or_default();
    let mut text = format!(
        "{}: request of *{}* is {}\n{}: {} {}\nWords: {}\n",
        about.cluster,
        plain(&view.operator),
        state(view),
        occasion(&reason),
        plain(&reason.text),
        plain(&reason.ticket),
        plain(&view.words),
    );
    if let Some(title) = title(view) {
        let _infallible = writeln!(text, "Operation: {}", plain(&title));
    }
    for asked in view.asked.iter().take(MOST_METHODS) {
        let effect = if asked.mutates { "mutates" } else { "reads" };
        let _infallible = writeln!(text, "• {} ({effect})", plain(&asked.method));
    }
    if view.state() == RequestState::Pending {
        let until = time(view.deadlines.unwrap_or_default().pending_until_ms);
        let _infallible = writeln!(text, "Until {until}:\n```{}```", plain(&approve(view)));
    }
    Bytes::from(json!({ "text": text }).to_string())
}

/// Without what Slack reads as a link, a mention or a format.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in safe(text).chars() {
        match c {
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '`' | '*' | '~' => plain.push('\''),
            c => plain.push(c),
        }
    }
    plain
}

/// A message that people read on a telephone.
const MOST_METHODS: usize = 20;
