//! The client's audit log, as the client's own command sees it and as we read it: what was acknowledged is in it.
//!
//! Each line is read once; that none of them changed afterwards is seen by the chain that goes on from them.

mod index;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, ensure};
use tunnel_client::audit::segment;

use self::index::Index;
use super::{
    calls::Counts,
    ledger::{Fact, Ledger},
};
use crate::harness::{binaries, command::run, wait::until};

/// The log of one client, as far as it was read.
pub(super) struct Books {
    config: PathBuf,
    log: Log,
}

/// Lines read in order, each once.
struct Log {
    folder: PathBuf,
    /// The file that was read last, and how much of it.
    at: (PathBuf, u64),
    index: Index,
}

impl Books {
    /// The log of the client that is configured by `config` and keeps its state below `folder`.
    pub(super) fn new(config: PathBuf, folder: &Path) -> Self {
        Self { config, log: Log::new(folder.join("state/audit")) }
    }

    /// How many records were read.
    pub(super) fn records(&self) -> u64 {
        self.log.index.records()
    }

    /// The log verifies, and what was acknowledged since the last look is in it, as are all calls.
    pub(super) async fn newest(&mut self, ledger: &Ledger) -> Result<()> {
        let (facts, answered) = (ledger.news(), ledger.calls().answered());
        self.log.read()?;
        // A client that was killed before its first record has no log yet.
        if self.records() > 0 {
            self.verify().await?;
        }
        self.log.index.has_all(&facts)?;
        self.log.index.has_calls(&answered)
    }

    /// All that was ever acknowledged is in it, nothing reached the engine without it, and no intent is left open.
    pub(super) async fn everything(&mut self, ledger: &Ledger, reached: &Counts) -> Result<()> {
        self.verify().await?;
        self.ends().await?;
        let index = &self.log.index;
        index.has_all(&ledger.facts())?;
        index.has_calls(&ledger.calls().answered())?;
        index.has_intents(reached)
    }

    async fn verify(&self) -> Result<()> {
        let mut command = binaries::command("tunnel-client", &[])?;
        command.args(["audit", "verify", "--config"]).arg(&self.config);
        run(command).await.map(drop)
    }

    /// Outcomes are written without anybody waiting for them.
    async fn ends(&mut self) -> Result<()> {
        let log = parking_lot::Mutex::new(&mut self.log);
        let ended = || async {
            let mut log = log.lock();
            let open = log.read().map(|()| log.index.open());
            match open {
                Ok(None) => Ok(Ok(())),
                Ok(Some(intent)) => Err(anyhow!("intent {intent} has no outcome")),
                Err(broken) => Ok(Err(broken)),
            }
        };
        until("every intent has an outcome", super::STANDSTILL, ended).await?
    }
}

impl Log {
    fn new(folder: PathBuf) -> Self {
        Self { folder, at: (PathBuf::new(), 0), index: Index::default() }
    }

    /// Reads what was added since the last time.
    fn read(&mut self) -> Result<()> {
        for file in segment::list(&self.folder).context("list the log's files")? {
            if file.path < self.at.0 {
                continue;
            }
            if file.path > self.at.0 {
                self.at = (file.path, 0);
            }
            self.read_file()?;
        }
        Ok(())
    }

    /// Whole lines only: one that is being written is read the next time.
    fn read_file(&mut self) -> Result<()> {
        let (path, from) = &mut self.at;
        let mut file = File::open(&*path)?;
        ensure!(file.metadata()?.len() >= *from, "{} has become shorter", path.display());
        file.seek(SeekFrom::Start(*from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        *from += whole as u64;
        let mut lines = bytes[..whole].split_inclusive(|byte| *byte == b'\n');
        lines.try_for_each(|line| self.index.take(&line[..line.len() - 1]))
    }
}

impl Index {
    fn has_all(&self, facts: &[Fact]) -> Result<()> {
        let missing = facts.iter().find(|fact| !self.has(fact));
        missing.map_or(Ok(()), |fact| Err(anyhow!("not in the log: {fact:?}")))
    }
}
