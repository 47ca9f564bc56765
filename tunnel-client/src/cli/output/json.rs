//! The JSON forms. Keys are camelCase and stay; new ones may come. Times are Unix milliseconds.

use serde_json::{Value, json};
use tunnel_protos::{approvers as api, v1};

use super::{super::customer::Answer, health, level, state};

pub(super) fn answer(answer: &Answer) -> Value {
    match answer {
        Answer::Requests(list) => {
            json!({ "requests": list.requests.iter().map(request).collect::<Vec<_>>() })
        }
        Answer::Request(view) => request(view),
        Answer::Revoked(reply) => json!({ "id": reply.id, "sessionsCut": reply.sessions_cut }),
        Answer::Status(status) => self::status(status),
    }
}

fn request(view: &api::RequestView) -> Value {
    let reason = view.reason.clone().unwrap_or_default();
    json!({
        "id": view.id,
        "kind": view.kind,
        "words": view.words,
        "digest": view.digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        "operator": view.operator,
        "reason": { "text": reason.text, "ticket": reason.ticket },
        "methods": view.methods,
        "granted": view.granted.iter().flat_map(|granted| &granted.methods).map(granted).collect::<Vec<_>>(),
        "targets": view.targets,
        "state": state(view.state),
        "stateReason": view.state_reason,
        "issued": view.issued_ms,
        "received": view.received_ms,
        "deadlines": view.deadlines.as_ref().map(deadlines),
        "sessions": view.sessions,
    })
}

fn granted(method: &v1::GrantedMethod) -> Value {
    json!({ "method": method.method, "level": level(method.level) })
}

fn deadlines(deadlines: &v1::Deadlines) -> Value {
    json!({
        "pendingUntil": deadlines.pending_until_ms,
        "claimUntil": deadlines.claim_until_ms,
        "workUntil": deadlines.work_until_ms,
        "certificateUntil": deadlines.certificate_until_ms,
    })
}

fn status(status: &api::Status) -> Value {
    let policy = status.policy.clone().unwrap_or_default();
    json!({
        "cluster": status.cluster,
        "label": status.label,
        "replica": status.replica,
        "build": status.build,
        "tunnels": status.tunnels.iter().map(tunnel).collect::<Vec<_>>(),
        "targets": status.targets.iter().map(target).collect::<Vec<_>>(),
        "policy": { "digest": policy.digest, "error": policy.error },
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
        "registrationWords": status.registration_words,
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
