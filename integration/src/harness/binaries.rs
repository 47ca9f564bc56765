//! Finds programs: our own, which cargo puts beside the one that runs, or above it if that is a test; and pinned tools.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

/// The path of the program `name`, built in the same profile as the caller.
pub fn path(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("own path")?;
    let candidates = own.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    match candidates.into_iter().find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!("{name} is not built beside {}: run `cargo build --workspace --bins`", own.display()),
    }
}

/// A command that starts the program `name`, entered through `entry` (for example a network namespace) if not empty.
pub fn command(name: &str, entry: &[String]) -> Result<Command> {
    let path = path(name)?;
    let mut words = entry.iter();
    let Some(first) = words.next() else { return Ok(Command::new(path)) };
    let mut command = Command::new(first);
    command.args(words).arg(path);
    Ok(command)
}

/// The path of a tool that `make tools` builds.
pub fn tool(name: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin").join(name);
    ensure!(path.is_file(), "{name} is not installed: run `make tools`");
    Ok(path)
}
