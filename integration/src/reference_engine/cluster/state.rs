//! What nodes there are and how they fare: pure, told the time by its caller.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::generated::admin::v1::{Component as ComponentMessage, Node as NodeMessage, NodeState};

/// Components by name, and the settings in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct State {
    components: BTreeMap<String, Component>,
    settings: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Component {
    /// The last release that all nodes had; new ones get it.
    release: String,
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    release: String,
    started_at: u64,
    restarts: u32,
}

/// What cannot be done, for the caller to read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(in super::super) enum Rejected {
    #[error("no component {0:?}")]
    UnknownComponent(String),
    #[error("no node {0:?}")]
    UnknownNode(String),
    #[error("no setting {0:?}")]
    UnknownSetting(String),
    #[error("setting {0:?} does not take {1:?}")]
    BadSetting(String, String),
    #[error("replicas must be 1 to 64, not {0}")]
    BadReplicas(u32),
    #[error("a release has 1 to 64 letters, digits, dots and dashes")]
    BadRelease,
}

impl State {
    /// Three storage nodes and one that answers queries.
    pub(in super::super) fn first(now: u64) -> Self {
        let component = |replicas| Component {
            release: FIRST_RELEASE.to_owned(),
            nodes: vec![Node::fresh(FIRST_RELEASE, now); replicas],
        };
        Self {
            components: [(STORAGE.to_owned(), component(3)), ("query".to_owned(), component(1))].into(),
            settings: SETTINGS.map(|(name, value, _)| (name.to_owned(), value.to_owned())).into(),
        }
    }

    /// Tells how many replicas there were.
    pub(in super::super) fn scale(&mut self, name: &str, replicas: u32, now: u64) -> Result<u32, Rejected> {
        if !(1..=64).contains(&replicas) {
            return Err(Rejected::BadReplicas(replicas));
        }
        let component = self.component(name)?;
        let before = component.nodes.len() as u32;
        let fresh = Node::fresh(&component.release, now);
        component.nodes.resize(replicas as usize, fresh);
        Ok(before)
    }

    /// Restarts the named nodes, or all; tells which.
    pub(in super::super) fn restart(
        &mut self,
        name: &str,
        which: &[String],
        now: u64,
    ) -> Result<Vec<String>, Rejected> {
        let nodes = self.component(name)?.choose(name, which)?;
        let restart = |(name, node): (String, &mut Node)| {
            node.restart(now);
            name
        };
        Ok(nodes.into_iter().map(restart).collect())
    }

    /// Brings the named nodes of a component, or all, to another release; tells the former and which nodes.
    pub(in super::super) fn upgrade(
        &mut self,
        name: &str,
        which: &[String],
        release: &str,
        now: u64,
    ) -> Result<(String, Vec<String>), Rejected> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        if release.is_empty() || release.len() > 64 || !release.chars().all(allowed) {
            return Err(Rejected::BadRelease);
        }
        let component = self.component(name)?;
        let mut upgraded = Vec::new();
        for (name, node) in component.choose(name, which)? {
            release.clone_into(&mut node.release);
            node.restart(now);
            upgraded.push(name);
        }
        let before = component.release.clone();
        component.settle();
        Ok((before, upgraded))
    }

    /// Changes all of the settings or none; tells what they were.
    pub(in super::super) fn configure(
        &mut self,
        settings: BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Rejected> {
        for (name, value) in &settings {
            let known = SETTINGS.iter().find(|(known, ..)| known == name);
            let (.., takes) = known.ok_or_else(|| Rejected::UnknownSetting(name.clone()))?;
            if !takes(value) {
                return Err(Rejected::BadSetting(name.clone(), value.clone()));
            }
        }
        let replace = |(name, value): (String, String)| {
            let previous = self.settings.insert(name.clone(), value).unwrap_or_default();
            let shown = if name == SENSITIVE { MASK.to_owned() } else { previous };
            (name, shown)
        };
        Ok(settings.into_iter().map(replace).collect())
    }

    pub(super) fn nodes(&self, of: &str, now: u64, startup: u64) -> Vec<NodeMessage> {
        let wanted = |name: &str| of.is_empty() || of == name;
        self.components
            .iter()
            .filter(|(name, _)| wanted(name))
            .flat_map(|(name, component)| component.nodes(name, now, startup))
            .collect()
    }

    pub(super) fn components(&self, now: u64, startup: u64) -> Vec<ComponentMessage> {
        let message = |(name, component): (&String, &Component)| ComponentMessage {
            name: name.clone(),
            replicas: component.nodes.len() as u32,
            release: component.release.clone(),
            ready: component.ready(now, startup),
        };
        self.components.iter().map(message).collect()
    }

    /// Settings as anyone may see them.
    pub(super) fn settings(&self) -> BTreeMap<String, String> {
        let mask = |(name, value): (&String, &String)| {
            let shown = if name == SENSITIVE { MASK } else { value };
            (name.clone(), shown.to_owned())
        };
        self.settings.iter().map(mask).collect()
    }

    pub(super) fn release(&self) -> &str {
        self.components.get(STORAGE).map_or("", |component| &component.release)
    }

    pub(super) fn is_healthy(&self) -> bool {
        !self.components.values().flat_map(|component| &component.nodes).any(Node::is_broken)
    }

    fn component(&mut self, name: &str) -> Result<&mut Component, Rejected> {
        self.components.get_mut(name).ok_or_else(|| Rejected::UnknownComponent(name.to_owned()))
    }
}

impl Component {
    /// The named nodes, or all of them, each with its name.
    fn choose(&mut self, of: &str, which: &[String]) -> Result<Vec<(String, &mut Node)>, Rejected> {
        let names: Vec<_> = (0..self.nodes.len()).map(|index| node_name(of, index)).collect();
        if let Some(unknown) = which.iter().find(|node| !names.contains(node)) {
            return Err(Rejected::UnknownNode(unknown.clone()));
        }
        let wanted = |(name, _): &(String, &mut Node)| which.is_empty() || which.contains(name);
        Ok(names.into_iter().zip(&mut self.nodes).filter(wanted).collect())
    }

    /// A component has a release once all of its nodes do; until then it has the one before.
    fn settle(&mut self) {
        if let Some(first) = self.nodes.first()
            && self.nodes.iter().all(|node| node.release == first.release)
        {
            first.release.clone_into(&mut self.release);
        }
    }

    fn ready(&self, now: u64, startup: u64) -> u32 {
        let is_ready = |node: &&Node| node.state(now, startup) == NodeState::Ready;
        self.nodes.iter().filter(is_ready).count() as u32
    }

    fn nodes(&self, name: &str, now: u64, startup: u64) -> Vec<NodeMessage> {
        let message = |(index, node): (usize, &Node)| NodeMessage {
            name: node_name(name, index),
            component: name.to_owned(),
            release: node.release.clone(),
            state: node.state(now, startup).into(),
            restarts: node.restarts,
            started_at_unix_millis: i64::try_from(node.started_at).unwrap_or(i64::MAX),
        };
        self.nodes.iter().enumerate().map(message).collect()
    }
}

impl Node {
    fn fresh(release: &str, now: u64) -> Self {
        Self { release: release.to_owned(), started_at: now, restarts: 0 }
    }

    fn restart(&mut self, now: u64) {
        self.started_at = now;
        self.restarts += 1;
    }

    fn is_broken(&self) -> bool {
        self.release.ends_with("-broken")
    }

    fn state(&self, now: u64, startup: u64) -> NodeState {
        match now.saturating_sub(self.started_at) < startup {
            true => NodeState::Starting,
            false if self.is_broken() => NodeState::Failed,
            false => NodeState::Ready,
        }
    }
}

fn node_name(component: &str, index: usize) -> String {
    format!("{component}-{index}")
}

fn is_cache_size(value: &str) -> bool {
    value.parse().is_ok_and(|megabytes: u32| (1..=65_536).contains(&megabytes))
}

fn is_log_level(value: &str) -> bool {
    ["debug", "info", "warn", "error"].contains(&value)
}

fn is_password(value: &str) -> bool {
    value.len() >= 8
}

type Setting = (&'static str, &'static str, fn(&str) -> bool);

/// Name, first value, and what it takes.
const SETTINGS: [Setting; 3] = [
    ("cacheMegabytes", "64", is_cache_size),
    ("logLevel", "info", is_log_level),
    (SENSITIVE, super::super::debug::ADMIN_PASSWORD, is_password),
];
/// Never shown where settings are.
const SENSITIVE: &str = "adminPassword";
const MASK: &str = "***";
const STORAGE: &str = "storage";
const FIRST_RELEASE: &str = "1.0.0";

#[cfg(test)]
mod tests;
