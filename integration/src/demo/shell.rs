//! Runs the commands of the demo in its folder, as a person would type them.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::process::{Child, Command};

use super::narrator::Narrator;
use crate::harness::{binaries, command::output};

/// The folder that all commands run in.
pub struct Shell {
    folder: PathBuf,
    person: &'static str,
}

/// How a command ended.
pub struct Ran {
    /// Its status.
    pub status: ExitStatus,
    /// Standard error, then standard output.
    pub text: String,
    /// Standard output alone: the result, without notes.
    pub result: String,
}

impl Shell {
    /// A shell in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), person: "operator" }
    }

    /// The same folder with another person at the keyboard, whose contexts and sessions are their own.
    pub fn of(&self, person: &'static str) -> Self {
        Self { folder: self.folder.clone(), person }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Types and runs a command that must succeed, showing command and output; gives the output.
    pub async fn run(&self, told: &mut Narrator, line: &str) -> Result<String> {
        told.command(line);
        let ran = self.quietly(line).await?;
        told.output(&ran.text);
        ensure!(ran.status.success(), "`{line}` failed with {}\n{}", ran.status, ran.text);
        Ok(ran.text)
    }

    /// Types and runs a command that must succeed and whose output says little.
    pub async fn told(&self, told: &mut Narrator, line: &str) -> Result<()> {
        told.command(line);
        let ran = self.quietly(line).await?;
        ensure!(ran.status.success(), "`{line}` failed with {}\n{}", ran.status, ran.text);
        Ok(())
    }

    /// The same, showing and giving the result without the notes beside it.
    pub async fn result(&self, told: &mut Narrator, line: &str) -> Result<String> {
        told.command(line);
        let ran = self.quietly(line).await?;
        told.output(&ran.result);
        ensure!(ran.status.success(), "`{line}` failed with {}\n{}", ran.status, ran.text);
        Ok(ran.result)
    }

    /// Types and runs a command that must fail; gives its output.
    pub async fn refused(&self, told: &mut Narrator, line: &str) -> Result<String> {
        told.command(line);
        let ran = self.quietly(line).await?;
        told.output(&ran.text);
        ensure!(!ran.status.success(), "`{line}` succeeded and must not");
        Ok(ran.text)
    }

    /// Runs a command without showing it.
    pub async fn quietly(&self, line: &str) -> Result<Ran> {
        let output = output(self.command(line)?, "", LIMIT).await?;
        // Progress goes to standard error, before the result.
        let result = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = String::from_utf8_lossy(&output.stderr).into_owned() + &result;
        Ok(Ran { status: output.status, text, result })
    }

    /// Starts a command whose output comes through pipes.
    pub fn start(&self, told: &mut Narrator, line: &str) -> Result<Child> {
        told.command(&format!("{line} &"));
        self.command(line)?.spawn().with_context(|| format!("start `{line}`"))
    }

    /// The command that a line means: our own programs by path, quotes honored.
    pub fn command(&self, line: &str) -> Result<Command> {
        let mut words = split(line)?.into_iter();
        let program = words.next().context("an empty line")?;
        let mut command = match program.as_str() {
            "grpcurl" => Command::new(binaries::tool(&program)?),
            _ => binaries::command(&program, &[])?,
        };
        command.args(words).current_dir(&self.folder).kill_on_drop(true);
        // A home of their own: the demo leaves nothing in that of whoever runs it.
        for name in ["HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"] {
            command.env(name, self.folder.join(self.person));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }
}

/// Splits at spaces, keeping what stands between single quotes together.
fn split(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    ensure!(line.matches('\'').count().is_multiple_of(2), "an open quote in `{line}`");
    Ok(words)
}

const LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(split("a -d '{\"b\": 1}' c").unwrap(), ["a", "-d", "{\"b\": 1}", "c"]);
        assert!(split("a 'b").is_err());
    }
}
