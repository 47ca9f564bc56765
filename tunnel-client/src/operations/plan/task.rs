//! A task that the profile lists, once or for each target; what it did cannot be taken back.
//!
//! One that names a component goes through its targets as a restart goes through nodes: the gate holds between them.

use std::collections::BTreeMap;

use tunnel_certs::statement::request::operation::RunTask;
use tunnel_protos::{
    ComponentName, SettingName, TargetName,
    operations::v1::{Plan, Precondition, RiskClass, Step},
};

use super::{At, Ground, call, first_target, gate, listed, no_rollback, rolling};
use crate::{
    engine::{
        Profile,
        profile::{Per, Risk, Task, Var, Vars},
    },
    operations::{PlanRefusal, found::Shown},
};

pub(super) fn plan(ground: Ground<'_>, asked: &RunTask) -> Result<Plan, PlanRefusal> {
    let known = ground.profile.operable().tasks();
    let task = known.get(&asked.task).ok_or_else(|| {
        let names = listed(known.keys());
        PlanRefusal::new("task", format!("The engine profile has no task {}; it has {names}", asked.task))
    })?;
    let arguments = arguments(task, asked)?;
    let (steps, preconditions) = match task.per {
        Per::Once => (vec![once(ground.profile, task, asked, &arguments)?], Vec::new()),
        Per::Target => each(ground, task, asked, &arguments)?,
    };
    let (risk, risk_reason) = risk(task.risk);
    let affected: Vec<_> = steps.iter().map(|step: &Step| step.target.clone()).collect();
    Ok(Plan {
        title: match task.per {
            Per::Once => format!("Run {} once", task.name),
            Per::Target => format!("Run {} on {}", task.name, affected.join(", ")),
        },
        task: task.name.to_string(),
        rollback: no_rollback("What a task did cannot be taken back; the rest is left alone"),
        component: task.component.as_ref().map_or_else(|| format!("task {}", task.name), ToString::to_string),
        risk: risk.into(),
        risk_reason: risk_reason.to_owned(),
        preconditions,
        affected,
        steps,
        ..Plan::default()
    })
}

/// The component whose targets a task walks, if it walks any.
pub(super) fn walked<'p>(profile: &'p Profile, asked: &RunTask) -> Option<&'p ComponentName> {
    let task = profile.operable().tasks().get(&asked.task)?;
    task.component.as_ref().filter(|_| task.per == Per::Target)
}

fn each(
    ground: Ground<'_>,
    task: &Task,
    asked: &RunTask,
    arguments: &BTreeMap<SettingName, Var>,
) -> Result<(Vec<Step>, Vec<Precondition>), PlanRefusal> {
    let targets = targets(ground.profile, &asked.targets)?;
    let Some(name) = walked(ground.profile, asked) else {
        let steps = targets.iter().map(|target| at(task, target, arguments));
        return Ok((steps.collect::<Result<_, _>>()?, Vec::new()));
    };
    let (component, shown) = ground.component(name)?;
    let step = |target: &TargetName| {
        let gate = Some(gate(component, component.gate, None));
        Ok(Step { gate, ..at(task, target, arguments)? })
    };
    let steps = order(name, shown, targets)?.iter().map(step).collect::<Result<_, PlanRefusal>>()?;
    let preconditions = if shown.nodes.is_empty() { Vec::new() } else { rolling::preconditions(name, shown) };
    Ok((steps, preconditions))
}

/// As nodes are ordered, where targets bear the names of nodes: those that are not ready come first.
fn order(
    component: &ComponentName,
    shown: &Shown,
    mut targets: Vec<TargetName>,
) -> Result<Vec<TargetName>, PlanRefusal> {
    let node = |target: &TargetName| shown.nodes.iter().find(|node| node.name == target.as_str());
    let chosen: Vec<_> = targets.iter().filter_map(node).collect();
    rolling::order(component, shown, &chosen, 1)?;
    targets.sort_by_key(|target| node(target).is_none_or(|node| node.ready));
    Ok(targets)
}

fn arguments(task: &Task, asked: &RunTask) -> Result<BTreeMap<SettingName, Var>, PlanRefusal> {
    if let Some((name, _)) = asked.arguments.iter().find(|(name, _)| !task.arguments.contains_key(name)) {
        let names = listed(task.arguments.keys());
        let why = format!("The task {} takes no argument {name}; it takes {names}", task.name);
        return Err(PlanRefusal::new("argument", why));
    }
    let value = |name: &SettingName| {
        let given = asked.arguments.iter().find(|(given, _)| given == name);
        given.map(|(_, value)| value.as_str())
    };
    let one = |(name, parameter): (&SettingName, &crate::engine::profile::Parameter)| {
        let text = value(name).or(parameter.default.as_deref()).ok_or_else(|| {
            PlanRefusal::new("argument", format!("The task {} needs the argument {name}", task.name))
        })?;
        let var = parameter.check(text).map_err(|error| {
            PlanRefusal::new("bounds", format!("The argument {name} of the task {} {error}", task.name))
        })?;
        Ok((name.clone(), var))
    };
    task.arguments.iter().map(one).collect()
}

/// Those asked for, or all.
pub(super) fn targets(profile: &Profile, asked: &[TargetName]) -> Result<Vec<TargetName>, PlanRefusal> {
    if let Some(unknown) = asked.iter().find(|target| !profile.endpoints().contains_key(*target)) {
        let names = listed(profile.endpoints().keys());
        return Err(PlanRefusal::new("targets", format!("There is no target {unknown}; there is {names}")));
    }
    match asked {
        [] => Ok(profile.endpoints().keys().cloned().collect()),
        some => Ok(some.to_vec()),
    }
}

fn once(
    profile: &Profile,
    task: &Task,
    asked: &RunTask,
    arguments: &BTreeMap<SettingName, Var>,
) -> Result<Step, PlanRefusal> {
    match &targets(profile, &asked.targets)?[..] {
        _ if asked.targets.is_empty() => {
            let vars = vars(arguments, &first_target(profile));
            Ok(titled(task, call(&task.call, &vars, At::All(profile))?))
        }
        [target] => at(task, target, arguments),
        _ => Err(PlanRefusal::new(
            "targets",
            format!("The task {} runs once, so at most one target can be named", task.name),
        )),
    }
}

fn at(task: &Task, target: &TargetName, arguments: &BTreeMap<SettingName, Var>) -> Result<Step, PlanRefusal> {
    let step = call(&task.call, &vars(arguments, target.as_str()), At::Target(target))?;
    Ok(titled(task, step))
}

fn titled(task: &Task, step: Step) -> Step {
    let title = format!("Run {} on {}", task.name, step.target);
    Step { title, object: step.target.clone(), ..step }
}

fn vars(arguments: &BTreeMap<SettingName, Var>, target: &str) -> Vars {
    let vars = Vars::default().text("target", target);
    arguments.iter().fold(vars, |vars, (name, value)| vars.with(name.as_str(), value.clone()))
}

fn risk(risk: Risk) -> (RiskClass, &'static str) {
    match risk {
        Risk::Low => (RiskClass::Low, "The engine profile says that it changes nothing that is served"),
        Risk::Medium => {
            (RiskClass::Medium, "The engine profile says that it takes part of the service away for a while")
        }
        Risk::High => (
            RiskClass::High,
            "The engine profile says that it cannot be taken back, or takes the service away",
        ),
    }
}
