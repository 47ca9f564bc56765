//! The policy file: YAML in camelCase, where an unknown key refuses the whole. All errors come at once, each with
//! its line and column.

mod approvals;
mod approvers;
mod clocks;
mod rules;

use tunnel_runtime::config::{self, ConfigErrors, FromSection, Section, Sources};

use self::approvals::FileApprovals;
use super::{Approvers, Clocks, Preset, Rule, Streams};

/// Everything that is wrong with a policy file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(pub ConfigErrors);

/// What a policy file says; what it leaves out is the preset's.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) clocks: Clocks,
    pub(super) streams: Streams,
    pub(super) preset: Preset,
    pub(super) approvers: Approvers,
    pub(super) approvals: FileApprovals,
    pub(super) access: Option<Vec<Rule>>,
}

/// Reads a policy's text; `file` is named in errors.
pub(super) fn parse(file: &str, text: &str) -> Result<File, PolicyError> {
    let sources = Sources { file: file.to_owned(), yaml: text.to_owned(), ..Sources::default() };
    config::load(&sources).map(|loaded| loaded.config).map_err(PolicyError)
}

impl FromSection for File {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (version, clocks) = (version(section), section.section("clocks"));
        let streams = section.or("streams", Streams::default());
        let (preset, approvers) = (section.or("preset", Preset::default()), approvers::read(section));
        let (approvals, access) = (section.section("approvals"), rules::read(section));
        version?;
        Some(Self {
            clocks: clocks?,
            streams: streams?,
            preset: preset?,
            approvers: approvers?,
            approvals: approvals?,
            access: access?,
        })
    }
}

fn version(section: &mut Section<'_>) -> Option<()> {
    match section.required::<u32>("version")? {
        1 => Some(()),
        other => section.reject("version", format!("{other} is not known; this build knows version 1")),
    }
}
