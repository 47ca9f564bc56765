//! The real etcd as child processes: one member or several on free loopback ports, each in a folder of its own.

pub mod supervised;
pub mod writer;

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::{
    harness::{binaries::tool, program::Program},
    reference_engine::TlsFiles,
};

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
    /// Which member of which cluster it is.
    pub member: Member,
}

/// One member among all.
#[derive(Debug, Clone)]
pub struct Member {
    name: String,
    peer: String,
    all: String,
}

impl Member {
    /// The only member. It has no peers: any free port will do, and nobody needs to know it.
    fn alone() -> Self {
        let (name, peer) = ("one".to_owned(), "http://127.0.0.1:0".to_owned());
        Self { all: format!("{name}={peer}"), name, peer }
    }

    /// Members of these names, which must be known to each other before any starts.
    fn several(names: &[&str]) -> Result<Vec<Self>> {
        let peers: Vec<_> = free(names.len())?.iter().map(|address| format!("http://{address}")).collect();
        let all: Vec<_> = names.iter().zip(&peers).map(|(name, peer)| format!("{name}={peer}")).collect();
        let one = |(name, peer): (&&str, String)| Self { name: (*name).to_owned(), peer, all: all.join(",") };
        Ok(names.iter().zip(peers).map(one).collect())
    }
}

impl Options {
    /// Plain HTTP/2 on a free loopback port.
    pub fn loopback(folder: impl Into<PathBuf>) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { folder: folder.into(), address, tls: None, member: Member::alone() }
    }
}

impl Etcd {
    /// Starts etcd and returns once it answers clients.
    pub async fn start(options: &Options) -> Result<Self> {
        let mut command = Command::new(tool("etcd")?);
        command.args(flags(options));
        let mut program = Program::start("etcd", command, &options.folder.join("etcd.log"))?;
        let address = program.says("that it serves clients", STARTUP, serving_address).await?;
        Ok(Self { program, address, is_tls: options.tls.is_some() })
    }

    /// Starts one cluster of members with these names; each answers clients.
    pub async fn start_cluster(folder: &Path, names: &[&str]) -> Result<Vec<Self>> {
        let start = Member::several(names)?.into_iter().map(|member| async move {
            let folder = folder.join(&member.name);
            std::fs::create_dir_all(&folder)?;
            Self::start(&Options { member, ..Options::loopback(folder) }).await
        });
        futures_util::future::try_join_all(start).await
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

/// The program itself.
/// Loopback addresses that are free now, all of them different.
fn free(count: usize) -> Result<Vec<SocketAddr>> {
    // All are held until all are known, so that none is given out twice.
    let held: Result<Vec<_>, _> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    held?.iter().map(|socket| Ok(socket.local_addr()?)).collect()
}

fn flags(options: &Options) -> Vec<String> {
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let client = format!("{scheme}://{}", options.address);
    let Member { name, peer, all } = &options.member;
    let mut flags = vec![
        format!("--data-dir={}", options.folder.join("data").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster={all}"),
        format!("--name={name}"),
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

/// Ten times what it takes on a busy machine.
const STARTUP: Duration = Duration::from_secs(30);
