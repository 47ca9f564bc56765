//! `make torture`: kills broker and client (-9) at random moments under load and checks what was acknowledged.

use anyhow::Context;
use clap::Parser;
use tunnel_integration::torture::{self, Jobs, Options};

/// Kills broker and client at random moments under load; fails on the first broken promise.
#[derive(Parser)]
struct Arguments {
    /// Power cuts.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// Of the dice; by the clock without it.
    #[arg(long)]
    seed: Option<u64>,
    /// Leave people out: only requests that the policy decides alone.
    #[arg(long)]
    automatic: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { rounds, seed, automatic } = Arguments::parse();
    let jobs = if automatic { Jobs::Automatic } else { Jobs::All };
    let seed = seed.unwrap_or_else(torture::seed);
    let folder = tempfile::Builder::new().prefix("postern-torture-").tempdir()?;
    println!("seed {seed}, {rounds} rounds");
    match torture::run(Options { rounds, seed, jobs }, folder.path(), |line| println!("{line}")).await {
        Ok(report) => {
            println!("{report}");
            Ok(())
        }
        Err(error) => {
            let kept = folder.keep();
            Err(error).with_context(|| format!("seed {seed}; logs and stores are in {}", kept.display()))
        }
    }
}
