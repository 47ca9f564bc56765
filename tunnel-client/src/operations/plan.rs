//! From what is asked, what the profile allows and what was found to a plan, or to one clear refusal. Pure.
//!
//! Invariant: nothing is planned unless what the operator expects is what was found.

mod collect;
mod configure;
mod restart;
mod rolling;
mod scale;
mod task;
mod upgrade;

use std::{collections::BTreeMap, fmt::Display};

use prost::Message;
use tunnel_certs::statement::{
    release::{OpenError, Opened},
    request::operation::What,
};
use tunnel_protos::{
    ComponentName, Digest, NodeName, TargetName, UnixMillis,
    operations::v1::{Change, Gate, Plan, Precondition, RiskClass, Rollback, Step, Undo},
    text::escape,
};

use super::{
    PlanRefusal,
    found::{Found, HEALTH, REPLICAS, Shown, UNWELL, of},
    releases::Known,
};
use crate::engine::{
    Profile,
    profile::{Call, Component, GateCheck, TemplateError, Vars, Where},
};

/// What a plan is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ground<'g> {
    pub(super) profile: &'g Profile,
    pub(super) found: &'g Found,
    pub(super) known: &'g Known,
    pub(super) digest: Digest,
    pub(super) now: UnixMillis,
}

/// Opens a release's bytes by the keys in force.
pub(super) type OpenRelease<'o> = &'o dyn Fn(&[u8]) -> Result<Opened, OpenError>;

/// Makes the plan for what is asked.
pub(super) fn make(ground: Ground<'_>, what: &What, open: OpenRelease<'_>) -> Result<Plan, PlanRefusal> {
    let mut plan = match what {
        What::Scale(asked) => scale::plan(ground, asked),
        What::Upgrade(asked) => upgrade::plan(ground, asked, open),
        What::Restart(asked) => restart::plan(ground, asked),
        What::Configure(asked) => configure::plan(ground, asked),
        What::RunTask(asked) => task::plan(ground, asked),
        What::CollectDebug(asked) => collect::plan(ground, asked),
    }?;
    let unwell = ground.found.unwell.keys().map(|target| precondition(HEALTH, target, UNWELL));
    plan.preconditions.extend(unwell);
    let plan = Plan {
        version: VERSION,
        request_digest: ground.digest.as_bytes().to_vec(),
        operation: what.name().to_owned(),
        executor: EXECUTOR.to_owned(),
        made_ms: ground.now.0,
        ..plan
    };
    fits(&plan)?;
    Ok(plan)
}

/// Whether people can look through it, and it can be kept and shown wherever its request is.
fn fits(plan: &Plan) -> Result<(), PlanRefusal> {
    let refused = |why: String| Err(PlanRefusal::new("size", why));
    match (plan.steps.len(), plan.leaves.len(), plan.encoded_len()) {
        (steps, _, _) if steps > MOST_STEPS => {
            refused(format!("It would take {steps} steps, and {MOST_STEPS} are the most"))
        }
        (_, leaves, _) if leaves > MOST_LEAVES => {
            refused(format!("It would collect {leaves} answers, and {MOST_LEAVES} are the most"))
        }
        (_, _, bytes) if bytes > MOST_BYTES => {
            refused(format!("Its plan would have {bytes} bytes, and {MOST_BYTES} are the most"))
        }
        _ => Ok(()),
    }
}

/// The components that must be looked at before what is asked can be planned; unknown ones are refused.
pub(super) fn components(profile: &Profile, what: &What) -> Result<Vec<ComponentName>, PlanRefusal> {
    let named = match what {
        What::Scale(asked) => vec![&asked.component],
        What::Upgrade(asked) => asked.components.iter().map(|upgrade| &upgrade.component).collect(),
        What::Restart(asked) => vec![&asked.component],
        What::Configure(asked) => vec![&asked.component],
        What::RunTask(asked) => task::walked(profile, asked).into_iter().collect(),
        What::CollectDebug(_) => Vec::new(),
    };
    named.into_iter().map(|name| component(profile, name).map(|_| name.clone())).collect()
}

/// Whether two plans are the same but for the time at which they were made.
pub(super) fn is_same(one: &Plan, other: &Plan) -> bool {
    let timeless = |plan: &Plan| Plan { made_ms: 0, ..plan.clone() };
    timeless(one) == timeless(other)
}

impl<'g> Ground<'g> {
    fn component(&self, name: &ComponentName) -> Result<(&'g Component, &'g Shown), PlanRefusal> {
        let component = component(self.profile, name)?;
        let shown = self.found.components.get(name.as_str());
        let shown = shown.ok_or_else(|| PlanRefusal::new("engine", format!("{name} was not looked at")))?;
        Ok((component, shown))
    }
}

fn component<'p>(profile: &'p Profile, name: &ComponentName) -> Result<&'p Component, PlanRefusal> {
    let known = profile.operable().components();
    known.get(name).ok_or_else(|| {
        let names = listed(known.keys());
        PlanRefusal::new("component", format!("The engine profile has no component {name}; it has {names}"))
    })
}

/// Refuses what is not as the operator expects it.
fn expect(field: &str, object: &str, expected: &str, found: Option<&str>) -> Result<(), PlanRefusal> {
    let what = of(field, object);
    let be = if field == REPLICAS { "are" } else { "is" };
    match found {
        Some(found) if found == expected => Ok(()),
        Some(found) => {
            let (expected, found) = (escape(expected, SHOWN), escape(found, SHOWN));
            let why = format!("The {what} {be} {found}, not {expected} as expected");
            Err(PlanRefusal::found("expected", why, format!("The {what} {be} not as expected")))
        }
        None => Err(PlanRefusal::new("expected", format!("The engine does not show the {what}"))),
    }
}

/// Refuses an operation that the profile does not give a component.
fn unsupported(name: &ComponentName, verb: &str) -> PlanRefusal {
    PlanRefusal::new("profile", format!("The engine profile does not say how to {verb} {name}"))
}

/// A call with its values, for the node at hand if there is one: target, method, request and time.
fn call(call: &Call, vars: &Vars, at: At<'_>) -> Result<Step, PlanRefusal> {
    let rendered = call.request.render(vars).map_err(|error| unrendered(call, &error))?;
    Ok(Step {
        target: at.target(&call.endpoint)?,
        method: call.method.name().to_string(),
        request_json: rendered.json,
        timeout_ms: millis(call.timeout),
        ..Step::default()
    })
}

/// What a call is about.
#[derive(Debug, Clone, Copy)]
enum At<'a> {
    /// The component as a whole.
    All(&'a Profile),
    /// One node.
    Node(&'a Profile, &'a str),
    /// One target.
    Target(&'a TargetName),
}

impl At<'_> {
    /// One target, or several of which the first that can be reached is called.
    fn target(self, endpoint: &Where) -> Result<String, PlanRefusal> {
        match (endpoint, self) {
            (_, At::Target(target)) | (Where::Target(target), _) => Ok(target.to_string()),
            (Where::Companion(of), At::Node(_, node)) => companion(of, node),
            (Where::Any | Where::Each | Where::Companion(_), At::All(profile) | At::Node(profile, _)) => {
                Ok(listed(profile.targets_by_preference()))
            }
        }
    }
}

fn companion(of: &BTreeMap<NodeName, TargetName>, node: &str) -> Result<String, PlanRefusal> {
    let companion = of.iter().find(|(name, _)| name.as_str() == node).map(|(_, target)| target.to_string());
    companion.ok_or_else(|| {
        let why = format!("The engine profile names no companion for the node {}", escape(node, SHOWN));
        PlanRefusal::found("profile", why, "The engine profile names no companion for each node")
    })
}

fn unrendered(call: &Call, error: &TemplateError) -> PlanRefusal {
    let error = tunnel_runtime::chain(error);
    PlanRefusal::new("profile", format!("The request for {} cannot be made: {error}", call.method.name()))
}

fn gate(component: &Component, check: GateCheck, soak: Option<std::time::Duration>) -> Gate {
    let soak = soak.unwrap_or(check.soak);
    // Its own deadline, and room for a longer soak.
    let deadline = check.deadline.max(soak * 2);
    Gate {
        title: format!("Every node of {} is ready and the engine is well", component.name),
        soak_ms: millis(soak),
        deadline_ms: millis(deadline),
    }
}

/// The call of `step` as the way back.
fn undo(step: Step) -> Undo {
    let Step { target, method, request_json, timeout_ms, .. } = step;
    Undo { target, method, request_json, timeout_ms }
}

fn change(object: &str, field: impl Into<String>, old: impl Display, new: impl Display) -> Change {
    Change { object: object.to_owned(), field: field.into(), old: old.to_string(), new: new.to_string() }
}

fn precondition(field: &str, object: &str, value: impl Display) -> Precondition {
    Precondition { what: of(field, object), value: value.to_string() }
}

fn rollback(to: impl Into<String>) -> Option<Rollback> {
    Some(Rollback { automatic: true, to: to.into() })
}

fn no_rollback(why: &str) -> Option<Rollback> {
    Some(Rollback { automatic: false, to: why.to_owned() })
}

/// The graver of two.
fn graver(one: (RiskClass, String), other: (RiskClass, String)) -> (RiskClass, String) {
    if other.0 as i32 > one.0 as i32 { other } else { one }
}

/// The target that is tried first.
fn first_target(profile: &Profile) -> String {
    profile.targets_by_preference().next().map(ToString::to_string).unwrap_or_default()
}

fn listed(names: impl Iterator<Item = impl ToString>) -> String {
    let names: Vec<_> = names.map(|name| name.to_string()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

const VERSION: u32 = 1;
const EXECUTOR: &str = "engine";
/// More cannot be looked through by anybody who approves.
const MOST_STEPS: usize = 256;
/// As many files as a bundle may have.
const MOST_LEAVES: usize = 1_000;
/// A page for each step of the longest plan; dozens of such plans may wait for a person.
const MOST_BYTES: usize = 256 << 10;
/// Of a stranger's word in a sentence.
const SHOWN: usize = 128;

#[cfg(test)]
mod tests;
