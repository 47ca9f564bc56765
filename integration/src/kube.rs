//! A real kube-apiserver on an etcd of its own, on free loopback ports: objects, admission and tokens are real, but there
//! is no controller, no kubelet and no node, so nothing ever runs there.

mod pki;

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, bail};
use tokio::process::Command;

use self::pki::Pki;
pub use self::pki::TokenKey;
use crate::{
    etcd::{self, Etcd},
    harness::{
        binaries::tool,
        command::{Ended, output},
        program::Program,
        wait::until,
    },
};

/// A running control plane; killed when dropped.
#[derive(Debug)]
pub struct Kube {
    kubeconfig: PathBuf,
    home: PathBuf,
    // The apiserver first: without its etcd it would only complain.
    _apiserver: Program,
    _etcd: Etcd,
}

impl Kube {
    /// Starts one with its files in `folder`, and returns once it is ready.
    pub async fn start(folder: &Path, tokens: TokenKey) -> Result<Self> {
        let etcd_folder = folder.join("etcd");
        std::fs::create_dir_all(&etcd_folder)?;
        let etcd = Etcd::start(&etcd::Options::loopback(etcd_folder)).await?;
        let pki = Pki::create(&folder.join("pki"), tokens)?;
        // Its port cannot be its own choice, so another process may be quicker.
        for _ in 0..ATTEMPTS {
            let port = free_port()?;
            let Some(apiserver) = apiserver(folder, &pki, &etcd, port).await? else { continue };
            let (kubeconfig, home) = (pki.kubeconfig(port)?, folder.to_owned());
            let kube = Self { kubeconfig, home, _apiserver: apiserver, _etcd: etcd };
            until("the apiserver is ready", STARTUP, || kube.kubectl(&["get", "--raw", "/readyz"])).await?;
            return Ok(kube);
        }
        bail!("no port stayed free in {ATTEMPTS} attempts")
    }

    /// Runs `kubectl WORDS`, which must succeed; gives what it printed.
    pub async fn kubectl(&self, words: &[&str]) -> Result<String> {
        let ended = self.kubectl_with(words, "").await?;
        anyhow::ensure!(ended.code == Some(0), "kubectl {words:?}: {}", ended.stderr);
        Ok(ended.stdout)
    }

    /// Runs `kubectl WORDS` with this standard input, however it ends.
    pub async fn kubectl_with(&self, words: &[&str], input: &str) -> Result<Ended> {
        let mut command = Command::new(tool("kubectl")?);
        // kubectl keeps a cache at home, and proxies are not for loopback.
        command.env("KUBECONFIG", &self.kubeconfig).env("HOME", &self.home).env("NO_PROXY", "127.0.0.1");
        command.args(words);
        Ok(output(command, input, COMMAND).await?.into())
    }
}

/// Starts it; none if somebody else took the port.
async fn apiserver(folder: &Path, pki: &Pki, etcd: &Etcd, port: u16) -> Result<Option<Program>> {
    let mut command = Command::new(tool("kube-apiserver")?);
    command.args(flags(etcd.address(), port)).args(pki.flags());
    let mut program = Program::start("kube-apiserver", command, &folder.join("apiserver.log"))?;
    let serves = |log: &str| log.contains("Serving securely on").then_some(());
    match program.says("that it serves", STARTUP, serves).await {
        Ok(()) => Ok(Some(program)),
        Err(_) if program.output().contains("address already in use") => Ok(None),
        Err(error) => Err(error),
    }
}

fn flags(etcd: SocketAddr, port: u16) -> Vec<String> {
    let mut flags = vec![format!("--etcd-servers=http://{etcd}"), format!("--secure-port={port}")];
    let fixed = [
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        // A loopback address cannot be an endpoint.
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--authorization-mode=Node,RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--profiling=false",
    ];
    flags.extend(fixed.map(str::to_owned));
    flags
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

const ATTEMPTS: usize = 3;
/// Twenty times what it takes on an idle machine.
const STARTUP: Duration = Duration::from_secs(60);
/// A dry run of a whole chart takes a second.
const COMMAND: Duration = Duration::from_secs(60);
