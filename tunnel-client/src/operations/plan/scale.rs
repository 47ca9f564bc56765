//! More or fewer replicas, by one call; back to as many as before if they do not become ready.

use tunnel_certs::statement::request::operation::{Scale, Size};
use tunnel_protos::operations::v1::{Plan, RiskClass, Step};

use super::{At, Ground, call, change, expect, gate, precondition, rollback, undo, unsupported};
use crate::{
    engine::profile::Vars,
    operations::{PlanRefusal, found::REPLICAS},
};

pub(super) fn plan(ground: Ground<'_>, asked: &Scale) -> Result<Plan, PlanRefusal> {
    let Size::Replicas { expected, wanted } = asked.size else {
        let why = format!(
            "No executor of this client changes the resources of {}; replicas can be asked for",
            asked.component
        );
        return Err(PlanRefusal::new("executor", why));
    };
    let (component, shown) = ground.component(&asked.component)?;
    let scale = component.scale.as_ref().ok_or_else(|| unsupported(&asked.component, "scale"))?;
    let name = asked.component.as_str();
    let found = shown.replicas.map(|replicas| replicas.to_string());
    expect(REPLICAS, name, &expected.to_string(), found.as_deref())?;
    if wanted == expected {
        return Err(PlanRefusal::new("bounds", format!("{name} has {wanted} replicas already")));
    }
    if let Some(problem) = scale.problem(wanted) {
        return Err(PlanRefusal::new(
            "bounds",
            format!("{problem}, which the engine profile asks of {name}"),
        ));
    }
    let to = |replicas: u32| {
        let vars = Vars::default().text("component", name).text("replicas", replicas);
        call(&scale.call, &vars, At::All(ground.profile))
    };
    let step = Step {
        title: format!("Scale {name} from {expected} to {wanted} replicas"),
        object: name.to_owned(),
        gate: Some(gate(component, component.gate, None)),
        undo: Some(undo(to(expected)?)),
        ..to(wanted)?
    };
    let (risk, risk_reason) = risk(expected, wanted);
    Ok(Plan {
        title: step.title.clone(),
        diff: vec![change(name, REPLICAS, expected, wanted)],
        affected: vec![name.to_owned()],
        preconditions: vec![precondition(REPLICAS, name, expected)],
        rollback: rollback(format!("{expected} replicas of {name}")),
        component: name.to_owned(),
        steps: vec![step],
        risk: risk.into(),
        risk_reason,
        ..Plan::default()
    })
}

fn risk(from: u32, to: u32) -> (RiskClass, String) {
    if to > from {
        (RiskClass::Medium, "Replicas are added, which can be taken back".to_owned())
    } else if to <= from / 2 {
        (RiskClass::High, format!("{} of {from} replicas go, so those that stay are no majority", from - to))
    } else {
        (RiskClass::Medium, "Replicas go, and those that stay are a majority".to_owned())
    }
}
