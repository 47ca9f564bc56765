//! The customer's commands as a person types them: the real `tunnel-client` at the running client's socket.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    binaries,
    command::{Ended, ended},
};

/// Somebody at the customer's machine.
#[derive(Debug, Clone)]
pub struct Customer {
    socket: PathBuf,
    uid: Option<u32>,
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
        self.told(words, 0).await
    }

    /// The same with the exit code that it must end with.
    pub async fn told(&self, words: &[&str], code: i32) -> Result<Value> {
        let ended = self.run(&[words, &["--output", "json"]].concat()).await?;
        ensure!(ended.code == Some(code), "{words:?}: {ended:?}");
        serde_json::from_str(&ended.stdout).with_context(|| format!("{words:?}: {}", ended.stdout))
    }
}

/// Lets other users pass through a folder of a test, as through `/run`; temporary folders are closed to them.
pub fn let_others_pass(folder: &Path) -> Result<()> {
    Ok(std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711))?)
}
