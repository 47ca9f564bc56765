//! Everything that can be rotated is rotated, with real replicas that enrolled by themselves and under calls that may
//! not fail.
//!
//! The replicas run in this process, the broker and the job as the programs that they are.

mod fleet;
mod roll;

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};

use self::fleet::Fleet;
use crate::harness::calls::{Calls, Report};

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

/// Rotates all there is, telling each step; fails if anybody is not back.
pub async fn run(options: Options, folder: &Path, told: impl Fn(&str)) -> Result<Report> {
    ensure!(options.called + options.offline <= options.replicas, "fewer replicas than parts to play");
    let mut fleet = Fleet::start(folder).await?;
    fleet.enroll(options.replicas).await?;
    told(&format!("{} replicas enrolled", options.replicas));
    let calls = Calls::start(fleet.passes(options.called).await?)?;
    roll::mesh(&mut fleet, options.offline, &told).await?;
    told("mesh CA: every replica is back under the new root");
    roll::access_cas(&fleet).await?;
    told("access CAs: every one is replaced, the old ones go on for what they issued");
    roll::operator_ca(&mut fleet).await?;
    told("operator CA: identities of both are taken");
    roll::cluster_keys(&fleet).await?;
    told("cluster keys: every one is replaced and confirmed by both sides");
    calls.all_still_answered(STEP).await?;
    let report = calls.stop().await?;
    fleet.everybody_is_back().await?;
    fleet.stop().await?;
    Ok(report)
}

/// For one step of the whole fleet; hundreds of replicas share two cores.
const STEP: Duration = Duration::from_secs(180);
