//! The real etcd as a child process: one member on free loopback ports, in a folder of its own.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::{harness::program::Program, reference_engine::TlsFiles};

/// A running etcd; killed when dropped.
#[derive(Debug)]
pub struct Etcd {
    program: Program,
    address: SocketAddr,
    is_tls: bool,
}

/// How to start one.
#[derive(Debug)]
pub struct Options {
    /// Holds data and log; an etcd started there anew has the data of the former.
    pub folder: PathBuf,
    /// Where clients connect; port 0 takes a free one.
    pub address: SocketAddr,
    /// With TLS, and mutual if there is a client CA.
    pub tls: Option<TlsFiles>,
}

impl Options {
    /// Plain HTTP/2 on a free loopback port.
    pub fn loopback(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), address: SocketAddr::from(([127, 0, 0, 1], 0)), tls: None }
    }
}

impl Etcd {
    /// Starts etcd and returns once it answers clients.
    pub async fn start(options: &Options) -> Result<Self> {
        let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/etcd");
        anyhow::ensure!(binary.is_file(), "etcd is not installed: run `make tools`");
        let mut command = Command::new(binary);
        command.arg("--data-dir").arg(options.folder.join("data"));
        command.args(flags(options));
        let mut program = Program::start("etcd", command, &options.folder.join("etcd.log"))?;
        let address = program.says("that it serves clients", STARTUP, serving_address).await?;
        Ok(Self { program, address, is_tls: options.tls.is_some() })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a profile's endpoint.
    pub fn endpoint(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Kills it as a power cut would, and waits until it is gone.
    pub async fn kill(&mut self) -> Result<()> {
        self.program.kill().await.context("etcd")
    }
}

fn flags(options: &Options) -> Vec<String> {
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let client = format!("{scheme}://{}", options.address);
    let mut flags = vec![
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={PEER}"),
        format!("--initial-advertise-peer-urls={PEER}"),
        format!("--initial-cluster={NAME}={PEER}"),
        format!("--name={NAME}"),
        // The gateway would dial etcd itself and need a client certificate for that.
        "--enable-grpc-gateway=false".to_owned(),
        // Nothing here outlives the machine.
        "--unsafe-no-fsync".to_owned(),
    ];
    flags.extend(options.tls.iter().flat_map(tls_flags));
    flags
}

fn tls_flags(files: &TlsFiles) -> Vec<String> {
    let mut flags = vec![
        format!("--cert-file={}", files.certificate.display()),
        format!("--key-file={}", files.key.display()),
    ];
    if let Some(ca) = &files.client_ca {
        flags.push(format!("--trusted-ca-file={}", ca.display()));
        flags.push("--client-cert-auth".to_owned());
    }
    flags
}

/// The port that etcd took stands only in its log.
fn serving_address(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains("\"msg\":\"serving client traffic"))?;
    let record: serde_json::Value = serde_json::from_str(line).ok()?;
    record.get("address")?.as_str()?.parse().ok()
}

const NAME: &str = "one";
/// A single member has no peers: any free port will do, and nobody needs to know it.
const PEER: &str = "http://127.0.0.1:0";
/// Ten times what it takes on a busy machine.
const STARTUP: Duration = Duration::from_secs(30);
