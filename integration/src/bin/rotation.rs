//! `make test-rotation`: hundreds of real replicas enroll, and everything that can be rotated is, under calls.

use std::path::Path;

use anyhow::{Context, ensure};
use clap::Parser;
use tunnel_integration::rotation::{self, Options};

/// Rotates mesh CA, access CAs, operator CA and cluster keys under calls that may not fail.
#[derive(Parser)]
struct Arguments {
    /// Clusters, each with one replica.
    #[arg(long, default_value_t = 300)]
    replicas: usize,
    /// Clusters that are called all the while.
    #[arg(long, default_value_t = 20)]
    called: usize,
    /// Replicas that are away for a part of it.
    #[arg(long, default_value_t = 15)]
    offline: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { replicas, called, offline } = Arguments::parse();
    let folder = tempfile::Builder::new().prefix("postern-rotation-").tempdir()?;
    let options = Options { replicas, called, offline };
    let rotated = rotate(options, folder.path()).await;
    // Kept, so that the logs can be looked at.
    rotated.map_err(|error| error.context(format!("logs and files are in {}", folder.keep().display())))
}

async fn rotate(options: Options, folder: &Path) -> anyhow::Result<()> {
    let report =
        rotation::run(options, folder, |line| println!("{line}")).await.context("not all came back")?;
    println!("{report}");
    ensure!(report.failed == 0, "calls failed");
    Ok(())
}
