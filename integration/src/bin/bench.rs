//! `make bench`: the product beside a direct connection, on loopback and on a wire; table and `summary.json`.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::{Map, Value, json};
use tunnel_integration::{
    bench::{
        authorization::{self, Costs},
        figures::{self, Amount, Load},
        idle, readme, run,
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
    /// Only what gives one of these keys of `summary.json`, for example `pull_mbps,idle_kib`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How many idle tunnels.
    #[arg(long)]
    tunnels: Option<usize>,
    /// Leave out the namespaces, which need root.
    #[arg(long)]
    no_wire: bool,
    /// Writes the figures of a whole run into this file, between its marks.
    #[arg(long)]
    readme: Option<PathBuf>,
    /// Folder of `summary.json`.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut summary = json!({ "shape": arguments.links().await? });
    if arguments.wants(IDLE) {
        summary[IDLE] = arguments.idle().await?;
    }
    if arguments.wants(AUTHORIZATION) {
        summary[AUTHORIZATION] = authorization()?;
    }
    arguments.write(&summary)
}

fn authorization() -> Result<Value> {
    let Costs { call_us, decide_p99_us } = authorization::measure()?;
    println!("deciding on a call: {call_us:.2} µs; on a request under 200 rules: p99 {decide_p99_us:.0} µs");
    let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
    Ok(json!({ "call_us": rounded(call_us), "decide_200_rules_p99_us": rounded(decide_p99_us) }))
}

impl Arguments {
    fn wants(&self, key: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == key)
    }

    async fn links(&self) -> Result<Map<String, Value>> {
        let mut links = Map::new();
        if !self.loads()?.is_empty() {
            links.insert("loopback".to_owned(), self.link("loopback", Link::Loopback).await?);
            if self.wire() {
                let line = Line::create().context("make the wire (or leave it out: --no-wire)")?;
                links.insert("wire".to_owned(), self.link("wire", Link::Wire(&line)).await?);
            }
        }
        Ok(links)
    }

    fn loads(&self) -> Result<Vec<Load>> {
        let amount = if self.smoke { Amount::Smoke } else { Amount::Full };
        let others = [IDLE, AUTHORIZATION];
        let keys: Vec<_> = self.only.iter().filter(|key| !others.contains(&key.as_str())).collect();
        if keys.is_empty() && !self.only.is_empty() {
            Ok(Vec::new())
        } else {
            figures::selected(amount, &keys)
        }
    }

    async fn idle(&self) -> Result<Value> {
        let tunnels = self.tunnels.unwrap_or(if self.smoke { 200 } else { 2000 });
        let idle = idle::measure(tunnels).await?;
        println!("idle tunnel: {idle:.1} KiB of the broker's memory, over {tunnels}");
        Ok(json!((idle * 10.0).round() / 10.0))
    }

    async fn link(&self, name: &str, link: Link<'_>) -> Result<Value> {
        let site = Site::start(link).await.with_context(|| format!("start the programs on {name}"))?;
        let loads = self.loads()?;
        let rounds = self.rounds.unwrap_or(if self.smoke { 1 } else { 3 });
        let limit = Duration::from_secs(1800);
        let measure = run::measure(site.paths(), &loads, rounds, |what| eprintln!("{name}: {what}"));
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
        if let Some(file) = &self.readme {
            fs::write(file, readme::renew(&fs::read_to_string(file)?, summary)?)?;
        }
        Ok(())
    }
}

/// Key of the memory that an idle tunnel takes.
const IDLE: &str = "idle_kib";

/// Key of what decisions cost.
const AUTHORIZATION: &str = "authorization";
