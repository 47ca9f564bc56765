//! Which segments are older than they must be kept. Whole files only, and never the one that is written to.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use tracing::warn;
use tunnel_protos::UnixMillis;

use super::{
    line::{Line, LineHash},
    segment,
};

/// Files that may go, oldest first, and what the rest continues from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expired {
    pub(super) first: u64,
    pub(super) continues: LineHash,
    files: Vec<PathBuf>,
}

/// What lies in `folder` and was over `before` then.
pub(super) fn expired(folder: &Path, before: UnixMillis) -> io::Result<Option<Expired>> {
    let segments = segment::list(folder)?;
    let mut expired: Option<Expired> = None;
    let mut files = Vec::new();
    for pair in segments.windows(2) {
        let [old, next] = pair else { continue };
        // All records of a segment are older than the first one of the next.
        let Some(begin) = first_line(&next.path)?.filter(|line| line.time < before) else { break };
        files.push(old.path.clone());
        expired = Some(Expired { first: begin.seq, continues: begin.prev, files: Vec::new() });
    }
    Ok(expired.map(|expired| Expired { files, ..expired }))
}

fn first_line(path: &Path) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    BufReader::new(File::open(path)?).take(MAX_LINE).read_until(b'\n', &mut line)?;
    Ok(line.strip_suffix(b"\n").and_then(Line::parse))
}

impl Expired {
    /// Removes the files, oldest first, so that what is left is one chain at every moment; says how many.
    pub(super) fn remove(&self) -> usize {
        let remove = |path: &&PathBuf| {
            let removed = fs::remove_file(path);
            removed.inspect_err(|error| warn!(error = %error, "Old audit segment not removed")).is_ok()
        };
        self.files.iter().take_while(remove).count()
    }
}

/// A first record lists open intents, of which there are at most as many as calls.
const MAX_LINE: u64 = 64 * 1024 * 1024;
