//! `approvals`: per operation, over what the preset says. `restart: auto` is short for `restart: { mode: auto }`.

use std::collections::BTreeMap;

use tunnel_protos::Name;
use tunnel_runtime::config::{FromSection, Section};

use crate::policy::{Approval, CollectDebug, Configure, Operations, Scale};

/// What the file says; what is absent is the preset's.
#[derive(Debug, Default)]
pub(in crate::policy) struct FileApprovals {
    scale: Option<Scale>,
    configure: Option<Configure>,
    restart: Option<Approval>,
    upgrade: Option<Approval>,
    collect_debug: Option<CollectDebug>,
    run_task: BTreeMap<Name, Approval>,
}

impl FileApprovals {
    /// The file's word where it has one, the preset's elsewhere.
    pub(in crate::policy) fn over(self, preset: Operations) -> Operations {
        Operations {
            scale: self.scale.unwrap_or(preset.scale),
            configure: self.configure.unwrap_or(preset.configure),
            restart: self.restart.unwrap_or(preset.restart),
            upgrade: self.upgrade.unwrap_or(preset.upgrade),
            collect_debug: self.collect_debug.unwrap_or(preset.collect_debug),
            run_task: preset.run_task.into_iter().chain(self.run_task).collect(),
        }
    }
}

impl FromSection for FileApprovals {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let scale = section.section_or_value("scale", MODE);
        let configure = section.section_or_value("configure", MODE);
        let (restart, upgrade) = (mode(section, "restart"), mode(section, "upgrade"));
        let collect_debug = section.section_or_value("collectDebug", MODE);
        let run_task = tasks(section);
        Some(Self {
            scale: scale?,
            configure: configure?,
            restart: restart?,
            upgrade: upgrade?,
            collect_debug: collect_debug?,
            run_task: run_task?,
        })
    }
}

/// A section with nothing but a mode.
struct Mode(Approval);

impl FromSection for Mode {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        section.required(MODE).map(Self)
    }
}

fn mode(section: &mut Section<'_>, key: &'static str) -> Option<Option<Approval>> {
    section.section_or_value::<Mode>(key, MODE).map(|mode| mode.map(|mode| mode.0))
}

fn tasks(section: &mut Section<'_>) -> Option<BTreeMap<Name, Approval>> {
    let written = section.named_or_value::<Mode>("runTask", MODE)?;
    let named =
        |(text, mode): (String, Mode)| text.parse::<Name>().map(|name| (name, mode.0)).map_err(|_| text);
    match written.into_iter().map(named).collect() {
        Ok(tasks) => Some(tasks),
        Err(text) => section.reject("runTask", format!("{text:?} is not a task's name")),
    }
}

impl FromSection for Scale {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (mode, limits) = (section.required(MODE), section.optional_section::<ScaleLimits>("limits"));
        let (mode, limits) = (mode?, limits?.unwrap_or_default());
        Some(Self { mode, max_replicas: limits.0, max_step: limits.1 })
    }
}

#[derive(Default)]
struct ScaleLimits(Option<u32>, Option<u32>);

impl FromSection for ScaleLimits {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (replicas, step) = (section.optional("maxReplicas"), section.optional("maxStep"));
        Some(Self(replicas?, step?))
    }
}

impl FromSection for Configure {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (mode, limits) = (section.required(MODE), section.optional_section::<Settings>("limits"));
        Some(Self { mode: mode?, settings: limits?.unwrap_or_default().0 })
    }
}

#[derive(Default)]
struct Settings(Vec<String>);

impl FromSection for Settings {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        section.values("settings").map(Self)
    }
}

impl FromSection for CollectDebug {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (mode, release) = (section.required(MODE), section.or("release", Approval::Manual));
        Some(Self { mode: mode?, release: release? })
    }
}

const MODE: &str = "mode";
