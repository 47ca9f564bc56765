//! One of our programs as a child process: started with a command line, its output in a file, ended by its id.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::wait::until;

/// A running child process; killed when dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `command` with standard output and error going to `log`, replacing what an earlier run left there.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("create {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// All it has written so far.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until `find` finds what it looks for in the output; fails at once if the program ends before.
    pub async fn says<T>(
        &mut self,
        what: &str,
        limit: Duration,
        find: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        let (name, log, child) = (&self.name, &self.log, &mut self.child);
        let attempt = || {
            let found = fs::read_to_string(log).ok().and_then(|output| find(&output));
            let ended = child.try_wait().ok().flatten();
            async move {
                match (found, ended) {
                    (Some(found), _) => Ok(Ok(found)),
                    (None, Some(status)) => Ok(Err(status)),
                    (None, None) => Err("not said yet"),
                }
            }
        };
        let said = until(&format!("{name} says {what}"), limit, attempt).await;
        match said {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(status)) => bail!("{name} ended with {status}:\n{}", tail(&self.output())),
            Err(error) => bail!("{error}\n{}", tail(&self.output())),
        }
    }

    /// Kills it as a power cut would (SIGKILL), and waits until it is gone.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.with_context(|| format!("kill {}", self.name))
    }

    /// Asks it to end (SIGTERM) and waits.
    pub async fn stop(&mut self, limit: Duration) -> Result<ExitStatus> {
        kill_process(self.pid()?, Signal::TERM)?;
        let ended = tokio::time::timeout(limit, self.child.wait()).await;
        Ok(ended.with_context(|| format!("{} did not end within {limit:?}", self.name))??)
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let ended = tokio::time::timeout(limit, self.child.wait()).await;
        Ok(ended.with_context(|| format!("{} did not end: {}", self.name, tail(&self.output())))??)
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        self.memory_kib("VmRSS:")
    }

    /// The most resident memory it ever had, in KiB.
    pub fn peak_kib(&self) -> Result<u64> {
        self.memory_kib("VmHWM:")
    }

    fn memory_kib(&self, row: &'static str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?.as_raw_nonzero()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(row)).context(row)?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    fn pid(&self) -> Result<Pid> {
        let id = self.child.id().with_context(|| format!("{} has ended", self.name))?;
        Pid::from_raw(i32::try_from(id)?).context("process id")
    }
}

/// The last lines, for an error message.
pub fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

const TAIL_LINES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (tempfile::TempDir, Program) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let program = Program::start("sh", command, &folder.path().join("log")).unwrap();
        (folder, program)
    }

    fn first_line(output: &str) -> Option<String> {
        output.split_once('\n').map(|(line, _)| line.to_owned())
    }

    #[tokio::test]
    async fn waits_for_what_a_program_says() {
        let (_folder, mut program) = shell("echo bound 4711; exec cat");
        let said = program.says("its port", Duration::from_secs(5), first_line).await;
        assert_eq!(said.unwrap(), "bound 4711");
    }

    #[tokio::test]
    async fn a_program_that_ends_early_is_told_with_its_output() {
        let (_folder, mut program) = shell("echo broken >&2; exit 78");
        let error = program.says("ready", Duration::from_secs(5), |_| None::<()>).await.unwrap_err();
        assert!(error.to_string().contains("78") && error.to_string().contains("broken"), "{error}");
    }

    #[tokio::test]
    async fn a_killed_program_is_gone() {
        let (_folder, mut program) = shell("exec cat; sleep 60");
        program.kill().await.unwrap();
        assert!(program.resident_kib().is_err());
    }
}
