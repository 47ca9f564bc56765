//! `make demo`: the main job from end to end. `ENGINE=etcd` plays it with etcd, `OPS=1` plays operations instead, `HOLD=1`
//! leaves it running and prints lines to paste.

use std::{path::Path, process::ExitCode};

use anyhow::{Context, bail};
use tempfile::TempDir;
use tokio::time::Instant;
use tunnel_integration::{
    demo::{hold, narrator::Narrator, play, play::Play},
    harness::wait::until,
};
use tunnel_runtime::drain;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match start().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "main reads the environment")]
async fn start() -> anyhow::Result<()> {
    let is_set = |name| std::env::var(name).is_ok_and(|value| !value.is_empty() && value != "0");
    let (hold, operations) = (is_set("HOLD"), is_set("OPS"));
    let engine = std::env::var("ENGINE").unwrap_or_default();
    let play = Play::named(&engine, operations).with_context(|| {
        format!("ENGINE={engine}: `reference` or `etcd`, and with OPS=1 `reference` alone")
    })?;
    let folder = tempfile::Builder::new().prefix("postern-demo-").tempdir()?;
    let ended = tokio::select! {
        ended = run(folder.path(), play, hold) => ended.map(|()| Ended::Itself),
        signaled = drain::signaled() => signaled.map(|_| Ended::BySignal).context("wait for signals"),
    };
    match ended {
        Ok(ended) => {
            remove(folder).await?;
            if ended == Ended::BySignal && !hold { bail!("ended by a signal") } else { Ok(()) }
        }
        // Kept, so that the logs can be looked at.
        Err(error) => Err(error.context(format!("logs and files are in {}", folder.keep().display()))),
    }
}

/// How the demo ended, if it did not fail.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Itself,
    BySignal,
}

async fn run(folder: &Path, what: &'static Play, hold: bool) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut stage = play(folder, Narrator::standard(), what).await?;
    stage.told.end(start.elapsed());
    if hold {
        hold::lines(&mut stage).await?;
        std::future::pending::<()>().await;
    }
    Ok(())
}

/// Programs that were killed a moment ago may still be writing.
async fn remove(folder: TempDir) -> anyhow::Result<()> {
    let path = folder.keep();
    until("the demo's folder is gone", tunnel_integration::harness::PATIENCE, || async {
        match std::fs::remove_dir_all(&path) {
            Err(error) if path.exists() => Err(error),
            _ => Ok(()),
        }
    })
    .await
}
