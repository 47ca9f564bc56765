//! The broker over loopback, as replicas and operators meet it: real QUIC, real TLS, real files, port 0.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panic")]

mod administration;
mod admission;
mod attach;
mod doctor;
mod enroll;
mod lifecycle;
mod live;
mod mailbox;
mod operator;
mod operators;
mod replica;
mod rotation;
mod sessions;
mod vendor;

use std::{path::PathBuf, time::Duration};

use tempfile::TempDir;
use tunnel_broker::{Addresses, Broker, BuildError, Config, Running};

use self::vendor::Vendor;

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A broker in a folder of its own, with the vendor behind it.
struct World {
    running: Option<Running>,
    addresses: Addresses,
    vendor: Vendor,
    config: Config,
    _folder: TempDir,
}

impl World {
    /// A broker as configured by default, but for short probes.
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::serving(&[], change).await
    }

    /// A broker that issues mesh certificates itself, its own among them.
    async fn issuing(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_vendor(&[], |vendor, config| {
            vendor.issuing(config);
            change(config);
        })
        .await
    }

    /// A broker that serves the entries of these clusters from its start.
    async fn serving(clusters: &[(&str, char)], change: impl FnOnce(&mut Config)) -> Self {
        Self::with_vendor(clusters, |_, config| change(config)).await
    }

    async fn with_vendor(clusters: &[(&str, char)], change: impl FnOnce(&Vendor, &mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vendor = Vendor::create(folder.path());
        clusters.iter().for_each(|(cluster, c)| vendor.publish(cluster, vendor::label(*c)));
        let mut config = vendor.config();
        change(&vendor, &mut config);
        let running = Broker::build(config.clone()).await.unwrap().start();
        let addresses = running.addresses();
        Self { running: Some(running), addresses, vendor, config, _folder: folder }
    }

    /// Ends the broker at once and starts another with the same files on the same ports.
    async fn restart(&mut self) {
        drop(self.running.take());
        self.config.listen.quic = self.addresses.quic;
        self.config.listen.tcp = self.addresses.tcp;
        // The threads of the one before may take a moment to let go of the port.
        let built = async {
            loop {
                match Broker::build(self.config.clone()).await {
                    Err(BuildError::Quic(_)) => tokio::task::yield_now().await,
                    built => return built.unwrap(),
                }
            }
        };
        self.running = Some(in_time("restart", built).await.start());
    }

    fn state_dir(&self) -> PathBuf {
        self.config.state_dir.clone()
    }
}

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("not in time: {what}"),
    }
}
