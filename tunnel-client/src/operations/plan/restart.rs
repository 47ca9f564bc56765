//! Restarts, node by node; what was restarted cannot be taken back, so a gate that fails stops the rest.

use tunnel_certs::statement::request::operation::Restart;
use tunnel_protos::operations::v1::{Plan, Step};

use super::{At, Ground, SHOWN, call, expect, gate, no_rollback, rolling, unsupported};
use crate::{
    engine::profile::{Reach, Var, Vars},
    operations::{
        PlanRefusal,
        found::{Node, REPLICAS, Shown},
    },
};

pub(super) fn plan(ground: Ground<'_>, asked: &Restart) -> Result<Plan, PlanRefusal> {
    let (component, shown) = ground.component(&asked.component)?;
    let restart = component.restart.as_ref().ok_or_else(|| unsupported(&asked.component, "restart"))?;
    let name = asked.component.as_str();
    let found = shown.replicas.map(|replicas| replicas.to_string());
    expect(REPLICAS, name, &asked.expected_replicas.to_string(), found.as_deref())?;
    let chosen = chosen(asked, shown)?;
    let at_once = match restart.per {
        Reach::Node => 1,
        Reach::Component if chosen.len() == shown.nodes.len() || restart.call.request.uses("nodes") => {
            chosen.len()
        }
        Reach::Component => {
            let why = format!("The engine restarts all of {name} by one call; ask without naming nodes");
            return Err(PlanRefusal::new("nodes", why));
        }
    };
    let order = rolling::order(&asked.component, shown, &chosen, at_once)?;
    let step = |group: &Vec<&Node>| {
        let nodes: Vec<_> = group.iter().map(|node| node.name.clone()).collect();
        let vars = Vars::default().text("component", name).text("node", &nodes[0]);
        let at = if restart.per == Reach::Node {
            At::Node(ground.profile, &nodes[0])
        } else {
            At::All(ground.profile)
        };
        Ok(Step {
            title: format!("Restart {}", rolling::names(group)),
            object: rolling::names(group),
            gate: Some(gate(component, component.gate, None)),
            ..call(&restart.call, &vars.with("nodes", Var::List(nodes.clone())), at)?
        })
    };
    let steps = order.groups.iter().map(step).collect::<Result<Vec<_>, PlanRefusal>>()?;
    let (risk, risk_reason) = rolling::risk(&asked.component, shown, at_once);
    let all = if chosen.len() == shown.nodes.len() { "all".to_owned() } else { chosen.len().to_string() };
    Ok(Plan {
        title: format!("Restart {all} of the {} nodes of {name}, one after the other", shown.nodes.len()),
        affected: chosen.iter().map(|node| node.name.clone()).collect(),
        preconditions: rolling::preconditions(&asked.component, shown),
        rollback: no_rollback("A restart cannot be taken back; the rest is left alone"),
        component: name.to_owned(),
        risk: risk.into(),
        risk_reason,
        steps,
        ..Plan::default()
    })
}

fn chosen<'f>(asked: &Restart, shown: &'f Shown) -> Result<Vec<&'f Node>, PlanRefusal> {
    if shown.nodes.is_empty() {
        let why = format!("The engine shows no nodes of {}", asked.component);
        return Err(PlanRefusal::new("nodes", why));
    }
    if asked.nodes.is_empty() {
        return Ok(shown.nodes.iter().collect());
    }
    let one = |name: &tunnel_protos::NodeName| {
        let node = shown.nodes.iter().find(|node| node.name == name.as_str());
        node.ok_or_else(|| {
            let nodes = tunnel_protos::text::escape(&shown.node_names(), SHOWN);
            let told = format!("{} has no node {name}", asked.component);
            PlanRefusal::found("nodes", format!("{told}; it has {nodes}"), told)
        })
    };
    asked.nodes.iter().map(one).collect()
}
