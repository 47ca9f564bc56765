//! What the engine shows of its components at one moment, as named facts that plans compare. Pure.
//!
//! All of it is a stranger's word: bounded where it is read, and used only to compare with what was asked and approved.

use std::collections::BTreeMap;

/// What was found of some components.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// By the component's name.
    pub(super) components: BTreeMap<String, Shown>,
    /// Targets that are not well, and why, one sentence each.
    pub(super) unwell: BTreeMap<String, String>,
}

/// One component; what the profile does not tell how to see is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) replicas: Option<u32>,
    pub(super) release: Option<String>,
    pub(super) settings: BTreeMap<String, String>,
    /// In the engine's order.
    pub(super) nodes: Vec<Node>,
}

/// One node of a component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) ready: bool,
    pub(super) release: Option<String>,
    /// Changes whenever it is started.
    pub(super) start: Option<String>,
}

impl Found {
    /// Every fact by its name.
    pub(super) fn facts(&self) -> BTreeMap<String, String> {
        self.components.iter().flat_map(|(name, shown)| shown.facts(name)).collect()
    }

    /// Nodes that are not ready.
    pub(super) fn unready(&self) -> impl Iterator<Item = &Node> {
        self.components.values().flat_map(|shown| &shown.nodes).filter(|node| !node.ready)
    }
}

impl Shown {
    fn facts(&self, component: &str) -> Vec<(String, String)> {
        let replicas = self.replicas.map(|replicas| (of(REPLICAS, component), replicas.to_string()));
        let release = self.release.clone().map(|release| (of(RELEASE, component), release));
        let settings =
            self.settings.iter().map(|(name, value)| (of(&setting(name), component), value.clone()));
        let nodes = (!self.nodes.is_empty()).then(|| (of(NODES, component), self.node_names()));
        let of_nodes = self.nodes.iter().flat_map(Node::facts);
        replicas.into_iter().chain(release).chain(settings).chain(nodes).chain(of_nodes).collect()
    }

    /// All of them in one text, in the order of their names.
    pub(super) fn node_names(&self) -> String {
        let mut names: Vec<_> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        names.sort_unstable();
        names.join(", ")
    }
}

impl Node {
    fn facts(&self) -> Vec<(String, String)> {
        let release = self.release.clone().map(|release| (of(RELEASE, &self.name), release));
        let start = self.start.clone().map(|start| (of(START, &self.name), start));
        let ready = (of(READINESS, &self.name), self.readiness().to_owned());
        release.into_iter().chain(start).chain([ready]).collect()
    }

    pub(super) fn readiness(&self) -> &'static str {
        if self.ready { "ready" } else { UNREADY }
    }
}

/// The name of a fact, as people read it: `release of storage`.
pub(super) fn of(field: &str, object: &str) -> String {
    format!("{field} of {object}")
}

/// The field of a setting, which no other field can be taken for.
pub(super) fn setting(name: &str) -> String {
    format!("setting {name}")
}

pub(super) const REPLICAS: &str = "replicas";
pub(super) const RELEASE: &str = "release";
pub(super) const NODES: &str = "nodes";
pub(super) const START: &str = "start";
pub(super) const READINESS: &str = "readiness";
/// Of a target that is not well.
pub(super) const HEALTH: &str = "health";
pub(super) const UNWELL: &str = "not well";
pub(super) const UNREADY: &str = "not ready";
