//! `tunnel-client audit`: the audit log checked, shown and exported, offline, also from a copy.

mod print;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use prost::Message;
use tunnel_certs::{
    file,
    key::{Algorithm, SigningKey},
    statement::receipt,
};
use tunnel_protos::{GrantId, OperatorName, UnixMillis};
use tunnel_runtime::exit::Exit;

use super::{ConfigFile, Ended, output::Format};
use crate::{
    audit::{
        select::{self, Filter},
        statement::{self, Statement},
        verify::{self, VerifyError},
    },
    clock,
    config::{AuditConfig, Cluster, Config},
    enrollment::Home,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check that the log is whole; names the first broken record and what is wrong, and ends with 1.
    Verify {
        #[command(flatten)]
        place: Place,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Show records, a line each.
    Show {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        wanted: Wanted,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Print records exactly as they lie there, for other systems.
    Export {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        wanted: Wanted,
        /// In which form.
        #[arg(long, value_enum, default_value_t)]
        format: Form,
    },
    /// Sign a receipt of what was done under a grant, and print it as a page.
    Report {
        #[command(flatten)]
        place: Place,
        /// The grant's id.
        #[arg(long, value_name = "ID")]
        grant: GrantId,
        /// Where to write the receipt; `receipt-ID.pb` in this folder if not given.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
}

/// Forms of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// One JSON object a line, byte for byte as it was recorded.
    #[default]
    Json,
}

/// Where the log lies.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// A copy of the log, instead of the one of the configuration's state folder.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

/// Which records.
#[derive(Debug, Args)]
pub(super) struct Wanted {
    /// Only of this grant: its id, or its first characters.
    #[arg(long, value_name = "ID")]
    grant: Option<String>,
    /// Only of this request: its id, or its first characters.
    #[arg(long, value_name = "ID", conflicts_with = "grant")]
    request: Option<String>,
    /// Only of this operator.
    #[arg(long, value_name = "NAME")]
    operator: Option<OperatorName>,
    /// Only from this time on: `2h` (ago), or `2026-01-31T12:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
}

#[derive(Debug, Clone, Copy)]
enum Since {
    Ago(Duration),
    At(UnixMillis),
}

/// A look at the log, to be taken by [`Audit::run`].
#[derive(Debug)]
pub struct Audit(Command);

impl Command {
    pub(super) fn into_task(self) -> Audit {
        Audit(self)
    }
}

impl Audit {
    /// Takes it; `configured` reads a configuration file. What was found is for standard output.
    pub fn run(self, configured: impl FnOnce(&Path) -> Ended<Config>) -> Ended<(String, Exit)> {
        let failed = |error: anyhow::Error| (Exit::Failed, error);
        match self.0 {
            Command::Verify { place, output } => verify(&place.folder(configured)?, output).map_err(failed),
            Command::Show { place, wanted, output } => {
                show(&place.folder(configured)?, wanted.filter(), output).map(ended_well).map_err(failed)
            }
            Command::Export { place, wanted, format: Form::Json } => {
                export(&place.folder(configured)?, wanted.filter()).map(ended_well).map_err(failed)
            }
            Command::Report { place, grant, out, output } => {
                let config = configured(&place.config.config)?;
                let folder = place.dir.unwrap_or_else(|| log_of(&config));
                let out = out.unwrap_or_else(|| format!("receipt-{grant}.pb").into());
                report(&folder, &config, grant, &out, output).map(ended_well).map_err(failed)
            }
        }
    }
}

impl Place {
    fn folder(self, configured: impl FnOnce(&Path) -> Ended<Config>) -> Ended<PathBuf> {
        match self.dir {
            Some(folder) => Ok(folder),
            None => configured(&self.config.config).map(|config| log_of(&config)),
        }
    }
}

impl Wanted {
    fn filter(self) -> Filter {
        let now = clock::wall();
        let since = self.since.map(|since| match since {
            Since::Ago(ago) => now.minus(ago),
            Since::At(time) => time,
        });
        Filter {
            id: self.grant.or(self.request),
            operator: self.operator.map(|name| name.to_string()),
            since,
        }
    }
}

fn log_of(config: &Config) -> PathBuf {
    AuditConfig::folder(&config.state_dir)
}

fn ended_well(text: String) -> (String, Exit) {
    (text, Exit::Ok)
}

fn verify(folder: &Path, format: Format) -> anyhow::Result<(String, Exit)> {
    match verify::verify(folder) {
        Ok(whole) => Ok((print::whole(&whole, format), Exit::Ok)),
        Err(VerifyError::Broken(broken)) => Ok((print::broken(&broken, format), Exit::Failed)),
        Err(error) => Err(error.into()),
    }
}

fn show(folder: &Path, filter: Filter, format: Format) -> anyhow::Result<String> {
    let records = select::select(folder, filter)?.map(|record| record.map(|(line, _)| line));
    let records = records.collect::<Result<Vec<_>, _>>()?;
    Ok(print::records(&records, format))
}

fn export(folder: &Path, filter: Filter) -> anyhow::Result<String> {
    let mut text = String::new();
    for record in select::select(folder, filter)? {
        let (_, bytes) = record?;
        text.push_str(std::str::from_utf8(&bytes)?);
        text.push('\n');
    }
    Ok(text)
}

/// Only a whole log is vouched for.
fn report(
    folder: &Path,
    config: &Config,
    grant: GrantId,
    out: &Path,
    format: Format,
) -> anyhow::Result<String> {
    verify::verify(folder).context("no receipt from a log that is not whole")?;
    let now = clock::wall();
    let Cluster { name, label } = Home::read(config)?.cluster;
    let statement: Statement = statement::gather(folder, grant, &name, label, now)?;
    let key = config.state_dir.join("cluster.key");
    let key = SigningKey::load(&key).context("the cluster key")?;
    anyhow::ensure!(key_is_ed25519(&key), "the cluster key is of another kind");
    let envelope = receipt::make(&statement.receipt, &key)?;
    file::write_private(out, &envelope.encode_to_vec())?;
    Ok(match format {
        Format::Json => print::receipt(&statement, out),
        Format::Text => print::page(&statement, out),
    })
}

fn key_is_ed25519(key: &SigningKey) -> bool {
    use tunnel_certs::key::Signer;
    key.public().algorithm() == Algorithm::Ed25519
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(Since::Ago(ago));
    }
    let time = humantime::parse_rfc3339_weak(text).map_err(|_| "neither `2h` nor `2026-01-31T12:00:00Z`")?;
    Ok(Since::At(UnixMillis::from_system(time)))
}

#[cfg(test)]
mod tests;
