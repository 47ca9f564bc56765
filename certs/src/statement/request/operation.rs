//! What an operation asks for: the closed set, typed. Every value is inside its grammar and bounds; whether the customer's
//! profile knows it, and whether it is what the operator expects, is seen when it is planned.

use std::time::Duration;

use tunnel_protos::{
    CollectorName, ComponentName, NodeName, PersonText, SettingName, TargetName, TaskName, v1,
};

use super::{read::Fault, read_operation};

/// Asks for one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Which.
    pub what: What,
    /// When it begins.
    pub start: Start,
    /// Only planned.
    pub dry_run: bool,
    /// How long the operator may look at it, from the first certificate; zero for as long as the policy gives.
    pub wanted: Duration,
}

/// The closed set of operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// How much there is of a component.
    Scale(Scale),
    /// Signed releases.
    Upgrade(Upgrade),
    /// Node by node.
    Restart(Restart),
    /// Named settings.
    Configure(Configure),
    /// A task of the profile.
    RunTask(RunTask),
    /// A debug bundle.
    CollectDebug(CollectDebug),
}

/// When an approved operation begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At once.
    OnApproval,
    /// When its operator calls `Start`.
    OnCall,
}

/// Changes how much there is of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// Of what.
    pub component: ComponentName,
    /// Expected and wanted.
    pub size: Size,
}

/// What is scaled, as expected and as wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// The number of replicas; both at least 1.
    Replicas {
        /// As found now.
        expected: u32,
        /// As wanted.
        wanted: u32,
    },
    /// The resources of each replica; what is wanted is not all zero.
    Resources {
        /// As found now; zero where none is wanted.
        expected: Resources,
        /// As wanted; zero leaves one alone.
        wanted: Resources,
    },
}

/// Resources of one replica.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resources {
    /// Thousandths of a CPU.
    pub cpu_millis: u64,
    /// Bytes.
    pub memory_bytes: u64,
    /// Bytes; only grows.
    pub storage_bytes: u64,
}

/// Brings components to signed releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// 1 to 16, each component once, in this order.
    pub components: Vec<ComponentUpgrade>,
    /// Nodes changed at the same time; at least 1.
    pub at_once: u32,
    /// How long each node must stay healthy; none for the profile's.
    pub soak: Option<Duration>,
    /// Admits a release that is not above the highest seen.
    pub allow_downgrade: bool,
}

/// One component and its release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentUpgrade {
    /// Which.
    pub component: ComponentName,
    /// The release's name as found now.
    pub expected_release: PersonText,
    /// An encoded envelope of a release; `statement::release` opens it.
    pub release: Vec<u8>,
}

/// Restarts nodes of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// Of what.
    pub component: ComponentName,
    /// At most 64, each once; empty for all.
    pub nodes: Vec<NodeName>,
    /// The number of nodes as found now; at least 1.
    pub expected_replicas: u32,
}

/// Changes settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configure {
    /// Of what.
    pub component: ComponentName,
    /// 1 to 64, each named once.
    pub settings: Vec<SettingChange>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingChange {
    /// Which.
    pub name: SettingName,
    /// As found now.
    pub expected: PersonText,
    /// As wanted.
    pub value: PersonText,
}

/// Runs a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunTask {
    /// Which.
    pub task: TaskName,
    /// At most 64, each once; empty for what the profile says.
    pub targets: Vec<TargetName>,
    /// At most 32, each named once.
    pub arguments: Vec<(SettingName, PersonText)>,
}

/// Collects a debug bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectDebug {
    /// 1 to 64, each once.
    pub collectors: Vec<CollectorName>,
    /// At most 64, each once; empty for what the profile says.
    pub targets: Vec<TargetName>,
}

impl Operation {
    /// An operation that starts by itself ends so long after it was issued unless told otherwise: a held one must not
    /// act on a world that has moved on.
    pub const LIFE_ON_APPROVAL: Duration = Duration::from_secs(3600);

    /// The operation that a message asks for, every field checked.
    pub fn read(message: v1::OperationRequest) -> Result<Self, Fault> {
        read_operation::operation(message)
    }

    /// As messages carry it.
    pub fn to_message(&self) -> v1::OperationRequest {
        v1::OperationRequest {
            kind: Some(self.what.to_message()),
            start: match self.start {
                Start::OnApproval => v1::StartWhen::OnApproval,
                Start::OnCall => v1::StartWhen::OnCall,
            }
            .into(),
            dry_run: self.dry_run,
            wanted_ms: millis(self.wanted),
        }
    }
}

impl What {
    /// Its name, as policies, plans and people write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Scale(_) => "scale",
            Self::Upgrade(_) => "upgrade",
            Self::Restart(_) => "restart",
            Self::Configure(_) => "configure",
            Self::RunTask(_) => "runTask",
            Self::CollectDebug(_) => "collectDebug",
        }
    }

    fn to_message(&self) -> v1::operation_request::Kind {
        use v1::operation_request::Kind;
        match self {
            Self::Scale(scale) => Kind::Scale(scale.to_message()),
            Self::Upgrade(upgrade) => Kind::Upgrade(upgrade.to_message()),
            Self::Restart(restart) => Kind::Restart(v1::Restart {
                component: restart.component.to_string(),
                nodes: texts(&restart.nodes),
                expected_replicas: restart.expected_replicas,
            }),
            Self::Configure(configure) => Kind::Configure(v1::Configure {
                component: configure.component.to_string(),
                settings: configure.settings.iter().map(SettingChange::to_message).collect(),
            }),
            Self::RunTask(task) => Kind::RunTask(v1::RunTask {
                task: task.task.to_string(),
                targets: texts(&task.targets),
                arguments: task.arguments.iter().map(argument).collect(),
            }),
            Self::CollectDebug(debug) => Kind::CollectDebug(v1::CollectDebug {
                collectors: texts(&debug.collectors),
                targets: texts(&debug.targets),
            }),
        }
    }
}

impl Scale {
    fn to_message(&self) -> v1::Scale {
        let component = self.component.to_string();
        match self.size {
            Size::Replicas { expected, wanted } => {
                v1::Scale { component, expected_replicas: expected, replicas: wanted, ..v1::Scale::default() }
            }
            Size::Resources { expected, wanted } => v1::Scale {
                component,
                expected_resources: Some(expected.to_message()),
                resources: Some(wanted.to_message()),
                ..v1::Scale::default()
            },
        }
    }
}

impl Resources {
    fn to_message(self) -> v1::Resources {
        let Self { cpu_millis, memory_bytes, storage_bytes } = self;
        v1::Resources { cpu_millis, memory_bytes, storage_bytes }
    }
}

impl Upgrade {
    fn to_message(&self) -> v1::Upgrade {
        let one = |upgrade: &ComponentUpgrade| v1::ComponentUpgrade {
            component: upgrade.component.to_string(),
            expected_release: upgrade.expected_release.to_string(),
            release: upgrade.release.clone(),
        };
        let soak_ms = self.soak.map(millis).unwrap_or_default();
        v1::Upgrade {
            components: self.components.iter().map(one).collect(),
            strategy: Some(v1::Strategy { at_once: self.at_once, soak_ms }),
            allow_downgrade: self.allow_downgrade,
        }
    }
}

impl SettingChange {
    fn to_message(&self) -> v1::SettingChange {
        let (name, expected) = (self.name.to_string(), self.expected.to_string());
        v1::SettingChange { name, expected, value: self.value.to_string() }
    }
}

fn argument((name, value): &(SettingName, PersonText)) -> v1::Argument {
    v1::Argument { name: name.to_string(), value: value.to_string() }
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
