//! How each kind of operation is approved, as the file says it. Read and shown; nothing asks for an operation.

use std::collections::BTreeMap;

use tunnel_protos::Name;

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

impl Operations {
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
