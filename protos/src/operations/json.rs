//! The JSON forms for scripts. Keys are camelCase and stay; new ones may come. Times are Unix milliseconds, digests hex.

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::{request_state, risk, step_state, v1::*};

/// An operation with its plan and where it stands.
pub fn operation(operation: &Operation) -> Value {
    json!({
        "id": operation.id,
        "state": request_state(operation.state()),
        "summary": operation.summary,
        "plan": operation.plan.as_ref().map(plan),
        "planDigest": HEXLOWER.encode(&operation.plan_digest),
        "steps": operation.steps.iter().map(status).collect::<Vec<_>>(),
        "queuedBehind": operation.queued_behind,
        "startedMs": operation.started_ms,
        "endedMs": operation.ended_ms,
        "bundle": operation.bundle.as_ref().map(bundle),
    })
}

/// A plan in full.
pub fn plan(plan: &Plan) -> Value {
    let rollback = plan.rollback.as_ref();
    json!({
        "operation": plan.operation,
        "title": plan.title,
        "executor": plan.executor,
        "component": plan.component,
        "madeMs": plan.made_ms,
        "steps": plan.steps.iter().map(step).collect::<Vec<_>>(),
        "diff": plan.diff.iter().map(change).collect::<Vec<_>>(),
        "affected": plan.affected,
        "risk": risk(plan.risk()),
        "riskReason": plan.risk_reason,
        "preconditions": plan.preconditions.iter().map(condition).collect::<Vec<_>>(),
        "rollback": rollback.map(|back| json!({ "automatic": back.automatic, "to": back.to })),
        "leaves": plan.leaves.iter().map(collected).collect::<Vec<_>>(),
        "releases": plan.releases.iter().map(release).collect::<Vec<_>>(),
    })
}

/// A bundle and whether it may leave.
pub fn bundle(bundle: &Bundle) -> Value {
    let file = |file: &BundleFile| {
        json!({
            "path": file.path, "bytes": file.bytes, "sha256": HEXLOWER.encode(&file.digest), "collector": file.collector,
        })
    };
    json!({
        "sha256": HEXLOWER.encode(&bundle.digest),
        "bytes": bundle.bytes,
        "files": bundle.files.iter().map(file).collect::<Vec<_>>(),
        "released": bundle.released,
        "releasedBy": bundle.released_by,
        "releasedMs": bundle.released_ms,
    })
}

fn step(step: &Step) -> Value {
    let gate =
        |gate: &Gate| json!({ "title": gate.title, "soakMs": gate.soak_ms, "deadlineMs": gate.deadline_ms });
    json!({
        "title": step.title,
        "object": step.object,
        "target": step.target,
        "method": step.method,
        "request": step.request_json,
        "timeoutMs": step.timeout_ms,
        "gate": step.gate.as_ref().map(gate),
        "undo": step.undo.as_ref().map(undo),
    })
}

fn undo(undo: &Undo) -> Value {
    json!({
        "target": undo.target, "method": undo.method, "request": undo.request_json, "timeoutMs": undo.timeout_ms,
    })
}

fn change(change: &Change) -> Value {
    json!({ "object": change.object, "field": change.field, "old": change.old, "new": change.new })
}

fn condition(condition: &Precondition) -> Value {
    json!({ "what": condition.what, "value": condition.value })
}

fn collected(of: &Collected) -> Value {
    json!({
        "collector": of.collector,
        "target": of.target,
        "method": of.method,
        "fields": of.fields,
        "sizeCap": of.size_cap,
        "request": of.request_json,
    })
}

fn release(release: &PlannedRelease) -> Value {
    json!({
        "component": release.component,
        "name": release.name,
        "sequence": release.release_seq,
        "images": release.images,
        "signedBy": release.signed_by,
        "downgrade": release.downgrade,
    })
}

fn status(status: &StepStatus) -> Value {
    json!({
        "state": step_state(status.state()),
        "text": status.text,
        "done": status.done,
        "total": status.total,
        "startedMs": status.started_ms,
        "endedMs": status.ended_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::RequestState;

    #[test]
    fn names_are_spoken_and_digests_hexadecimal() {
        let bundle = Bundle { digest: vec![0xab], released: true, ..Bundle::default() };
        let plan = Plan { risk: RiskClass::High.into(), ..Plan::default() };
        let json = operation(&Operation {
            state: RequestState::RolledBack.into(),
            plan: Some(plan),
            plan_digest: vec![7; 2],
            steps: vec![StepStatus {
                state: StepState::RollingBack.into(),
                done: 3,
                ..StepStatus::default()
            }],
            bundle: Some(bundle),
            ..Operation::default()
        });
        assert_eq!((&json["state"], &json["planDigest"]), (&"rolled-back".into(), &"0707".into()));
        assert_eq!(
            (&json["steps"][0]["state"], &json["steps"][0]["done"]),
            (&"rolling-back".into(), &3.into())
        );
        assert_eq!((&json["plan"]["risk"], &json["bundle"]["sha256"]), (&"high".into(), &"ab".into()));
    }

    #[test]
    fn what_is_not_there_is_null() {
        let json = operation(&Operation::default());
        assert!(json["plan"].is_null() && json["bundle"].is_null());
    }
}
