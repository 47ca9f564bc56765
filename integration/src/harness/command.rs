//! Runs a command to its end, within a limit and with its output as text.

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use super::PATIENCE;

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

/// Runs a command with `input` as its standard input to its end, whatever that is; it is killed after `limit`.
pub async fn output(mut command: Command, input: &str, limit: Duration) -> Result<Output> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("start {:?}", command.as_std().get_program()))?;
    let stdin = child.stdin.take();
    let write = async move {
        if let Some(mut stdin) = stdin {
            // A program that ends without reading closes the pipe; how it ended tells more.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let both = async { tokio::join!(write, child.wait_with_output()).1 };
    let ended = timeout(limit, both).await;
    Ok(ended.with_context(|| format!("{:?} does not end within {limit:?}", command.as_std()))??)
}

/// The same without input, as text.
pub async fn ended(command: Command) -> Result<Ended> {
    Ok(output(command, "", PATIENCE).await?.into())
}

/// Runs a command that must succeed; gives what it printed.
pub async fn run(command: Command) -> Result<String> {
    let told = format!("{:?}", command.as_std());
    let Ended { code, stdout, stderr } = ended(command).await?;
    ensure!(code == Some(0), "{told}: {stdout}{stderr}");
    Ok(stdout)
}

impl From<Output> for Ended {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }
}
