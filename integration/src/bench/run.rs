//! One link: every load on every path, alternating, round after round.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{
    figures::Load,
    load::{Measurement, Target},
    report::LinkResults,
};
use crate::harness::{binaries, command::output};

/// One way from the load generator to the engine.
pub struct Path {
    /// Its key in the summary.
    pub name: &'static str,
    /// Where the generator connects to, and as whom.
    pub target: Target,
    /// Words that put the generator into its place; empty for here.
    pub entry: Vec<String>,
    /// Only the loads that give these figures; every load without.
    pub only: Option<&'static [&'static str]>,
}

impl Path {
    fn takes(&self, load: &Load) -> bool {
        self.only.is_none_or(|keys| keys.iter().any(|key| load.gives(key)))
    }
}

/// Measures all paths under all loads; `told` hears what is being done.
pub async fn measure(
    paths: &[Path],
    loads: &[Load],
    rounds: usize,
    told: impl Fn(&str),
) -> Result<LinkResults> {
    let mut results = LinkResults::default();
    for round in 1..=rounds {
        for load in loads {
            told(&format!("round {round} of {rounds}: {}", load.title));
            for path in paths.iter().filter(|path| path.takes(load)) {
                let measurement = run(path, load).await;
                results.add(path.name, load, &measurement.with_context(|| failure(path, load))?);
            }
        }
    }
    Ok(results)
}

fn failure(path: &Path, load: &Load) -> String {
    format!("{} through {}", load.title, path.name)
}

/// A process of its own for each measurement, so that no path inherits another's warm memory.
async fn run(path: &Path, load: &Load) -> Result<Measurement> {
    let mut command = binaries::command("bench-load", &path.entry)?;
    command.args(path.target.arguments()).args(load.shape.arguments());
    let output = output(command, "", LIMIT).await?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the load generator failed: {}", complaint.trim());
    serde_json::from_slice(&output.stdout).context("the load generator's output")
}

/// Longer than the generator's own limit.
const LIMIT: Duration = Duration::from_secs(150);
