//! The file `head` beside the segments: which record is the last, and its hash.
//!
//! Written after each sync and never synced: it may be behind the log, never before it. A log that is behind its
//! head, or has another record there, is not what was written.

use std::{fmt, fs, io, path::Path};

use super::{
    disk,
    line::{Chain, LineHash},
};

/// What a head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The last record that was durable.
    pub seq: u64,
    /// Its hash.
    pub hash: LineHash,
}

impl Head {
    /// The head of a log that has just begun.
    pub(super) const START: Self = Self { seq: 0, hash: LineHash::NONE };

    /// The head of a log that goes on at `chain`.
    pub(super) fn before(chain: &Chain) -> Self {
        Self { seq: chain.next - 1, hash: chain.prev }
    }

    /// Reads the head of the log in `folder`; none if there is no whole one.
    pub fn read(folder: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(folder.join(NAME)).ok()?)
    }

    /// Reads what `to_string` made; none if it is not whole.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (seq, hash) = text.strip_suffix('\n')?.split_once(' ')?;
        Some(Self { seq: seq.parse().ok()?, hash: hash.parse().ok()? })
    }

    /// Writes it down; always of the same length, so that no old byte stays.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        disk::overwrite(&folder.join(NAME), self.to_string().as_bytes())
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:020} {}", self.seq, self.hash)
    }
}

const NAME: &str = "head";
