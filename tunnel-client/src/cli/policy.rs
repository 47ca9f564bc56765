//! `tunnel-client policy`: a policy file looked over, explained and printed. Needs no daemon.

mod print;

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use tunnel_protos::{MethodPattern, method::MethodError};
use tunnel_runtime::exit::Exit;

use super::{Ended, output::Format};
use crate::{
    config::Config,
    engine,
    policy::{Methods, OperationKind, Policy},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Tell everything that is wrong with a policy file, each with line and column, and what is suspicious.
    ///
    /// Ends with 78 if the file is wrong. With a profile, patterns are expanded: rules that match nothing, rules
    /// that never count, and methods that mutate without a person are shown.
    #[command(after_help = EXAMPLES)]
    Check {
        #[command(flatten)]
        which: Which,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Tell which rule answers a request for these methods or operations, why, and within which limits.
    Explain {
        /// `package.Service/Method`, `package.Service/*`, or an operation: `scale`, `runTask.NAME`, …
        #[arg(required = true, value_name = "METHOD|OPERATION")]
        asked: Vec<Asked>,
        /// As if methods of operations were asked for by their exact names.
        #[arg(long)]
        raw: bool,
        #[command(flatten)]
        which: Named,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Print the policy file, or what it amounts to.
    Show {
        /// With its preset resolved and every default written out.
        #[arg(long)]
        effective: bool,
        #[command(flatten)]
        which: Named,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
}

/// Which policy, by its place on the command line.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// The policy file, instead of the one that the configuration names.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    beside: Beside,
}

/// Which policy, by an option.
#[derive(Debug, Args)]
pub(super) struct Named {
    /// The policy file, instead of the one that the configuration names.
    #[arg(long = "policy", value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    beside: Beside,
}

/// What the policy is read against.
#[derive(Debug, Args)]
pub(super) struct Beside {
    /// The engine profile, instead of the one that the configuration names.
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Configuration file that names policy and profile.
    #[arg(long, value_name = "FILE", env = "POSTERN_CONFIG")]
    config: Option<PathBuf>,
}

/// What is to be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    Methods(MethodPattern),
    Operation(OperationKind),
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Only methods have a slash.
        if text.contains('/') {
            text.parse().map(Self::Methods).map_err(|error: MethodError| error.to_string())
        } else {
            text.parse().map(Self::Operation).map_err(str::to_owned)
        }
    }
}

/// What is to be done with which policy.
#[derive(Debug)]
pub struct PolicyTask {
    file: Option<PathBuf>,
    beside: Beside,
    work: Work,
    format: Format,
}

#[derive(Debug)]
enum Work {
    Check,
    Explain { asked: Vec<Asked>, raw: bool },
    Show { effective: bool },
}

impl Command {
    pub(super) fn into_task(self) -> PolicyTask {
        let task = |file, beside, work, format| PolicyTask { file, beside, work, format };
        match self {
            Self::Check { which, output } => task(which.file, which.beside, Work::Check, output),
            Self::Explain { asked, raw, which, output } => {
                task(which.file, which.beside, Work::Explain { asked, raw }, output)
            }
            Self::Show { effective, which, output } => {
                task(which.file, which.beside, Work::Show { effective }, output)
            }
        }
    }
}

impl PolicyTask {
    /// Does it; `configured` reads a configuration file.
    pub fn run(self, configured: impl FnOnce(&Path) -> Ended<Config>) -> Ended<(String, Exit)> {
        let (file, profile) = self.files(configured)?;
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()));
        let text = text.map_err(|error| (Exit::Config, error))?;
        let methods = methods(profile.as_deref())?;
        let policy = match Policy::load_named(&file.display().to_string(), &text, Arc::new(methods)) {
            Ok(policy) => policy,
            Err(error) if matches!(self.work, Work::Check) => {
                return Ok((print::wrong(&error, self.format), Exit::Config));
            }
            Err(error) => return Err((Exit::Config, error.into())),
        };
        let printed = match self.work {
            Work::Check => print::checked(&policy, self.format),
            Work::Explain { asked, raw } => print::explained(&policy, &asked, raw, self.format),
            Work::Show { effective: true } => print::effective(&policy, self.format),
            Work::Show { effective: false } => text,
        };
        Ok((printed, Exit::Ok))
    }

    /// The configuration is asked only for what the command line does not name.
    fn files(&self, configured: impl FnOnce(&Path) -> Ended<Config>) -> Ended<(PathBuf, Option<PathBuf>)> {
        let Beside { profile, config } = &self.beside;
        let config = match (config, &self.file) {
            (Some(path), _) => Some(configured(path)?),
            (None, None) => Some(configured(Path::new(super::DEFAULT_CONFIG))?),
            (None, Some(_)) => None,
        };
        let profile = profile.clone().or_else(|| config.as_ref().map(|config| config.profile.clone()));
        let file = self.file.clone().or_else(|| config.and_then(|config| config.policy));
        let file = file.context("the configuration names no policy, so everything is denied");
        Ok((file.map_err(|error| (Exit::Config, error))?, profile))
    }
}

fn methods(profile: Option<&Path>) -> Ended<Methods> {
    let Some(path) = profile else { return Ok(Methods::default()) };
    let profile = engine::Profile::load(path).map_err(|error| (Exit::Config, error.into()))?;
    Ok(Methods::of(&profile))
}

const EXAMPLES: &str = "\
Examples:
  tunnel-client policy check policy.yaml --profile engine.yaml
  tunnel-client policy explain 'engine.admin.v1.Admin/*' --config client.yaml
  tunnel-client policy explain scale runTask.compact --policy policy.yaml
  tunnel-client policy show --effective --config client.yaml";

#[cfg(test)]
mod tests;
