//! Which segments are older than they must be kept. Whole files only, never the one that is written to, and never
//! one with a record that is not marked as exported, however old it is.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use tracing::warn;
use tunnel_protos::UnixMillis;

use super::{
    line::{Line, LineHash},
    mark,
    read::MAX_LINE,
    segment,
};

/// What age would remove.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Aged {
    /// How many files stay because not all of their records are marked as exported.
    pub held: u64,
    /// Why no mark counts; empty if one does, or if there is none.
    pub mark_error: String,
    /// The last record that is marked; 0 if none is.
    pub marked: u64,
    pub(super) expired: Option<Expired>,
}

/// Files that may go, oldest first, and what the rest continues from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expired {
    pub(super) first: u64,
    pub(super) continues: LineHash,
    files: Vec<PathBuf>,
}

/// What lies in `folder` and was over `before` then; only looks.
pub fn aged(folder: &Path, before: UnixMillis) -> io::Result<Aged> {
    let mark = mark::read(folder);
    let marked = mark.as_ref().ok().copied().flatten().map_or(0, |mark| mark.seq);
    let mark_error = mark.err().map(|error| error.to_string()).unwrap_or_default();
    let mut aged = Aged { marked, mark_error, ..Aged::default() };
    let mut undecided = Vec::new();
    for pair in segment::list(folder)?.windows(2) {
        let [old, next] = pair else { continue };
        undecided.push(old.path.clone());
        // All records of a segment are older than the first one of the next; the file behind a damaged one tells as well.
        let Some(begin) = first_line(&next.path)?.filter(|line| line.seq == next.first) else { continue };
        if begin.time >= before {
            break;
        }
        let mut files = std::mem::take(&mut undecided);
        if aged.held > 0 || begin.seq > marked + 1 {
            aged.held += files.len() as u64;
            continue;
        }
        let fresh = Expired { first: 0, continues: LineHash::NONE, files: Vec::new() };
        let expired = aged.expired.get_or_insert(fresh);
        (expired.first, expired.continues) = (begin.seq, begin.prev);
        expired.files.append(&mut files);
    }
    Ok(aged)
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
