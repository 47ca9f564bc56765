//! The customer's commands as a person types them: the real `tunnel-client` at the running client's socket.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use super::{PATIENCE, binaries};

/// Somebody at the customer's machine.
#[derive(Debug, Clone)]
pub struct Customer {
    socket: PathBuf,
    uid: Option<u32>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Customer {
    /// As the user that the tests run as.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), uid: None }
    }

    /// As another user in the socket's group; none where the tests may not change users.
    pub fn with_uid(&self, uid: u32) -> Option<Self> {
        rustix::process::geteuid().is_root().then(|| Self { uid: Some(uid), ..self.clone() })
    }

    /// Types `tunnel-client WORDS`.
    pub async fn run(&self, words: &[&str]) -> Result<Ended> {
        let mut command = binaries::command("tunnel-client", &[])?;
        command.args(words).env("POSTERN_SOCKET", &self.socket);
        if let Some(uid) = self.uid {
            command.uid(uid).gid(rustix::process::getegid().as_raw());
        }
        ended(command).await
    }

    /// The same with `--output json`, which must succeed.
    pub async fn ask(&self, words: &[&str]) -> Result<Value> {
        let ended = self.run(&[words, &["--output", "json"]].concat()).await?;
        ensure!(ended.code == Some(0), "{words:?}: {ended:?}");
        serde_json::from_str(&ended.stdout).with_context(|| format!("{words:?}: {}", ended.stdout))
    }
}

/// Runs a command to its end, whatever that is.
pub async fn ended(mut command: Command) -> Result<Ended> {
    command.kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.context("the command hangs")??;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
}

/// Lets other users pass through a folder of a test, as through `/run`; temporary folders are closed to them.
pub fn let_others_pass(folder: &Path) -> Result<()> {
    Ok(std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711))?)
}
