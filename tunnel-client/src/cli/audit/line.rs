//! A record as one line for people: when, about which grant or request, who, what, and how it went.
//!
//! What this program does not know in words is shown field by field, so that no record and no newer kind is hidden.

use std::{collections::HashMap, fmt::Write};

use serde_json::{Map, Value};
use tonic::Code;
use tunnel_protos::text::escape;

use crate::audit::{line::Line, statement};

/// Who asked for what, as far as the lines so far said so: records of calls name their grant only.
#[derive(Debug, Default)]
pub(super) struct Operators(HashMap<String, String>);

/// The line, with its line break.
pub(super) fn readable(line: &Line, operators: &mut Operators) -> String {
    let id = [line.text("grant"), line.text("request")].into_iter().find(|id| !id.is_empty());
    let known = id.and_then(|id| operators.of(id, line.text("operator")));
    let about: String = id.unwrap_or("-").chars().take(8).collect();
    let who = [line.text("by"), line.text("operator")].into_iter().find(|who| !who.is_empty());
    let who = who.map(str::to_owned).or(known);
    let mut text = format!(
        "{:>6}  {}  {:<8}  {:<10}  {}",
        line.seq,
        line.time.precise(),
        escape(&about, SHORT),
        escape(who.as_deref().unwrap_or("-"), SHORT),
        what(line).unwrap_or_else(|| fields(line)),
    );
    let note = line.text("note");
    // What a move says of why may end with the note.
    let is_told = line.kind == "move" && line.text("why").ends_with(&format!(": {note}"));
    if !note.is_empty() && !is_told {
        let _infallible = write!(text, " – {}", escape(note, LONG));
    }
    text.push('\n');
    text
}

impl Operators {
    fn of(&mut self, id: &str, named: &str) -> Option<String> {
        if !named.is_empty() {
            self.0.insert(id.to_owned(), named.to_owned());
        }
        self.0.get(id).cloned()
    }
}

/// The kinds that are most of a log; none for others.
fn what(line: &Line) -> Option<String> {
    let text = |field: &str| escape(line.text(field), LONG);
    let truth = |field: &str| line.fields.get(field).and_then(Value::as_bool);
    let call = || format!("{} on {}", text("method"), text("target"));
    Some(match line.kind.as_str() {
        "started" => format!("client {} started", text("build")),
        "stopped" => "client stopped".to_owned(),
        "move" => moved(line),
        "moved" if line.fields.contains_key("request") => match truth("stored") {
            Some(true) => "stored".to_owned(),
            _ => "NOT STORED".to_owned(),
        },
        "answer" => (if truth("yes") == Some(true) { "says yes" } else { "says no" }).to_owned(),
        "certificate" => "certificate issued".to_owned(),
        "sessionOpened" => format!("session {} opened to {}", number(line, "session"), text("target")),
        "sessionEnded" => format!("session {} ended: {}", number(line, "session"), text("end")),
        "call" => format!("calls {}, which mutates", call()),
        "callEnded" => format!("called {}: {}", call(), went(line)),
        "read" => format!("read {}: {}", call(), went(line)),
        "abandoned" if line.fields.contains_key("method") => format!("did not call {}", call()),
        "indeterminate" if line.fields.contains_key("method") => {
            format!("called {}: NOBODY KNOWS what came of it", call())
        }
        "planned" | "step" | "gate" | "operation" | "bundle" | "cancelOperation" => {
            escape(&statement::work(line), LONG)
        }
        "pause" => "paused everything".to_owned(),
        "resume" => "resumed".to_owned(),
        "denyOperator" => format!("denies operator {}", text("operator")),
        "allowOperator" => format!("allows operator {} again", text("operator")),
        "policy" => format!("policy {} in force", text("digest").chars().take(16).collect::<String>()),
        _ => return None,
    })
}

fn moved(line: &Line) -> String {
    let mut text = format!("{} {}", escape(line.text("subject"), SHORT), escape(line.text("state"), SHORT));
    if let Some(asked) = line.fields.get("asked").and_then(Value::as_object) {
        let _infallible = write!(text, ": {}", asked_for(asked));
    }
    if !line.text("why").is_empty() {
        let _infallible = write!(text, " – {}", escape(line.text("why"), LONG));
    }
    if !line.text("rule").is_empty() {
        let _infallible = write!(text, " ({})", escape(line.text("rule"), LONG));
    }
    text
}

fn asked_for(asked: &Map<String, Value>) -> String {
    let text = |field: &str| asked.get(field).and_then(Value::as_str).unwrap_or_default();
    let list = |field: &str| {
        let all = asked.get(field).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
    };
    let what = match text("operation") {
        "" => list("methods"),
        operation => operation.to_owned(),
    };
    let on = match list("targets") {
        none if none.is_empty() => String::new(),
        targets => format!(" on {targets}"),
    };
    let about = match text("about") {
        "" => String::new(),
        id => format!("of {}", id.chars().take(8).collect::<String>()),
    };
    let why = match (text("reason"), text("ticket")) {
        ("", _) => String::new(),
        (reason, "") => format!(", {}: {reason}", text("occasion")),
        (reason, ticket) => format!(", {}: {reason} ({ticket})", text("occasion")),
    };
    escape(&format!("{what}{on}{about}{why}"), LONG)
}

fn went(line: &Line) -> String {
    let status = line.number("status").and_then(|code| i32::try_from(code).ok());
    let status = status.map_or_else(|| "?".to_owned(), |code| format!("{:?}", Code::from(code)));
    format!("{status}, {} B in, {} B out", number(line, "bytesIn"), number(line, "bytesOut"))
}

fn number(line: &Line, field: &str) -> u64 {
    line.number(field).unwrap_or_default()
}

/// The kind and all its fields, but for those that are long and for programs.
fn fields(line: &Line) -> String {
    let mut text = escape(&line.kind, SHORT);
    for (name, value) in &line.fields {
        let shown = ["grant", "by", "note", "approval", "granted", "asked", "open", "doors"];
        if !shown.contains(&name.as_str()) {
            let _infallible = write!(text, " {}={}", escape(name, SHORT), plain(value));
        }
    }
    text
}

/// A text bare if it is one word, else quoted.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if !text.contains([' ', '"', '=']) && !text.is_empty() => escape(text, LONG),
        Value::String(text) => format!("\"{}\"", escape(text, LONG)),
        other => escape(&other.to_string(), LONG),
    }
}

const SHORT: usize = 64;
/// Longer than any text from people.
const LONG: usize = 1024;
