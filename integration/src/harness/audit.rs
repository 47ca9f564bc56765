//! A client's audit log, as an auditor reads its files.

use std::fs;

use anyhow::{Context as _, Result};
use tunnel_client::audit::{line::Line, segment};

use super::client::ClientSettings;

impl ClientSettings {
    /// Every record so far, the oldest first; one that is being written is left out.
    pub fn records(&self) -> Result<Vec<Line>> {
        let mut records = Vec::new();
        for file in segment::list(&self.folder.join("state/audit")).context("list the log's files")? {
            let bytes = fs::read(&file.path)?;
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            for line in bytes[..whole].split_inclusive(|byte| *byte == b'\n') {
                records.push(Line::parse(&line[..line.len() - 1]).context("a line that is no record")?);
            }
        }
        Ok(records)
    }
}
