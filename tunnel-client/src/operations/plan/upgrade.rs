//! Signed releases, component after component and node after node; back to the release before if a gate fails.

use std::collections::BTreeSet;

use tunnel_certs::statement::request::operation::{ComponentUpgrade, Upgrade};
use tunnel_protos::{
    ComponentName,
    operations::v1::{Change, Plan, PlannedRelease, Precondition, RiskClass, Step},
    text::escape,
};

use super::{
    At, Ground, OpenRelease, SHOWN, call, change, expect, gate, graver, precondition, rollback, rolling,
    undo, unsupported,
};
use crate::{
    engine::profile::{self, Component, Reach, Var, Vars},
    operations::{
        PlanRefusal,
        found::{Node, RELEASE, Shown},
        releases::Wanted,
    },
};

/// What one component adds to the plan.
struct Part {
    release: PlannedRelease,
    steps: Vec<Step>,
    diff: Vec<Change>,
    affected: Vec<String>,
    preconditions: Vec<Precondition>,
    risk: (RiskClass, String),
}

pub(super) fn plan(ground: Ground<'_>, asked: &Upgrade, open: OpenRelease<'_>) -> Result<Plan, PlanRefusal> {
    are_apart(ground, asked)?;
    let parts: Vec<_> =
        asked.components.iter().map(|one| part(ground, asked, one, open)).collect::<Result<_, _>>()?;
    let words = asked.components.iter().zip(&parts);
    let words = words.map(|(one, part)| {
        format!("{} from {} to {}", one.component, one.expected_release, part.release.name)
    });
    let title = format!("Upgrade {}", words.collect::<Vec<_>>().join(", then "));
    let back = asked.components.iter().map(|one| format!("{} of {}", one.expected_release, one.component));
    let back = back.collect::<Vec<_>>().join(", ");
    let first = (RiskClass::Unspecified, String::new());
    let (risk, risk_reason) = parts.iter().fold(first, |risk, part| graver(risk, part.risk.clone()));
    let mut plan = Plan {
        rollback: rollback(format!("Release {back}")),
        component: asked.components.first().map(|one| one.component.to_string()).unwrap_or_default(),
        risk: risk.into(),
        risk_reason,
        title,
        ..Plan::default()
    };
    for part in parts {
        plan.steps.extend(part.steps);
        plan.diff.extend(part.diff);
        plan.affected.extend(part.affected);
        plan.preconditions.extend(part.preconditions);
        plan.releases.push(part.release);
    }
    Ok(plan)
}

/// Refuses names that two of the components share: what is found is known by the name of its node alone.
fn are_apart(ground: Ground<'_>, asked: &Upgrade) -> Result<(), PlanRefusal> {
    let mut taken = BTreeSet::new();
    for one in &asked.components {
        let (_, shown) = ground.component(&one.component)?;
        let nodes = shown.nodes.iter().map(|node| node.name.as_str());
        // A component of one node may be called as its node is.
        let own: BTreeSet<_> = nodes.chain([one.component.as_str()]).collect();
        if let Some(name) = own.intersection(&taken).next() {
            let why = |name: &str| {
                format!("Two of the components have {name} of the same name; upgrade them one by one")
            };
            let told = why(&format!("a node {}", escape(name, SHOWN)));
            return Err(PlanRefusal::found("nodes", told, why("a node")));
        }
        taken.extend(own);
    }
    Ok(())
}

fn part(
    ground: Ground<'_>,
    asked: &Upgrade,
    one: &ComponentUpgrade,
    open: OpenRelease<'_>,
) -> Result<Part, PlanRefusal> {
    let (component, shown) = ground.component(&one.component)?;
    let upgrade = component.upgrade.as_ref().ok_or_else(|| unsupported(&one.component, "upgrade"))?;
    let (name, running) = (&one.component, one.expected_release.as_str());
    expect(RELEASE, name.as_str(), running, shown.release.as_deref())?;
    let wanted = Wanted { component: name, running, allow_downgrade: asked.allow_downgrade };
    let release = ground.known.judge(wanted, open(&one.release))?;
    if release.name == running {
        return Err(PlanRefusal::new("expected", format!("{name} is at release {running} already")));
    }
    let at_once = usize::try_from(asked.at_once).unwrap_or(usize::MAX).min(shown.nodes.len().max(1));
    let brought = Brought { ground, component, upgrade, shown, release: &release, running };
    let (steps, mut diff, affected) = match upgrade.per {
        Reach::Component => brought.at_once(asked)?,
        Reach::Node => brought.rolling(asked, at_once)?,
    };
    diff.insert(0, change(name.as_str(), RELEASE, running, &release.name));
    let mut preconditions = vec![precondition(RELEASE, name.as_str(), running)];
    if !shown.nodes.is_empty() {
        preconditions.extend(rolling::preconditions(name, shown));
    }
    Ok(Part {
        risk: risk(name, shown, upgrade.per, at_once, &release),
        release,
        steps,
        diff,
        affected,
        preconditions,
    })
}

/// One component on its way to one release.
#[derive(Clone, Copy)]
struct Brought<'b> {
    ground: Ground<'b>,
    component: &'b Component,
    upgrade: &'b profile::Upgrade,
    shown: &'b Shown,
    release: &'b PlannedRelease,
    running: &'b str,
}

type Steps = (Vec<Step>, Vec<Change>, Vec<String>);

impl Brought<'_> {
    fn at_once(self, asked: &Upgrade) -> Result<Steps, PlanRefusal> {
        let name = self.component.name.as_str();
        let all: Vec<_> = self.shown.nodes.iter().collect();
        let step = Step { object: name.to_owned(), ..self.step(asked, &all, At::All(self.ground.profile))? };
        Ok((vec![step], Vec::new(), vec![name.to_owned()]))
    }

    /// Nodes that have the release already are left alone; of an engine that shows no releases of nodes, all are brought.
    fn rolling(self, asked: &Upgrade, at_once: usize) -> Result<Steps, PlanRefusal> {
        let name = &self.component.name;
        let new = Some(self.release.name.as_str());
        let left: Vec<_> = self.shown.nodes.iter().filter(|node| node.release.as_deref() != new).collect();
        let known = |node: &&Node| node.release.as_deref().is_none_or(|release| release == self.running);
        if left.is_empty() || !left.iter().all(known) {
            let why = format!("The engine does not show each node of {name} at release {}", self.running);
            return Err(PlanRefusal::new("expected", why));
        }
        let at_once = if self.upgrade.call.request.uses("nodes") { at_once } else { 1 };
        let order = rolling::order(name, self.shown, &left, at_once)?;
        let step =
            |group: &Vec<&Node>| self.step(asked, group, At::Node(self.ground.profile, &group[0].name));
        let steps = order.groups.iter().map(step).collect::<Result<Vec<_>, _>>()?;
        let shown = left.iter().filter(|node| node.release.is_some());
        let diff = shown.map(|node| change(&node.name, RELEASE, self.running, &self.release.name)).collect();
        Ok((steps, diff, left.iter().map(|node| node.name.clone()).collect()))
    }

    fn step(self, asked: &Upgrade, group: &[&Node], at: At<'_>) -> Result<Step, PlanRefusal> {
        let names = rolling::names(group);
        let whom = if group.is_empty() { self.component.name.to_string() } else { names.clone() };
        Ok(Step {
            title: format!("Bring {whom} to {}", self.release.name),
            object: names,
            gate: Some(gate(self.component, self.component.gate, asked.soak)),
            undo: Some(undo(call(&self.upgrade.call, &self.vars(group, self.running), at)?)),
            ..call(&self.upgrade.call, &self.vars(group, &self.release.name), at)?
        })
    }

    fn vars(self, group: &[&Node], release: &str) -> Vars {
        let nodes: Vec<_> = group.iter().map(|node| node.name.clone()).collect();
        let image = self.release.images.first().filter(|_| release == self.release.name);
        Vars::default()
            .text("component", &self.component.name)
            .text("release", release)
            .text("image", image.cloned().unwrap_or_default())
            .text("node", nodes.first().cloned().unwrap_or_default())
            .with("nodes", Var::List(nodes))
    }
}

fn risk(
    component: &ComponentName,
    shown: &Shown,
    per: Reach,
    at_once: usize,
    release: &PlannedRelease,
) -> (RiskClass, String) {
    if release.downgrade {
        let why = format!("Release {} is not above the highest seen here: a downgrade", release.name);
        return (RiskClass::High, why);
    }
    match per {
        Reach::Component => {
            (RiskClass::High, format!("The engine changes all of {component} at the same time"))
        }
        Reach::Node => rolling::risk(component, shown, at_once),
    }
}
