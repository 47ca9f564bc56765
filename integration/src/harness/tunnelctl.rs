//! The real `tunnelctl` as an operator runs it, with folders of its own.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::process::Command;

use super::{
    binaries,
    command::run,
    vendor::{Files, Vendor},
};

/// An operator's machine.
#[derive(Debug, Clone)]
pub struct Tunnelctl {
    folder: PathBuf,
    entry: Vec<String>,
}

/// What `connect` wrote and said.
#[derive(Debug, Clone)]
pub struct Session {
    /// Id of the grant.
    pub grant: String,
    /// Host name of the first door.
    pub host: String,
    /// The gate's anchors.
    pub ca: PathBuf,
    /// The grant certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Tunnelctl {
    /// A machine whose files lie in `folder` and whose programs are entered through `entry`.
    pub fn new(folder: &Path, entry: Vec<String>) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), entry })
    }

    /// Where its files lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `tunnelctl` with these words, its folders set.
    pub fn command(&self, words: &[&str]) -> Result<Command> {
        self.program("tunnelctl", words)
    }

    /// One of the programs that know its folders, with these words.
    pub fn program(&self, name: &str, words: &[&str]) -> Result<Command> {
        let mut command = binaries::command(name, &self.entry)?;
        command.args(words);
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"] {
            command.env(name, &self.folder);
        }
        Ok(command)
    }

    /// Logs in at the broker's TCP address.
    pub async fn login(&self, vendor: &Vendor, identity: &Files, broker: SocketAddr) -> Result<()> {
        let mut command = self.command(&["login"])?;
        command.arg("--certificate").arg(&identity.certificate).arg("--key").arg(&identity.key);
        command.arg("--vendor-key").arg(vendor.key_file()).arg("--api-ca").arg(vendor.api_ca_file());
        command.arg("--api").arg(broker.to_string()).arg("--suffix").arg(vendor.suffix().as_str());
        command.arg("--connect-address").arg(broker.to_string());
        run(command).await.map(drop)
    }

    /// Asks for methods of a cluster and waits for a certificate.
    pub async fn connect(&self, cluster: &str, methods: &[&str]) -> Result<Session> {
        let mut command = self.command(&["--output", "json", "connect", cluster, "--reason", "a test"])?;
        for method in methods {
            command.args(["--method", method]);
        }
        let output = run(command).await?;
        let last = output.lines().last().context("tunnelctl printed nothing")?;
        Session::read(&serde_json::from_str(last)?).with_context(|| format!("unexpected output: {last}"))
    }
}

impl Session {
    fn read(granted: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let file = |name: &str| granted["files"][name].as_str().map(PathBuf::from);
        Some(Self {
            grant: text(&granted["grant"])?,
            host: text(&granted["doors"][0]["host"])?,
            ca: file("ca")?,
            cert: file("cert")?,
            key: file("key")?,
        })
    }
}
