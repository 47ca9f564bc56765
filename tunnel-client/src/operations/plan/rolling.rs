//! Going from node to node: which nodes, in which order, how many at a time.
//!
//! Nodes that are not ready come first, and none that is ready is touched while one that stays is not: a quorum may
//! hang on it.

use tunnel_protos::{
    ComponentName,
    operations::v1::{Precondition, RiskClass},
    text::escape,
};

use super::{SHOWN, precondition};
use crate::operations::{
    PlanRefusal,
    found::{NODES, Node, READINESS, Shown},
};

/// Nodes in the order in which they are changed.
#[derive(Debug)]
pub(super) struct Order<'f> {
    pub(super) groups: Vec<Vec<&'f Node>>,
}

/// All of `chosen`, at most `at_once` in a group.
pub(super) fn order<'f>(
    component: &ComponentName,
    shown: &'f Shown,
    chosen: &[&'f Node],
    at_once: usize,
) -> Result<Order<'f>, PlanRefusal> {
    let stays = |node: &&Node| !chosen.iter().any(|chosen| chosen.name == node.name);
    if let Some(node) = shown.nodes.iter().filter(stays).find(|node| !node.ready) {
        let why = |node: &str| {
            format!(
                "{node} of {component} is not ready and would not be touched; mend it first, or name it, too"
            )
        };
        return Err(PlanRefusal::found("readiness", why(&escape(&node.name, SHOWN)), why("A node")));
    }
    if let Some(node) = chosen.iter().find(|node| node.name.contains(", ")) {
        let why = format!("{} is no name of a node", escape(&node.name, SHOWN));
        return Err(PlanRefusal::found("nodes", why, format!("The engine misnames a node of {component}")));
    }
    let mut ordered = chosen.to_vec();
    ordered.sort_by_key(|node| node.ready);
    let groups = ordered.chunks(at_once.max(1)).map(<[_]>::to_vec).collect();
    Ok(Order { groups })
}

/// The nodes as they were found: all of them, and each that is not ready.
pub(super) fn preconditions(component: &ComponentName, shown: &Shown) -> Vec<Precondition> {
    let all = precondition(NODES, component.as_str(), shown.node_names());
    let unready = shown.nodes.iter().filter(|node| !node.ready);
    let unready = unready.map(|node| precondition(READINESS, &node.name, node.readiness()));
    [all].into_iter().chain(unready).collect()
}

/// What it means to take nodes of a component away for a while.
pub(super) fn risk(component: &ComponentName, shown: &Shown, at_once: usize) -> (RiskClass, String) {
    let nodes = shown.nodes.len();
    match nodes {
        1 => (RiskClass::High, format!("{component} has one node, so all of it is away for a while")),
        _ if at_once * 2 >= nodes => (
            RiskClass::High,
            format!("{at_once} of {nodes} nodes are away at the same time, so the rest is no majority"),
        ),
        _ => (RiskClass::Medium, format!("At most {at_once} of {nodes} nodes are away at a time")),
    }
}

/// Names of a group, in one text.
pub(super) fn names(group: &[&Node]) -> String {
    group.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ")
}
