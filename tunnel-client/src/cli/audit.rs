//! `tunnel-client audit`: the audit log checked, shown and exported, offline, also from a copy.

mod export;
mod line;
mod print;

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufReader, Write},
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

use self::export::export;
use super::{ConfigFile, Ended, output::Format};
use crate::{
    audit::{
        mark,
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
    /// Show records, a line each: number, time, grant or request, who, what; `--output json` has all their fields.
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
        /// Only what is not marked yet; a copy without gaps, to be marked next.
        #[arg(long, conflicts_with_all = ["grant", "request", "operator", "since"])]
        new: bool,
        /// In which form.
        #[arg(long, value_enum, default_value_t)]
        format: Form,
    },
    /// Say that a copy is kept elsewhere: only what is marked may be removed by its age (`audit.retention`).
    ///
    /// The copy is read and compared with the log, damaged lines as well: it is an export without a filter, which
    /// begins at most right behind what is marked already. Run it as the user that the client runs as.
    Mark {
        /// The copy, as `audit export` printed it; `-` reads it from the standard input.
        #[arg(value_name = "FILE")]
        copy: PathBuf,
        #[command(flatten)]
        config: ConfigFile,
        /// How to print.
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Sign a receipt of what was done under a grant, and print it as a page.
    Report {
        #[command(flatten)]
        place: Place,
        /// The grant's id, or its first characters.
        #[arg(long, value_name = "ID")]
        grant: String,
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
    /// Takes it; `configured` reads a configuration file. What is found goes to `out` as it is found: a log may be
    /// larger than the memory. A reader that has enough ends it well.
    pub fn run(self, configured: impl FnOnce(&Path) -> Ended<Config>, out: &mut impl Write) -> Ended<Exit> {
        let done = match self.0 {
            Command::Verify { place, output } => verify(&place.folder(configured)?, output, out),
            Command::Show { place, wanted, output } => {
                show(&place.folder(configured)?, wanted.filter(), output, out)
            }
            Command::Export { place, wanted, new, format: Form::Json } => {
                export(&place.folder(configured)?, wanted.filter(), new, out, &mut io::stderr())
            }
            Command::Mark { copy, config, output } => {
                let folder = log_of(&configured(&config.config)?);
                let marked = mark(&folder, &copy, &mut io::stdin().lock());
                let said = marked.map(|last| print::marked(last, output));
                said.and_then(|text| Ok(out.write_all(text.as_bytes())?)).map(|()| Exit::Ok)
            }
            Command::Report { place, grant, out: file, output } => {
                let config = configured(&place.config.config)?;
                let folder = place.dir.unwrap_or_else(|| log_of(&config));
                let said = named(&folder, &grant).and_then(|grant| {
                    let file = file.unwrap_or_else(|| format!("receipt-{grant}.pb").into());
                    report(&folder, &config, grant, &file, output)
                });
                said.and_then(|text| Ok(out.write_all(text.as_bytes())?)).map(|()| Exit::Ok)
            }
        };
        done.and_then(|exit| Ok(out.flush().map(|()| exit)?)).or_else(ended)
    }
}

fn ended(error: anyhow::Error) -> Ended<Exit> {
    let left =
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
    if left { Ok(Exit::Ok) } else { Err((Exit::Failed, error)) }
}

impl Place {
    fn folder(self, configured: impl FnOnce(&Path) -> Ended<Config>) -> Ended<PathBuf> {
        match self.dir {
            Some(folder) => Ok(folder),
            None => {
                let missing = !self.config.config.exists();
                let configured = configured(&self.config.config).map(|config| log_of(&config));
                configured
                    .map_err(|(exit, error)| (exit, if missing { error.context(ELSEWHERE) } else { error }))
            }
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

fn verify(folder: &Path, format: Format, out: &mut impl Write) -> anyhow::Result<Exit> {
    let (text, exit) = match verify::verify(folder) {
        Ok(whole) => (print::whole(&whole, format), Exit::Ok),
        Err(VerifyError::Broken(broken)) => (print::broken(&broken, format), Exit::Failed),
        Err(error @ VerifyError::Empty(_)) => return Err(anyhow::Error::new(error).context(ELSEWHERE)),
        Err(error) => return Err(error.into()),
    };
    out.write_all(text.as_bytes())?;
    Ok(exit)
}

fn show(folder: &Path, filter: Filter, format: Format, out: &mut impl Write) -> anyhow::Result<Exit> {
    let mut records = select::select(folder, filter)?;
    let mut printed = print::Records::new(format, out);
    records.try_for_each(|record| anyhow::Ok(printed.add(&record?.0)?))?;
    printed.end()?;
    Ok(Exit::Ok)
}

/// Says the last record that is marked now.
fn mark(folder: &Path, copy: &Path, stdin: &mut impl io::BufRead) -> anyhow::Result<u64> {
    if copy == Path::new("-") {
        return Ok(mark::mark(folder, stdin)?.seq);
    }
    let real = copy.canonicalize().with_context(|| format!("cannot read {}", copy.display()))?;
    let inside = folder.canonicalize().is_ok_and(|folder| real.starts_with(folder));
    anyhow::ensure!(!inside, "{} lies in the log itself: no copy is kept elsewhere", copy.display());
    let file = File::open(&real).with_context(|| format!("cannot read {}", copy.display()))?;
    Ok(mark::mark(folder, BufReader::new(file))?.seq)
}

/// The grant that a command line means: by its whole id, or the only one in the log whose id begins so.
fn named(folder: &Path, start: &str) -> anyhow::Result<GrantId> {
    if let Ok(whole) = start.parse() {
        return Ok(whole);
    }
    anyhow::ensure!(start.len() >= 4, "give at least 4 characters of the grant's id");
    let mut found = BTreeSet::new();
    for record in select::select(folder, Filter { id: Some(start.to_owned()), ..Filter::default() })? {
        let (line, _) = record?;
        let is_grant = ["access", "operation"].contains(&line.text("subject"));
        let ids = [line.text("grant"), if is_grant { line.text("request") } else { "" }];
        found.extend(ids.into_iter().filter(|id| id.starts_with(start)).map(str::to_owned));
    }
    match Vec::from_iter(found).as_slice() {
        [one] => one.parse().context("the log names a grant that is none"),
        [] => anyhow::bail!("no grant in this log has an id that begins with {start}"),
        several => {
            anyhow::bail!("{} grants have ids that begin with {start}: give more characters", several.len())
        }
    }
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

const ELSEWHERE: &str = "nothing to look at; the log lies in `stateDir` of the configuration: name it by --config FILE, or a copy by --dir FOLDER";

#[cfg(test)]
mod tests;
