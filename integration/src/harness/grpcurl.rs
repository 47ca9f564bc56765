//! The real grpcurl, as an operator would run it, with a time limit.

use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
};

use anyhow::Result;
use tokio::process::Command;

use super::{PATIENCE, binaries::tool, command::output};

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
        tool("grpcurl").ok().map(Self)
    }

    /// A release of another gRPC generation, if it is installed.
    pub fn newest() -> Option<Self> {
        tool("grpcurl-1.9.4").ok().map(Self)
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Runs it with `arguments` and `input` as its standard input.
    pub async fn run(&self, arguments: &[&str], input: &str) -> Result<Ran> {
        let mut command = Command::new(&self.0);
        command.args(arguments);
        let output = output(command, input, PATIENCE).await?;
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
