//! The reference engine as a child process, on every kind of listener.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};

use super::{PATIENCE, binaries, program::Program, vendor::Files};

/// How an engine is started; ports 0 are free ones, a restart should keep those it got.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Folder of its store and its log.
    pub folder: PathBuf,
    /// Plain HTTP/2.
    pub h2c: SocketAddr,
    /// HTTP/2 over mutual TLS: address, own files, CA of its callers.
    pub tls: Option<(SocketAddr, Files, PathBuf)>,
    /// Unix socket.
    pub unix: Option<PathBuf>,
    /// How long a node takes to become ready.
    pub startup: Duration,
}

impl EngineSettings {
    /// An engine in plain HTTP/2 on a free loopback port.
    pub fn loopback(folder: &Path) -> Self {
        let h2c = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { folder: folder.to_owned(), h2c, tls: None, unix: None, startup: Duration::ZERO }
    }

    /// Runs it and notes the ports it took.
    pub async fn spawn(&mut self, entry: &[String]) -> Result<Program> {
        std::fs::create_dir_all(&self.folder)?;
        let mut command = binaries::command("reference-engine", entry)?;
        command.arg("--data").arg(self.folder.join("data")).arg("--h2c").arg(self.h2c.to_string());
        command.arg("--startup-millis").arg(self.startup.as_millis().to_string());
        if let Some((address, files, callers)) = &self.tls {
            command.arg("--tls").arg(address.to_string()).arg("--tls-client-ca").arg(callers);
            command.arg("--tls-certificate").arg(&files.certificate).arg("--tls-key").arg(&files.key);
        }
        if let Some(path) = &self.unix {
            command.arg("--unix").arg(path);
        }
        let mut program = Program::start("engine", command, &self.folder.join("engine.log"))?;
        let ready = |output: &str| output.lines().any(|line| line == "ready").then(|| output.to_owned());
        self.note(&program.says("that it is ready", PATIENCE, ready).await?)?;
        Ok(program)
    }

    fn note(&mut self, output: &str) -> Result<()> {
        let find = |start: &str| output.lines().find_map(|line| line.strip_prefix(start));
        self.h2c = find("listening h2c ").context("the engine told no h2c address")?.parse()?;
        if let Some((address, ..)) = &mut self.tls {
            *address = find("listening mtls ").context("the engine told no TLS address")?.parse()?;
        }
        Ok(())
    }
}
