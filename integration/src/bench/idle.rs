//! What an idle tunnel costs the broker: growth of its resident memory, over many tunnels.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use anyhow::Result;

use crate::harness::{
    binaries,
    broker::BrokerSettings,
    program::Program,
    vendor::{Files, Vendor},
};

/// KiB of the broker's memory per idle tunnel.
pub async fn measure(tunnels: usize) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let vendor = Vendor::create(&folder.path().join("vendor"))?;
    let ca = vendor.mesh_ca_files()?;
    let place = folder.path().join("broker");
    let settings = BrokerSettings::of(&vendor, "b1", &place, IpAddr::V4(Ipv4Addr::LOCALHOST))?;
    let (broker, listen) = settings.spawn(&place, &[]).await?;
    // The first tunnels fill pools and caches that the others share.
    let attach = |count| swarm(count, listen.quic.to_string(), &ca, folder.path());
    let warm = attach(WARM_UP).await?;
    let before = broker.resident_kib()?;
    let crowd = attach(tunnels).await?;
    let after = broker.resident_kib()?;
    drop((warm, crowd));
    Ok((after - before) as f64 / tunnels as f64)
}

async fn swarm(count: usize, broker: String, ca: &Files, folder: &std::path::Path) -> Result<Program> {
    let mut command = binaries::command("bench-swarm", &[])?;
    command.args(["--broker", &broker, "--count", &count.to_string()]);
    command.arg("--mesh-ca").arg(&ca.certificate).arg("--mesh-ca-key").arg(&ca.key);
    let mut program = Program::start("swarm", command, &folder.join(format!("swarm-{count}.log")))?;
    let attached = |output: &str| output.contains("attached").then_some(());
    program.says("that all are attached", LIMIT, attached).await?;
    Ok(program)
}

const WARM_UP: usize = 100;
/// A thousand handshakes take a second or two on one core.
const LIMIT: Duration = Duration::from_secs(120);
