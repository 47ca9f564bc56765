//! The texts of an operation: operators, vendors and engines wrote parts of them. Nothing of a plan is cut short, since
//! a yes is about all of it.

use tunnel_protos::{
    operations::v1::{
        Bundle, Change, Collected, Gate, Operation, Plan, PlannedRelease, Precondition, Step, StepStatus,
        Undo,
    },
    text::{escape, escape_json},
};

pub(super) fn operation(mut view: Operation) -> Operation {
    clean(&mut view.summary);
    view.plan = view.plan.map(plan);
    view.steps.iter_mut().for_each(|status: &mut StepStatus| clean(&mut status.text));
    view.bundle = view.bundle.map(bundle);
    view
}

pub(super) fn bundle(mut bundle: Bundle) -> Bundle {
    clean(&mut bundle.released_by);
    for file in &mut bundle.files {
        clean(&mut file.path);
        clean(&mut file.collector);
    }
    bundle
}

fn plan(mut plan: Plan) -> Plan {
    for text in
        [&mut plan.operation, &mut plan.title, &mut plan.executor, &mut plan.risk_reason, &mut plan.component]
    {
        clean(text);
    }
    plan.steps.iter_mut().for_each(step);
    plan.diff.iter_mut().for_each(change);
    plan.affected.iter_mut().for_each(clean);
    plan.preconditions.iter_mut().for_each(precondition);
    plan.leaves.iter_mut().for_each(collected);
    plan.releases.iter_mut().for_each(release);
    if let Some(rollback) = &mut plan.rollback {
        clean(&mut rollback.to);
    }
    plan
}

fn step(step: &mut Step) {
    [&mut step.title, &mut step.object, &mut step.target, &mut step.method].into_iter().for_each(clean);
    clean_json(&mut step.request_json);
    if let Some(Gate { title, .. }) = &mut step.gate {
        clean(title);
    }
    if let Some(Undo { target, method, request_json, .. }) = &mut step.undo {
        [target, method].into_iter().for_each(clean);
        clean_json(request_json);
    }
}

fn change(change: &mut Change) {
    [&mut change.object, &mut change.field, &mut change.old, &mut change.new].into_iter().for_each(clean);
}

fn precondition(precondition: &mut Precondition) {
    [&mut precondition.what, &mut precondition.value].into_iter().for_each(clean);
}

fn collected(collected: &mut Collected) {
    [&mut collected.collector, &mut collected.target, &mut collected.method].into_iter().for_each(clean);
    clean_json(&mut collected.request_json);
    collected.fields.iter_mut().for_each(clean);
}

fn release(release: &mut PlannedRelease) {
    [&mut release.component, &mut release.name].into_iter().for_each(clean);
    release.images.iter_mut().chain(&mut release.signed_by).for_each(clean);
}

/// Still the same to a parser.
fn clean_json(text: &mut String) {
    *text = escape_json(text);
}

fn clean(text: &mut String) {
    *text = escape(text, usize::MAX);
}
