//! Looks an engine profile over, by itself and against the live engine; everything that is wrong comes at once.
//!
//! It only ever asks for health, descriptors and by what is listed as reading: a check changes nothing at the engine.

mod compare;
mod components;
mod methods;
mod reflect;
mod target;

use std::path::Path;

use futures_util::future::join_all;
use tunnel_protos::{TargetName, v1::Health};
use tunnel_runtime::exit::Exit;

pub use self::{
    compare::{Difference, compare},
    components::ComponentReport,
    methods::{Known, MethodLine},
    reflect::{ReflectError, reflect},
};
use super::{Engine, Profile, ProfileErrors};

/// Whether the engine itself is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The files alone.
    Files,
    /// The files, and every target they name.
    Live,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// The profile's own name; none if it cannot be read.
    pub name: Option<String>,
    /// What every known method would be.
    pub methods: Vec<MethodLine>,
    /// Each target as it answered; none unless asked.
    pub targets: Vec<TargetReport>,
    /// Each component as the engine shows it; none unless asked.
    pub components: Vec<ComponentReport>,
    /// What is wrong with the files.
    pub broken: Vec<String>,
    /// What is wrong with the engine, or between the two.
    pub unfit: Vec<String>,
    /// What may be meant.
    pub notes: Vec<String>,
}

/// One target as it answered.
#[derive(Debug)]
pub struct TargetReport {
    /// Its name.
    pub target: TargetName,
    /// Where it listens, as the profile says.
    pub endpoint: String,
    /// Whether it could be connected to.
    pub reached: Reached,
    /// What it says of itself; unspecified if it was not reached.
    pub health: Health,
    /// Its descriptors beside ours.
    pub schema: SchemaReport,
}

/// Whether a target could be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// By TCP or a Unix socket, in the clear.
    Plain,
    /// By TLS, the engine's certificate verified.
    Tls,
    /// Not at all; why.
    Failed(String),
}

/// A live engine's descriptors beside the profile's.
#[derive(Debug)]
pub enum SchemaReport {
    /// Nothing to compare: the target was not reached.
    NotAsked,
    /// The engine serves no reflection; why.
    Unserved(String),
    /// The engine's, and what differs from it in ours; none for equal ones.
    Compared(Vec<Difference>),
    /// The profile has none of its own; this many methods are there.
    OnlyLive(usize),
}

impl Report {
    /// How a program ends with it: 78 for a wrong profile, 1 for an engine that does not fit it.
    pub fn exit(&self) -> Exit {
        match (self.broken.is_empty(), self.unfit.is_empty()) {
            (false, _) => Exit::Config,
            (true, false) => Exit::Failed,
            (true, true) => Exit::Ok,
        }
    }
}

/// Checks the profile at `path`.
pub async fn run(path: &Path, scope: Scope) -> Report {
    match Profile::inspect(path) {
        Ok(profile) => of(profile, scope).await,
        Err(errors) => Report {
            broken: errors.each().map(|error| tunnel_runtime::chain(error).to_string()).collect(),
            ..Report::default()
        },
    }
}

/// What is wrong with the files of a profile's credentials.
pub(super) fn files(profile: &Profile) -> Vec<String> {
    target::files(profile)
}

/// What every method of a profile would be.
#[cfg(test)]
pub(crate) fn methods(profile: &Profile) -> Vec<MethodLine> {
    methods::of(profile)
}

/// The engine of the profile at `path`, to be looked at only.
pub fn open(path: &Path) -> Result<Engine, ProfileErrors> {
    Profile::inspect(path).map(Engine::new)
}

async fn of(profile: Profile, scope: Scope) -> Report {
    let mut report = Report {
        name: Some(profile.name().to_owned()),
        methods: methods::of(&profile),
        broken: target::files(&profile),
        notes: methods::notes(&profile),
        ..Report::default()
    };
    if scope == Scope::Live {
        let engine = Engine::new(profile);
        let targets = engine.targets().map(|name| target::ask(&engine, name));
        for (target, unfit) in join_all(targets.collect::<Vec<_>>()).await {
            report
                .unfit
                .extend(unfit.into_iter().map(|problem| format!("target {}: {problem}", target.target)));
            report.targets.push(target);
        }
        let components = engine.profile().operable().components().values();
        let looks = components.map(|component| components::look(&engine, component));
        for (component, unfit, note) in join_all(looks.collect::<Vec<_>>()).await {
            report.unfit.extend(unfit);
            report.notes.extend(note);
            report.components.push(component);
        }
    }
    report
}

#[cfg(test)]
mod tests;
