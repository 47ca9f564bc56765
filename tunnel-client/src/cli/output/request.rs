//! One request: everything that an approver must see, and the exact commands to answer it.

use std::{path::Path, time::Duration};

use tunnel_protos::{UnixMillis, approvers as api, operations::Paint, time::lasting, v1};
use tunnel_runtime::layout::quoted;

use super::{
    answer, level, occasion,
    operation::operation,
    state,
    text::{block, bytes, columns, fields, moment, relative, safe, stamp},
};

/// What a pasted command must say beside what it is about.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::cli) struct Pasted<'a> {
    /// The socket, if it is not the usual one.
    pub(in crate::cli) socket: Option<&'a Path>,
    /// Whether a yes needs an approver key, because this user id can be no approver's.
    pub(in crate::cli) key: bool,
}

impl Pasted<'_> {
    /// For a command that loosens: where the daemon is, and whose word it is.
    pub(super) fn words(self) -> String {
        let key = if self.key { " --key NAME.key" } else { "" };
        format!("{}{key}", socket(self.socket))
    }
}

/// The whole request, with the commands that may be pasted here.
pub(in crate::cli) fn request(
    view: &api::RequestView,
    now: UnixMillis,
    pasted: Pasted<'_>,
    paint: Paint,
) -> String {
    let elsewhere = pasted.socket;
    let mut text = fields(head(view, now));
    match view.operation {
        Some(_) => text += &operation(view, paint),
        None => text += &block("Asks for", &asked(view)),
    }
    let over = super::over::advice(view);
    if over.is_none() {
        text += &block("Until", &deadlines(view, now));
    }
    if !view.answers.is_empty() {
        text += &block("Answers", &answers(&view.answers));
    }
    text += &match view.state() {
        v1::RequestState::Pending => block("To answer", &commands(view, pasted)),
        v1::RequestState::Running => block("To stop it", &cancel(view, elsewhere)),
        _ => over.map(|text| block("What now", &text)).unwrap_or_default(),
    };
    if view
        .running
        .as_ref()
        .and_then(|running| running.bundle.as_ref())
        .is_some_and(|bundle| !bundle.released)
    {
        text += &block("To let the bundle leave", &release(view, elsewhere));
    }
    text
}

fn head(view: &api::RequestView, now: UnixMillis) -> Vec<(&'static str, String)> {
    let told: Vec<_> =
        view.notified.iter().map(|told| format!("{} at {}", told.who, stamp(told.time_ms))).collect();
    let approvals = format!("{} of {}", view.approvals_had, view.approvals_needed);
    vec![
        ("Id", view.id.clone()),
        ("Words", view.words.clone()),
        ("Kind", view.kind.clone()),
        ("Operator", view.operator.clone()),
        ("Reason", reason(view)),
        ("Ticket", view.reason.clone().unwrap_or_default().ticket),
        ("State", state(view.state)),
        ("Because", view.state_reason.clone()),
        ("Rule", view.rule.clone()),
        ("Approvals", if view.approvals_needed > 0 { approvals } else { String::new() }),
        ("Denied before", denied_before(&view.denied_before)),
        ("Told", told.join(", ")),
        ("Asked", moment(view.issued_ms, now)),
        ("Received", moment(view.received_ms, now)),
        ("Targets", view.targets.join(", ")),
        ("Sessions", if view.sessions > 0 { view.sessions.to_string() } else { String::new() }),
    ]
}

fn reason(view: &api::RequestView) -> String {
    let reason = view.reason.clone().unwrap_or_default();
    if reason.text.is_empty() {
        String::new()
    } else {
        format!("{}: {}", occasion(reason.r#type), reason.text)
    }
}

fn denied_before(id: &str) -> String {
    if id.is_empty() { String::new() } else { format!("yes, the same ask was denied as {id}") }
}

/// Every concrete method, and what was asked where that differs.
fn asked(view: &api::RequestView) -> String {
    let mut text = String::new();
    if view.asked.is_empty() || view.methods.iter().any(|method| method.ends_with("/*")) {
        text += &fields(view.methods.iter().map(|method| ("As asked", method.clone())).collect());
    }
    if view.raw {
        text += "Raw: methods of operations too, by their exact names.\n";
    }
    if !view.asked.is_empty() {
        let mut rows = vec![["METHOD", "LEVEL", "EFFECT", "LIMITS"].map(str::to_owned).to_vec()];
        rows.extend(view.asked.iter().map(method));
        text += &columns(&rows);
    }
    text
}

fn method(asked: &api::AskedMethod) -> Vec<String> {
    let effect = if asked.mutates { "MUTATES" } else { "reads" };
    vec![asked.method.clone(), level(asked.level), effect.into(), limits(asked)]
}

fn limits(asked: &api::AskedMethod) -> String {
    let limits = [
        asked.limit_bytes.map(bytes),
        asked.limit_calls_per_minute.map(|calls| format!("{calls} calls/min")),
        asked.limit_streams.map(|streams| format!("{streams} streams")),
    ];
    let limits: Vec<_> = limits.into_iter().flatten().collect();
    if limits.is_empty() { "none".into() } else { limits.join(", ") }
}

fn deadlines(view: &api::RequestView, now: UnixMillis) -> String {
    let deadlines = view.deadlines.unwrap_or_default();
    let window = |ms: u64| Duration::from_millis(ms);
    let length = |ms: u64, text: &str| {
        if ms == 0 { String::new() } else { format!("{} {text}", lasting(window(ms))).trim_end().to_owned() }
    };
    let work = match view.wanted_ms {
        0 => view.work_window_ms,
        wanted => wanted.min(view.work_window_ms),
    };
    let or = |set: i64, otherwise: String| if set == 0 { otherwise } else { moment(set, now) };
    fields(vec![
        ("Answer", moment(deadlines.pending_until_ms, now)),
        ("First use", or(deadlines.claim_until_ms, length(view.claim_window_ms, "from the yes"))),
        ("End of work", or(deadlines.work_until_ms, length(work, "from the first use"))),
        (
            "Certificate",
            or(
                deadlines.certificate_until_ms,
                length(view.certificate_ttl_ms, "each, renewed without asking"),
            ),
        ),
        ("Work asked for", length(view.wanted_ms, "")),
    ])
}

fn answers(answers: &[api::AnswerView]) -> String {
    let row = |view: &api::AnswerView| {
        let how = if view.signed { "signed" } else { "by user id" };
        vec![view.who.clone(), answer(view.answer), stamp(view.time_ms), how.into(), view.note.clone()]
    };
    columns(&answers.iter().map(row).collect::<Vec<_>>())
}

fn cancel(view: &api::RequestView, elsewhere: Option<&Path>) -> String {
    format!("tunnel-client cancel {}{}", quoted(&safe(&view.id)), socket(elsewhere))
}

fn release(view: &api::RequestView, elsewhere: Option<&Path>) -> String {
    let (id, socket) = (quoted(&safe(&view.id)), socket(elsewhere));
    format!("tunnel-client bundle list {id}{socket}\ntunnel-client bundle release {id}{socket}")
}

fn socket(elsewhere: Option<&Path>) -> String {
    let socket = elsewhere.map(|path| format!(" --socket {}", quoted(&path.display().to_string())));
    socket.unwrap_or_default()
}

/// What a script must say beside the words: an operation is approved with the plan that was shown.
fn plan(view: &api::RequestView) -> String {
    let digest = view.running.as_ref().map(|running| data_encoding::HEXLOWER.encode(&running.plan_digest));
    match digest.filter(|digest| view.operation.is_some() && !digest.is_empty()) {
        Some(digest) => format!(" --plan {}", digest.get(..16).unwrap_or(&digest)),
        None => String::new(),
    }
}

fn commands(view: &api::RequestView, pasted: Pasted<'_>) -> String {
    let socket = socket(pasted.socket);
    let id = quoted(&view.id);
    let until = relative(view.deadlines.unwrap_or_default().pending_until_ms, crate::clock::wall());
    let (key, hint) = if pasted.key {
        (" --key NAME.key", "NAME is an approver of the policy; your user id can be no approver's")
    } else {
        ("", "if your user id is no approver's, --key NAME.key signs with an approver key")
    };
    format!(
        "tunnel-client approve {id}{socket} --words {}{}{key}\ntunnel-client deny {id}{socket}\n\
         ({hint}; the request expires {until})",
        quoted(&view.words),
        plan(view)
    )
}
