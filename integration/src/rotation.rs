//! Everything that can be rotated is rotated, with real replicas that enrolled by themselves and under calls that may
//! not fail.
//!
//! The replicas run in this process, the broker and the job as the programs that they are.

mod calls;
mod fleet;
mod roll;

use std::{fmt, path::Path, time::Duration};

use anyhow::{Result, ensure};

use self::{calls::Calls, fleet::Fleet};

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Clusters, each with one replica.
    pub replicas: usize,
    /// Clusters that are called all the while.
    pub called: usize,
    /// Replicas that are offline for a part of the mesh rotation.
    pub offline: usize,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Calls that were made.
    pub calls: u64,
    /// Calls that did not succeed.
    pub failed: u64,
}

/// Rotates all there is, telling each step; fails if anybody is not back.
pub async fn run(options: Options, folder: &Path, told: impl Fn(&str)) -> Result<Report> {
    ensure!(options.called + options.offline <= options.replicas, "fewer replicas than parts to play");
    let mut fleet = Fleet::start(folder).await?;
    fleet.enroll(options.replicas).await?;
    told(&format!("{} replicas enrolled", options.replicas));
    let calls = Calls::start(&fleet, options.called).await?;
    roll::mesh(&mut fleet, options.offline, &told).await?;
    told("mesh CA: every replica is back under the new root");
    roll::access_cas(&fleet, options.called).await?;
    told("access CAs: replaced, the old ones go on for what they issued");
    roll::operator_ca(&mut fleet).await?;
    told("operator CA: identities of both are taken");
    roll::cluster_keys(&fleet, options.called).await?;
    told("cluster keys: replaced and confirmed by both sides");
    calls.all_still_answered().await?;
    let report = calls.stop().await?;
    fleet.everybody_is_back().await?;
    fleet.stop().await?;
    Ok(report)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "calls: {}\nfailed calls: {}", self.calls, self.failed)
    }
}

/// For one step of the whole fleet; hundreds of replicas share two cores.
const STEP: Duration = Duration::from_secs(180);
