//! `tunnel-client profile`: an engine profile looked over, by itself or against the live engine. Needs no daemon.

mod print;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use tunnel_runtime::exit::Exit;

use super::{Ended, output::Format};
use crate::engine::check::{self, Scope};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Tell what every method would be (read-only or mutating) and everything that is wrong, at once.
    ///
    /// Ends with 78 if the profile is wrong, with 1 if the live engine does not fit it.
    #[command(after_help = EXAMPLES)]
    Check {
        #[command(flatten)]
        which: Which,
        /// Ask every target, too: can it be reached, does it take our TLS and credentials, is it well, and are
        /// its descriptors, by its reflection, those of the profile?
        #[arg(long)]
        live: bool,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Write the live engine's descriptors, by its reflection, to a file: a start for a profile of your own.
    Descriptors {
        #[command(flatten)]
        which: Which,
        /// Where to write the descriptor set.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Which profile.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The profile itself, instead of the one that the configuration names.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    config: super::ConfigFile,
}

/// What is to be done with which profile.
#[derive(Debug)]
pub struct Profile {
    which: Which,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Check { scope: Scope, format: Format },
    Descriptors { out: PathBuf },
}

impl Command {
    pub(super) fn into_task(self) -> Profile {
        match self {
            Self::Check { which, live, output } => {
                let scope = if live { Scope::Live } else { Scope::Files };
                Profile { which, work: Work::Check { scope, format: output } }
            }
            Self::Descriptors { which, out } => Profile { which, work: Work::Descriptors { out } },
        }
    }
}

impl Profile {
    /// Does it; `configured` reads from a configuration file which profile it names.
    ///
    /// What was found is for standard output, also with an exit code that is not 0.
    pub async fn run(self, configured: impl FnOnce(&Path) -> Ended<PathBuf>) -> Ended<(String, Exit)> {
        let path = match self.which.profile {
            Some(path) => path,
            None => configured(&self.which.config.config)?,
        };
        match self.work {
            Work::Check { scope, format } => {
                let report = check::run(&path, scope).await;
                Ok((print::report(&path, &report, format), report.exit()))
            }
            Work::Descriptors { out } => write_descriptors(&path, &out).await,
        }
    }
}

async fn write_descriptors(profile: &Path, out: &Path) -> Ended<(String, Exit)> {
    let failed = |error: anyhow::Error| (Exit::Failed, error);
    let engine = check::open(profile).map_err(|errors| (Exit::Config, errors.into()))?;
    let target = engine.targets().next().context("the profile names no target").map_err(failed)?;
    let files = check::reflect(&engine, target).await.map_err(|error| failed(error.into()))?;
    std::fs::write(out, files.encode()).with_context(|| out.display().to_string()).map_err(failed)?;
    let text = format!("{} holds what target {target} says of itself; look it over", out.display());
    Ok((text, Exit::Ok))
}

const EXAMPLES: &str = "\
Examples:
  tunnel-client profile check --profile engine.yaml
  tunnel-client profile check --config client.yaml --live --output json";
