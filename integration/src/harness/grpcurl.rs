//! The real grpcurl, as an operator would run it, with a time limit.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use anyhow::{Context, Result};
use tokio::{io::AsyncWriteExt, process::Command};

use super::PATIENCE;

/// The binary under `.tools/bin`.
#[derive(Debug, Clone)]
pub struct Grpcurl(PathBuf);

/// How a run of it ended.
#[derive(Debug)]
pub struct Ran {
    /// 0, or 64 + the gRPC status code.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Grpcurl {
    /// The one that `make tools` installed, if it did.
    pub fn find() -> Option<Self> {
        Self::installed("grpcurl")
    }

    /// A release of another gRPC generation, if it is installed.
    pub fn newest() -> Option<Self> {
        Self::installed("grpcurl-1.9.4")
    }

    fn installed(name: &str) -> Option<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin").join(name);
        path.is_file().then_some(Self(path))
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Runs it with `arguments` and `input` as its standard input.
    pub async fn run(&self, arguments: &[&str], input: &str) -> Result<Ran> {
        let mut child = Command::new(&self.0)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start grpcurl")?;
        // A program that ends without reading closes the pipe; how it ended tells more.
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output =
            tokio::time::timeout(PATIENCE, child.wait_with_output()).await.context("grpcurl hangs")??;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Ok(Ran { status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }
}

impl Ran {
    /// The gRPC status code it ended with: 0 is success; failures of its own are `None`.
    pub fn code(&self) -> Option<i32> {
        match self.status.code()? {
            0 => Some(0),
            code => (code > 64).then(|| code - 64),
        }
    }
}
