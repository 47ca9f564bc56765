//! `make bench`: the product beside a direct connection, on loopback and on a wire; table and `summary.json`.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::{Map, Value, json};
use tunnel_integration::{
    bench::{
        figures::Amount,
        idle, run,
        site::{Link, Site},
    },
    netns::Line,
};

/// Measures the product beside a direct connection.
#[derive(Parser)]
struct Arguments {
    /// See that the bench works, in seconds; the figures mean little.
    #[arg(long)]
    smoke: bool,
    /// Rounds, alternating between the paths.
    #[arg(long)]
    rounds: Option<usize>,
    /// Leave out the namespaces, which need root.
    #[arg(long)]
    no_wire: bool,
    /// Folder of `summary.json`.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut shapes = Map::new();
    shapes.insert("loopback".to_owned(), arguments.link("loopback", Link::Loopback).await?);
    if arguments.wire() {
        let line = Line::create().context("make the wire (or leave it out: --no-wire)")?;
        shapes.insert("wire".to_owned(), arguments.link("wire", Link::Wire(&line)).await?);
    }
    let tunnels = if arguments.smoke { 200 } else { 2000 };
    let idle = idle::measure(tunnels).await?;
    println!("idle tunnel: {idle:.1} KiB of the broker's memory, over {tunnels}");
    arguments.write(&json!({ "shape": shapes, "idle_kib": (idle * 10.0).round() / 10.0 }))
}

impl Arguments {
    async fn link(&self, name: &str, link: Link<'_>) -> Result<Value> {
        let site = Site::start(link).await.with_context(|| format!("start the programs on {name}"))?;
        let amount = if self.smoke { Amount::Smoke } else { Amount::Full };
        let rounds = self.rounds.unwrap_or(if self.smoke { 1 } else { 3 });
        let limit = Duration::from_secs(1800);
        let measure = run::measure(site.paths(), amount, rounds, |what| eprintln!("{name}: {what}"));
        let results = tokio::time::timeout(limit, measure).await.context("the bench hangs")??;
        println!("{}", results.table(name));
        Ok(results.to_json())
    }

    /// The smoke run needs no root.
    fn wire(&self) -> bool {
        !self.no_wire && !self.smoke
    }

    fn write(&self, summary: &Value) -> Result<()> {
        fs::create_dir_all(&self.out)?;
        let path = self.out.join("summary.json");
        fs::write(&path, serde_json::to_string_pretty(summary)? + "\n")?;
        println!("written to {}", path.display());
        Ok(())
    }
}
