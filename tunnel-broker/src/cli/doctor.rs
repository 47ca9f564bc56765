//! `tunnel-broker doctor`: what was found, printed, and written down for whoever helps.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use tunnel_protos::text::{escape, escape_json};
use tunnel_runtime::{config::Loaded, exit::Exit};

use crate::{clock, config::Config, doctor};

/// A look at everything.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Doctor {
    /// Configuration file (YAML).
    #[arg(long, value_name = "FILE", env = "POSTERN_CONFIG", default_value = "/etc/postern/broker.yaml")]
    config: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    output: Format,
    /// Write what was found to this archive (tar) for whoever helps; no keys, no secrets.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// How to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document, for scripts.
    Json,
}

/// The archive was not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {0}")]
pub struct WriteError(PathBuf, #[source] io::Error);

impl Doctor {
    /// Looks; `configured` reads a configuration file.
    pub async fn run(
        self,
        configured: impl FnOnce(&Path) -> Result<Loaded<Config>, String>,
        environment: &BTreeMap<String, String>,
    ) -> Result<(String, Exit), WriteError> {
        let report = doctor::look(&self.config, configured(&self.config), environment, clock::now()).await;
        if let Some(path) = &self.bundle {
            report.write(path, safe, json).map_err(|error| WriteError(path.clone(), error))?;
        }
        let text = match self.output {
            Format::Text => report.findings.to_text(safe),
            Format::Json => json(&report.findings.to_json()),
        };
        Ok((text, report.exit()))
    }
}

fn safe(text: &str) -> String {
    escape(text, LONGEST)
}

fn json(value: &serde_json::Value) -> String {
    escape_json(&format!("{value:#}"))
}

/// An error with its whole chain.
const LONGEST: usize = 1_024;

const EXAMPLES: &str = "\
Examples:
  tunnel-broker doctor --config broker.yaml
  tunnel-broker doctor --config broker.yaml --output json --bundle doctor.tar";
