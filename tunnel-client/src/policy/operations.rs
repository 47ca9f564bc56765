//! How each kind of operation is approved, as the file says it; `decide_operation` asks it.

use std::{collections::BTreeMap, fmt, str::FromStr};

use tunnel_protos::{Name, TaskName};

use super::Approval;

/// The answer per kind of operation; what is absent is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operations {
    /// Replicas and resources.
    pub scale: Scale,
    /// Settings that the profile lists.
    pub configure: Configure,
    /// Restarts.
    pub restart: Approval,
    /// Upgrades; those of Postern itself and downgrades always take a person.
    pub upgrade: Approval,
    /// Debug bundles.
    pub collect_debug: CollectDebug,
    /// Tasks that the profile lists, by name.
    pub run_task: BTreeMap<Name, Approval>,
}

/// How scaling is approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// As written.
    pub mode: Approval,
    /// Never to more.
    pub max_replicas: Option<u32>,
    /// Never by more at once.
    pub max_step: Option<u32>,
}

/// How changes of settings are approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configure {
    /// As written.
    pub mode: Approval,
    /// The settings that `auto` covers.
    pub settings: Vec<String>,
}

/// How debug bundles are approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectDebug {
    /// For collecting.
    pub mode: Approval,
    /// For letting a bundle leave.
    pub release: Approval,
}

/// A kind of operation as people name it: `scale`, `runTask.compact`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Replicas and resources.
    Scale,
    /// Signed releases.
    Upgrade,
    /// Node by node.
    Restart,
    /// Named settings.
    Configure,
    /// This task.
    RunTask(TaskName),
    /// Debug bundles.
    CollectDebug,
}

impl FromStr for Kind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "scale" => Self::Scale,
            "upgrade" => Self::Upgrade,
            "restart" => Self::Restart,
            "configure" => Self::Configure,
            "collectDebug" => Self::CollectDebug,
            _ => {
                let task = text.strip_prefix("runTask.").ok_or(NO_KIND)?;
                Self::RunTask(task.parse().map_err(|_| NO_KIND)?)
            }
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scale => f.write_str("scale"),
            Self::Upgrade => f.write_str("upgrade"),
            Self::Restart => f.write_str("restart"),
            Self::Configure => f.write_str("configure"),
            Self::RunTask(task) => write!(f, "runTask.{task}"),
            Self::CollectDebug => f.write_str("collectDebug"),
        }
    }
}

const NO_KIND: &str = "not an operation: scale, upgrade, restart, configure, collectDebug or runTask.NAME";

impl Operations {
    /// What counts for a kind of operation that is within its limits.
    pub fn mode(&self, kind: &Kind) -> Approval {
        match kind {
            Kind::Scale => self.scale.effective(),
            Kind::Upgrade => self.upgrade,
            Kind::Restart => self.restart,
            Kind::Configure => self.configure.effective(),
            Kind::RunTask(task) => self.task(task.as_str()),
            Kind::CollectDebug => self.collect_debug.mode,
        }
    }

    /// What binds a kind of operation beside its mode, for people; may be empty.
    pub fn limits(&self, kind: &Kind) -> String {
        match kind {
            Kind::Scale => {
                let replicas = self.scale.max_replicas.map(|most| format!("maxReplicas: {most}"));
                let step = self.scale.max_step.map(|most| format!("maxStep: {most}"));
                replicas.into_iter().chain(step).collect::<Vec<_>>().join(", ")
            }
            Kind::Configure if self.configure.settings.is_empty() => String::new(),
            Kind::Configure => format!("settings: {}", self.configure.settings.join(", ")),
            Kind::CollectDebug => format!("release: {}", self.collect_debug.release),
            Kind::Upgrade | Kind::Restart | Kind::RunTask(_) => String::new(),
        }
    }

    /// Whether some kind takes a person.
    pub fn needs_people(&self) -> bool {
        let kinds = [Kind::Scale, Kind::Upgrade, Kind::Restart, Kind::Configure, Kind::CollectDebug];
        let manual = |mode: Approval| mode == Approval::Manual;
        kinds.iter().any(|kind| manual(self.mode(kind))) || self.run_task.values().copied().any(manual)
    }

    /// Every kind answered alike, without limits and without tasks.
    pub(super) fn all(mode: Approval) -> Self {
        Self {
            scale: Scale { mode, max_replicas: None, max_step: None },
            configure: Configure { mode, settings: Vec::new() },
            restart: mode,
            upgrade: mode,
            collect_debug: CollectDebug { mode, release: mode.max(Approval::Manual) },
            run_task: BTreeMap::new(),
        }
    }

    /// The answer for a task; one that is not named is denied.
    pub fn task(&self, name: &str) -> Approval {
        let named = self.run_task.iter().find(|(task, _)| task.as_str() == name);
        named.map_or(Approval::Deny, |(_, mode)| *mode)
    }
}

impl Scale {
    /// What counts: auto without limits is manual.
    pub fn effective(&self) -> Approval {
        let limited = self.max_replicas.is_some() || self.max_step.is_some();
        unless_limited(self.mode, limited)
    }
}

impl Configure {
    /// What counts: auto without limits is manual.
    pub fn effective(&self) -> Approval {
        unless_limited(self.mode, !self.settings.is_empty())
    }
}

fn unless_limited(mode: Approval, limited: bool) -> Approval {
    if limited { mode } else { mode.max(Approval::Manual) }
}
