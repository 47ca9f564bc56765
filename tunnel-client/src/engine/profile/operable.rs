//! What of an engine can be operated, as its profile says: components, tasks and collectors of debug bundles.
//!
//! Everything here was checked against the customer's descriptors; nothing in it comes from the engine.

mod find;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use tunnel_protos::{
    CollectorName, ComponentName, MethodName, NodeName, SettingName, TargetName, TaskName, dynamic::Method,
};

use super::{Expression, FieldList, Parameter, Template};

pub(super) use self::find::FindNodes;
pub use self::find::{Answer, Answers, Find, Look, SightError, SightedNode, Sighting};

/// All that can be operated.
#[derive(Debug, Clone, Default)]
pub struct Operable {
    components: BTreeMap<ComponentName, Component>,
    tasks: BTreeMap<TaskName, Task>,
    collectors: BTreeMap<CollectorName, Collector>,
    operations: BTreeMap<MethodName, Suggestion>,
}

/// A part of the engine that is scaled, upgraded, restarted or configured as one.
#[derive(Debug, Clone)]
pub struct Component {
    /// Its name.
    pub name: ComponentName,
    /// How to see what there is now.
    pub find: Find,
    /// When a step is good.
    pub gate: GateCheck,
    /// How to change its replicas.
    pub scale: Option<Scale>,
    /// How to bring it to another release.
    pub upgrade: Option<Upgrade>,
    /// How to restart its nodes.
    pub restart: Option<Restart>,
    /// How to change its settings.
    pub configure: Option<Configure>,
}

/// When a step is good: every node is ready and every target healthy, without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateCheck {
    /// For so long.
    pub soak: Duration,
    /// Within this, soak included.
    pub deadline: Duration,
}

/// How replicas are changed. Values: `component`, `replicas`.
#[derive(Debug, Clone)]
pub struct Scale {
    /// The call.
    pub call: Call,
    /// Never to fewer.
    pub min: u32,
    /// Never to more.
    pub max: u32,
    /// Only to odd numbers, as quorums want it.
    pub odd: bool,
}

/// How releases are brought. Values: `component`, `release`, `image`, `node`, `nodes`.
#[derive(Debug, Clone)]
pub struct Upgrade {
    /// The call.
    pub call: Call,
    /// One call for each node, or one for all.
    pub per: Reach,
}

/// How nodes are restarted. Values: `component`, `node`, `nodes`.
#[derive(Debug, Clone)]
pub struct Restart {
    /// The call.
    pub call: Call,
    /// One call for each node, or one for all.
    pub per: Reach,
}

/// How settings are changed. Values: `component`, and either `settings` (all as one map of texts) or `setting` and
/// `value` (one call for each).
#[derive(Debug, Clone)]
pub struct Configure {
    /// The call.
    pub call: Call,
    /// Those that there are.
    pub settings: BTreeMap<SettingName, Parameter>,
}

/// A task. Values: its arguments, and `target`.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its name.
    pub name: TaskName,
    /// The call; each message of a streaming answer is progress.
    pub call: Call,
    /// Once, or for each target.
    pub per: Per,
    /// What it takes.
    pub arguments: BTreeMap<SettingName, Parameter>,
    /// How far it is, over each `response`.
    pub progress: Option<Progress>,
    /// Whether it did what it should, over the last `response`; without it, an answer is enough.
    pub ok: Option<Expression>,
    /// What no other operation may work on meanwhile.
    pub component: Option<ComponentName>,
    /// How much can go wrong.
    pub risk: Risk,
}

/// How far a task is, as the engine counts.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Units done.
    pub done: Expression,
    /// Units in all.
    pub total: Expression,
}

/// A collector of debug bundles.
#[derive(Debug, Clone)]
pub struct Collector {
    /// Its name.
    pub name: CollectorName,
    /// The call.
    pub call: Call,
    /// Once, or for each target.
    pub per: Per,
    /// What of the answer goes into the bundle.
    pub allow: FieldList,
    /// Bytes of one file, at most.
    pub size_cap: u64,
}

/// A call that the profile prepares.
#[derive(Debug, Clone)]
pub struct Call {
    /// Whom.
    pub endpoint: Where,
    /// What; unary, or with a streaming answer.
    pub method: Method,
    /// With what.
    pub request: Template,
    /// For how long at most.
    pub timeout: Duration,
}

/// Whom a call goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// Any one target: the first of [`super::Profile::targets_by_preference`] that can be reached.
    Any,
    /// This one.
    Target(TargetName),
    /// Each target by itself: the one at hand.
    Each,
    /// The companion of the node at hand.
    Companion(BTreeMap<NodeName, TargetName>),
}

/// How often a task or collector is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// For each target.
    Target,
    /// Once, at any target.
    Once,
}

/// How a component's nodes are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// One call for each node.
    Node,
    /// One call for the whole component.
    Component,
}

/// How much can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// Changes nothing that is served.
    Low,
    /// Takes part of the service away for a while, or can be taken back.
    Medium,
    /// Cannot be taken back, or takes all of the service away.
    High,
}

/// The operation to ask for instead of a method: what follows `tunnelctl request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    operation: &'static str,
    name: String,
}

impl Suggestion {
    /// `scale`, `upgrade`, `restart`, `configure` or `run`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The component or task.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tunnelctl request {} {}", self.operation, self.name)
    }
}

impl Operable {
    /// Everything by name. A method that only reads stays one for access, whatever task makes use of it.
    pub(super) fn new(
        components: BTreeMap<ComponentName, Component>,
        tasks: BTreeMap<TaskName, Task>,
        collectors: BTreeMap<CollectorName, Collector>,
        read_only: &BTreeSet<MethodName>,
    ) -> Self {
        let of_tasks = tasks.values().map(|task| (&task.call, "run", task.name.to_string()));
        let of_components = components.values().flat_map(|component| {
            component.calls().map(|(operation, call)| (call, operation, component.name.to_string()))
        });
        let all = of_tasks.chain(of_components);
        let mapped = all.filter(|(call, ..)| !read_only.contains(call.method.name()));
        let operations = mapped
            .map(|(call, operation, name)| (call.method.name().clone(), Suggestion { operation, name }))
            .collect();
        Self { components, tasks, collectors, operations }
    }

    /// The components.
    pub fn components(&self) -> &BTreeMap<ComponentName, Component> {
        &self.components
    }

    /// The tasks.
    pub fn tasks(&self) -> &BTreeMap<TaskName, Task> {
        &self.tasks
    }

    /// The collectors.
    pub fn collectors(&self) -> &BTreeMap<CollectorName, Collector> {
        &self.collectors
    }

    /// The methods that operations call, each with an operation that does: access reaches them only by their exact
    /// names and `raw`.
    pub fn operations(&self) -> &BTreeMap<MethodName, Suggestion> {
        &self.operations
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.components.is_empty() && self.tasks.is_empty() && self.collectors.is_empty()
    }
}

impl Component {
    /// The calls that change it, by the operation that makes them.
    pub fn calls(&self) -> impl Iterator<Item = (&'static str, &Call)> {
        let scale = self.scale.iter().map(|scale| ("scale", &scale.call));
        let upgrade = self.upgrade.iter().map(|upgrade| ("upgrade", &upgrade.call));
        let restart = self.restart.iter().map(|restart| ("restart", &restart.call));
        let configure = self.configure.iter().map(|configure| ("configure", &configure.call));
        scale.chain(upgrade).chain(restart).chain(configure)
    }
}

impl Configure {
    /// Whether all settings go by one call.
    pub fn at_once(&self) -> bool {
        self.call.request.uses("settings")
    }
}

impl Scale {
    /// What is wrong with this number of replicas, if anything is.
    pub fn problem(&self, replicas: u32) -> Option<String> {
        if !(self.min..=self.max).contains(&replicas) {
            return Some(format!("{replicas} replicas are not within {} to {}", self.min, self.max));
        }
        (self.odd && replicas.is_multiple_of(2)).then(|| format!("{replicas} replicas are not an odd number"))
    }
}
