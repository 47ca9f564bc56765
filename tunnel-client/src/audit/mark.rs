//! The file `exported` beside the segments: up to which record the customer keeps a copy elsewhere. Retention removes
//! nothing beyond it.
//!
//! Whoever can write the log's folder may mark: they could remove its files as well. A mark counts only while the
//! record that it names is the one in the log, so that one of another log, or half of one, lets nothing go.

use std::{
    fs,
    io::{self, BufRead, Read},
    path::{Path, PathBuf},
};

use tunnel_certs::file::{self, FileError};

use super::{
    head::Head,
    line::{Chain, Line, LineHash},
    read::{Lines, MAX_LINE},
    segment,
};

/// Why nothing was marked.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// The log cannot be read.
    #[error("cannot read the log in {0}")]
    Read(PathBuf, #[source] io::Error),
    /// The copy cannot be read.
    #[error("cannot read the copy")]
    Copy(#[source] io::Error),
    /// Nothing is in it.
    #[error("the copy is empty")]
    Empty,
    /// It has something else in it than `audit export` prints.
    #[error(
        "line {0} of the copy is no record, or cut off; it is to be as `tunnel-client audit export` printed it"
    )]
    NoRecord(u64),
    /// It was edited, or records are missing.
    #[error(
        "record {0} of the copy does not continue the one before it; export without a filter, and mark that copy"
    )]
    Gap(u64),
    /// Records before it are marked nowhere.
    #[error(
        "the copy begins at record {begins}, but nothing before it is marked from record {wanted} on; export all"
    )]
    Late {
        /// Its first record.
        begins: u64,
        /// The one it should begin with, or before.
        wanted: u64,
    },
    /// It is of another log, or was edited.
    #[error("record {0} of the copy is not the one in the log")]
    Foreign(u64),
    /// A failed sync could still take back all of it.
    #[error("nothing in the copy is known to be on disk in the log, by its file `head`; try again later")]
    Unsynced,
    /// The mark cannot be written.
    #[error(transparent)]
    Write(#[from] FileError),
}

/// The last record of the log in `folder` that is marked, and that is still what was marked; none if nothing is. A mark
/// that is no whole one, or of another log, is an error of the kind `InvalidData`.
pub fn read(folder: &Path) -> io::Result<Option<Head>> {
    let text = match fs::read_to_string(folder.join(NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mark = Head::parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, NOT_WHOLE))?;
    if stands(folder, mark)? {
        Ok(Some(mark))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, OTHER))
    }
}

/// Durably marks what `copy` holds, an export of the log in `folder` without gaps, and says its last record that is
/// durable in the log: a failed sync takes back others, and the mark would name what is no more. A mark never goes back.
pub fn mark(folder: &Path, copy: impl BufRead) -> Result<Head, MarkError> {
    let unread = |source| MarkError::Read(folder.to_owned(), source);
    // Read before the log: what the log has up to there stays.
    let durable = Head::read(folder).map_or(0, |head| head.seq);
    // One that does not count is none: the copy has to begin with the log then.
    let before = read(folder).ok().flatten();
    let first = segment::list(folder).map_err(unread)?.first().map_or(1, |segment| segment.first);
    let wanted = before.map_or(first, |before| before.seq + 1);
    let copied = follow(copy, wanted, durable)?;
    if !stands(folder, copied).map_err(unread)? {
        return Err(MarkError::Foreign(copied.seq));
    }
    let newest = before.filter(|before| before.seq > copied.seq).unwrap_or(copied);
    file::write(&folder.join(NAME), newest.to_string().as_bytes())?;
    Ok(newest)
}

/// The last record up to `durable` of a copy whose lines are one chain that begins with the record `wanted`, or before.
fn follow(mut copy: impl BufRead, wanted: u64, durable: u64) -> Result<Head, MarkError> {
    let (mut chain, mut last): (Option<Chain>, _) = (None, None);
    for number in 1.. {
        let mut bytes = Vec::new();
        if copy.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes).map_err(MarkError::Copy)? == 0 {
            break;
        }
        let raw = bytes.strip_suffix(b"\n").ok_or(MarkError::NoRecord(number))?;
        let line = Line::parse(raw).ok_or(MarkError::NoRecord(number))?;
        let here = Chain { next: line.seq, prev: line.prev };
        if chain.is_none() && line.seq > wanted {
            return Err(MarkError::Late { begins: line.seq, wanted });
        }
        if chain.is_some_and(|chain| chain != here) {
            return Err(MarkError::Gap(line.seq));
        }
        let after = here.after(raw);
        chain = Some(after);
        last = Some(Head::before(&after)).filter(|head| head.seq <= durable).or(last);
    }
    last.ok_or(if chain.is_some() { MarkError::Unsynced } else { MarkError::Empty })
}

/// Whether the log has this record, or begins right behind it.
fn stands(folder: &Path, record: Head) -> io::Result<bool> {
    for raw in Lines::from(folder, record.seq)? {
        let raw = raw?;
        let Some(line) = Line::parse(&raw.bytes).filter(|_| raw.whole) else { return Ok(false) };
        if line.seq > record.seq {
            return Ok(line.seq == record.seq + 1 && line.prev == record.hash);
        }
        if line.seq == record.seq {
            return Ok(LineHash::of(&raw.bytes) == record.hash);
        }
    }
    Ok(false)
}

const NAME: &str = "exported";
const NOT_WHOLE: &str = "the file `exported` cannot be read: mark the last export again";
const OTHER: &str =
    "the file `exported` names a record that this log does not have: mark an export of this log";
