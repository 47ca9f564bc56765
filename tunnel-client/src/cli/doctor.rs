//! `tunnel-client doctor`: what was found, printed, and written down for whoever helps.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use tunnel_protos::text::escape_json;
use tunnel_runtime::{config::Loaded, exit::Exit};

use super::{
    Ended,
    output::{Format, safe},
};
use crate::{clock, config::Config, doctor};

/// A look at everything.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Doctor {
    #[command(flatten)]
    config: super::ConfigFile,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    output: Format,
    /// Write what was found to this archive (tar) for whoever helps; no keys, no secrets, no audit records.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

impl Doctor {
    /// Looks; `configured` reads a configuration file.
    pub async fn run(
        self,
        configured: impl FnOnce(&Path) -> Ended<Loaded<Config>>,
        environment: &BTreeMap<String, String>,
    ) -> Ended<(String, Exit)> {
        let file = self.config.config;
        let read = configured(&file).map_err(|(_, error)| format!("{error:#}"));
        let report = doctor::look(&file, read, environment, clock::wall()).await;
        if let Some(path) = &self.bundle {
            let written =
                report.write(path, safe, json).with_context(|| format!("cannot write {}", path.display()));
            written.map_err(|error| (Exit::Failed, error))?;
        }
        let text = match self.output {
            Format::Text => report.findings.to_text(safe),
            Format::Json => json(&report.findings.to_json()),
        };
        Ok((text, report.exit()))
    }
}

fn json(value: &serde_json::Value) -> String {
    escape_json(&format!("{value:#}"))
}

const EXAMPLES: &str = "\
Examples:
  tunnel-client doctor --config client.yaml
  tunnel-client doctor --config client.yaml --output json --bundle doctor.tar";

#[cfg(test)]
mod tests;
