//! A request as a CloudEvent: what a person needs to decide, and the exact commands to do so.
//!
//! Texts from elsewhere are escaped: chat programs and pagers show them.

use bytes::Bytes;
use serde_json::{Value, json};
use tunnel_protos::{
    ClusterName, Label, UnixMillis,
    approvers::RequestView,
    text::{escape, spoken},
    v1,
};

/// Whose requests these are.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) cluster: ClusterName,
    pub(super) label: Label,
}

/// The same for each attempt to tell this state of this request, so that a receiver can tell repeats apart; a request
/// that waits with another plan is told anew.
pub(super) fn id(view: &RequestView) -> String {
    let plan = view.running.as_ref().and_then(|running| running.plan_digest.get(..PLAN_BYTES));
    let plan = plan.map(|digest| format!("-{}", data_encoding::HEXLOWER.encode(digest))).unwrap_or_default();
    format!("{}-{}{plan}", view.id, state(view))
}

/// The whole event.
pub(super) fn event(view: &RequestView, about: &About, now: UnixMillis) -> Bytes {
    let event = json!({
        "specversion": "1.0",
        "id": id(view),
        "source": format!("postern://{}/requests", about.label),
        "type": format!("dev.postern.request.{}.v1", state(view)),
        "subject": view.id,
        "time": time(now.0),
        "datacontenttype": "application/json",
        "data": data(view, about),
    });
    Bytes::from(event.to_string())
}

fn data(view: &RequestView, about: &About) -> Value {
    let reason = view.reason.clone().unwrap_or_default();
    let pending = view.state() == v1::RequestState::Pending;
    json!({
        "cluster": about.cluster.as_str(),
        "request": view.id,
        "state": state(view),
        "stateReason": safe(&view.state_reason),
        "words": safe(&view.words),
        "digest": data_encoding::HEXLOWER.encode(&view.digest),
        "operator": safe(&view.operator),
        "reason": { "type": occasion(&reason), "text": safe(&reason.text), "ticket": safe(&reason.ticket) },
        "asked": view.methods.iter().map(|method| safe(method)).collect::<Vec<_>>(),
        "methods": methods(view),
        "methodsTotal": view.asked.len(),
        "targets": view.targets.iter().map(|target| safe(target)).collect::<Vec<_>>(),
        "raw": view.raw,
        "operation": operation(view),
        "approvals": { "had": view.approvals_had, "needed": view.approvals_needed },
        "deniedBefore": safe(&view.denied_before),
        "deadlines": deadlines(view),
        "approve": pending.then(|| approve(view)),
        "deny": pending.then(|| format!("tunnel-client deny {}", safe(&view.id))),
    })
}

/// What an operation would do; none for other kinds.
fn operation(view: &RequestView) -> Option<Value> {
    let asked = view.operation.as_ref()?;
    let running = view.running.as_ref()?;
    let plan = running.plan.as_ref();
    Some(json!({
        "kind": plan.map(|plan| safe(&plan.operation)),
        "title": title(view),
        "component": plan.map(|plan| safe(&plan.component)),
        "risk": plan.map(|plan| spoken(plan.risk().as_str_name(), "RISK_CLASS_")),
        "riskReason": plan.map(|plan| safe(&plan.risk_reason)),
        "dryRun": asked.dry_run,
        "steps": plan.map(|plan| plan.steps.len()),
        "affected": plan.map(|plan| plan.affected.iter().take(MOST_METHODS).map(|name| safe(name)).collect::<Vec<_>>()),
        "planDigest": data_encoding::HEXLOWER.encode(&running.plan_digest),
    }))
}

/// What the plan of an operation says that it does; none for other kinds.
pub(super) fn title(view: &RequestView) -> Option<String> {
    let plan = view.running.as_ref()?.plan.as_ref()?;
    Some(safe(&plan.title))
}

fn methods(view: &RequestView) -> Vec<Value> {
    let method = |asked: &tunnel_protos::approvers::AskedMethod| json!({ "method": safe(&asked.method), "mutates": asked.mutates });
    view.asked.iter().take(MOST_METHODS).map(method).collect()
}

fn deadlines(view: &RequestView) -> Value {
    let deadlines = view.deadlines.unwrap_or_default();
    json!({
        "answerUntil": moment(deadlines.pending_until_ms),
        "firstUseUntil": moment(deadlines.claim_until_ms),
        "workUntil": moment(deadlines.work_until_ms),
        "certificateUntil": moment(deadlines.certificate_until_ms),
        "firstUseWithinSeconds": view.claim_window_ms / 1000,
        "workForSeconds": work_ms(view) / 1000,
        "certificateForSeconds": view.certificate_ttl_ms / 1000,
    })
}

/// The command that approves exactly this.
pub(super) fn approve(view: &RequestView) -> String {
    // Words are of the list, so nothing in them means anything to a shell.
    format!("tunnel-client approve {} --words \"{}\"", safe(&view.id), safe(&view.words))
}

/// `pending`.
pub(super) fn state(view: &RequestView) -> String {
    spoken(view.state().as_str_name(), "REQUEST_STATE_")
}

/// `incident`.
pub(super) fn occasion(reason: &v1::Reason) -> String {
    spoken(reason.r#type().as_str_name(), "REASON_TYPE_")
}

/// Nothing wanted in particular means as long as the policy gives.
fn work_ms(view: &RequestView) -> u64 {
    if view.wanted_ms == 0 { view.work_window_ms } else { view.wanted_ms.min(view.work_window_ms) }
}

fn moment(ms: i64) -> Option<String> {
    (ms > 0).then(|| time(ms))
}

/// RFC 3339, in UTC.
pub(super) fn time(ms: i64) -> String {
    UnixMillis(ms).to_string()
}

/// As it may be shown.
pub(super) fn safe(text: &str) -> String {
    escape(text, LONGEST)
}

/// Enough to tell the plans of one request apart.
const PLAN_BYTES: usize = 4;
/// As many as a person reads in a message; how many there are is told beside them.
const MOST_METHODS: usize = 64;
/// As long as a text from a person may be.
const LONGEST: usize = 512;
