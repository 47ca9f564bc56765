//! The JSON forms. Keys are camelCase and stay; new ones may come. Times are Unix milliseconds.

use serde_json::{Value, json};
use tunnel_protos::{approvers as api, operations, text::spoken, v1};

use super::{health, level, occasion, state};

pub(in crate::cli) fn requests(views: &[api::RequestView]) -> Value {
    json!({ "requests": views.iter().map(request).collect::<Vec<_>>() })
}

pub(in crate::cli) fn request(view: &api::RequestView) -> Value {
    let reason = view.reason.clone().unwrap_or_default();
    json!({
        "id": view.id,
        "kind": view.kind,
        "words": view.words,
        "digest": data_encoding::HEXLOWER.encode(&view.digest),
        "operator": view.operator,
        "reason": { "type": occasion(reason.r#type), "text": reason.text, "ticket": reason.ticket },
        "methods": view.methods,
        "asked": view.asked.iter().map(asked).collect::<Vec<_>>(),
        "granted": view.granted.iter().flat_map(|granted| &granted.methods).map(granted).collect::<Vec<_>>(),
        "targets": view.targets,
        "raw": view.raw,
        "state": state(view.state),
        "stateReason": view.state_reason,
        "rule": view.rule,
        "approvals": { "had": view.approvals_had, "needed": view.approvals_needed },
        "answers": view.answers.iter().map(answer).collect::<Vec<_>>(),
        "notified": view.notified.iter().map(|told| json!({ "who": told.who, "time": told.time_ms })).collect::<Vec<_>>(),
        "deniedBefore": view.denied_before,
        "issued": view.issued_ms,
        "received": view.received_ms,
        "deadlines": view.deadlines.as_ref().map(deadlines),
        "windows": windows(view),
        "operation": view.running.as_ref().map(operations::operation_json),
        "sessions": view.sessions,
    })
}

pub(in crate::cli) fn bundles(views: &[api::BundleView]) -> Value {
    let bundle = |view: &api::BundleView| {
        json!({
            "id": view.id,
            "operator": view.operator,
            "made": view.made_ms,
            "bundle": view.bundle.as_ref().map(operations::bundle_json),
        })
    };
    json!({ "bundles": views.iter().map(bundle).collect::<Vec<_>>() })
}

fn asked(asked: &api::AskedMethod) -> Value {
    json!({
        "method": asked.method,
        "level": level(asked.level),
        "mutates": asked.mutates,
        "limits": {
            "bytes": asked.limit_bytes,
            "callsPerMinute": asked.limit_calls_per_minute,
            "streams": asked.limit_streams,
        },
    })
}

fn granted(method: &v1::GrantedMethod) -> Value {
    json!({ "method": method.method, "level": level(method.level) })
}

fn answer(view: &api::AnswerView) -> Value {
    json!({
        "who": view.who,
        "answer": super::answer(view.answer),
        "time": view.time_ms,
        "note": view.note,
        "signed": view.signed,
    })
}

fn deadlines(deadlines: &v1::Deadlines) -> Value {
    json!({
        "pendingUntil": deadlines.pending_until_ms,
        "claimUntil": deadlines.claim_until_ms,
        "workUntil": deadlines.work_until_ms,
        "certificateUntil": deadlines.certificate_until_ms,
    })
}

fn windows(view: &api::RequestView) -> Value {
    json!({
        "wantedMs": view.wanted_ms,
        "claimMs": view.claim_window_ms,
        "workMs": view.work_window_ms,
        "certificateMs": view.certificate_ttl_ms,
    })
}

pub(in crate::cli) fn revoked(reply: &api::RevokeReply) -> Value {
    json!({ "id": reply.id, "sessionsCut": reply.sessions_cut })
}

pub(in crate::cli) fn pause(view: &api::PauseView) -> Value {
    json!({
        "id": view.id,
        "since": view.since_ms,
        "who": view.who,
        "note": view.note,
        "sessionsCut": view.sessions_cut,
        "stored": view.stored,
    })
}

pub(in crate::cli) fn operators(views: &[api::OperatorView]) -> Value {
    let operator = |view: &api::OperatorView| {
        json!({
            "operator": view.operator,
            "requestsPending": view.requests_pending,
            "grantsLive": view.grants_live,
            "sessionsOpen": view.sessions_open,
            "lastAsked": view.last_asked_ms,
            "denied": (view.denied_since_ms != 0).then(|| {
                json!({ "since": view.denied_since_ms, "by": view.denied_by, "note": view.denied_note })
            }),
        })
    };
    json!({ "operators": views.iter().map(operator).collect::<Vec<_>>() })
}

/// `asked`: whether the operator is known here by a request.
pub(in crate::cli) fn operator_denied(
    operator: &str,
    reply: &api::DenyOperatorReply,
    asked: Option<bool>,
) -> Value {
    json!({
        "operator": operator,
        "hasAsked": asked,
        "requestsDenied": reply.requests_denied,
        "grantsRevoked": reply.grants_revoked,
        "sessionsCut": reply.sessions_cut,
    })
}

pub(in crate::cli) fn sessions(view: &api::SessionsView) -> Value {
    json!({ "time": view.time_ms, "sessions": view.sessions.iter().map(session).collect::<Vec<_>>() })
}

fn session(view: &api::SessionView) -> Value {
    let call = |call: &api::CallView| {
        json!({
            "method": call.method,
            "since": call.since_ms,
            "bytesIn": call.bytes_in,
            "bytesOut": call.bytes_out,
        })
    };
    json!({
        "id": view.id,
        "grant": view.grant,
        "operator": view.operator,
        "target": view.target,
        "since": view.since_ms,
        "calls": view.calls.iter().map(call).collect::<Vec<_>>(),
        "callsTotal": view.calls_total,
        "bytesIn": view.bytes_in,
        "bytesOut": view.bytes_out,
    })
}

/// Where the enrollment is; the digest of a waiting entry is left out, because its words follow from it.
pub(in crate::cli) fn enrollment(view: &api::EnrollmentView) -> Value {
    json!({
        "state": spoken(view.state().as_str_name(), "ENROLLMENT_STATE_"),
        "next": view.next,
        "registrationWords": view.registration_words,
        "tokenExpires": view.token_expires_ms,
        "lastError": view.last_error,
        "entryExpires": view.entry_expires_ms,
        "entrySequence": view.entry_sequence,
        "entryWaits": view.entry_waits,
    })
}

pub(in crate::cli) fn status(status: &api::Status, enrollment: &api::EnrollmentView) -> Value {
    let policy = status.policy.clone().unwrap_or_default();
    let audit = |audit: &api::AuditStatus| json!({ "lastRecord": audit.last_record, "error": audit.error, "indeterminate": audit.indeterminate });
    json!({
        "cluster": status.cluster,
        "label": status.label,
        "replica": status.replica,
        "build": status.build,
        "tunnels": status.tunnels.iter().map(tunnel).collect::<Vec<_>>(),
        "targets": status.targets.iter().map(target).collect::<Vec<_>>(),
        "policy": { "digest": policy.digest, "error": policy.error },
        "pause": status.pause.as_ref().map(pause),
        "audit": status.audit.as_ref().map(audit),
        "webhook": status.webhook.as_ref().map(webhook),
        "deniedOperators": status.denied_operators,
        "requestsPending": status.requests_pending,
        "grantsLive": status.grants_live,
        "sessionsOpen": status.sessions_open,
        "expires": {
            "trustBundle": status.trust_bundle_expires_ms,
            "entry": status.entry_expires_ms,
            "meshCertificate": status.mesh_certificate_expires_ms,
            "accessCa": status.access_ca_expires_ms,
        },
        "refusing": status.refusing,
        "registrationWords": enrollment.registration_words,
        "enrollment": self::enrollment(enrollment),
    })
}

fn webhook(webhook: &api::WebhookStatus) -> Value {
    json!({
        "url": webhook.url,
        "waiting": webhook.waiting,
        "lastSuccess": webhook.last_success_ms,
        "lastError": webhook.last_error,
    })
}

fn tunnel(tunnel: &api::TunnelStatus) -> Value {
    json!({
        "address": tunnel.address,
        "brokerId": tunnel.broker_id,
        "state": tunnel.state,
        "since": tunnel.since_ms,
        "lastError": tunnel.last_error,
    })
}

fn target(target: &v1::TargetHealth) -> Value {
    json!({ "target": target.target, "health": health(target.health) })
}
