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
    line::{Line, LineHash},
    order::{Order, OutOfOrder},
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
    /// It has something else in it than the log has.
    #[error(
        "line {0} of the copy is no record, or cut off; it is to be as `tunnel-client audit export` printed it"
    )]
    NoRecord(u64),
    /// Records are missing before it, in the copy or in the log, or it is out of order.
    #[error(
        "record {0} does not continue the one before it: export without a filter, and mark that copy; if the log itself has a gap, nothing can be marked beyond it"
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
///
/// Each line of the copy is to be the log's, byte for byte, whatever damage is in it: the copy then keeps as much of it
/// as the log has. A log with records missing or out of order is marked up to there at most.
pub fn mark(folder: &Path, copy: impl BufRead) -> Result<Head, MarkError> {
    let unread = |source| MarkError::Read(folder.to_owned(), source);
    // Read before the log: what the log has up to there stays.
    let durable = Head::read(folder).map_or(0, |head| head.seq);
    // One that does not count is none: the copy has to begin with the log then.
    let before = read(folder).ok().flatten();
    let first = segment::list(folder).map_err(unread)?.first().map_or(1, |segment| segment.first);
    let wanted = before.map_or(first, |before| before.seq + 1);
    let mut copy = Copy { reader: copy, number: 0 };
    let begin = copy.line()?.ok_or(MarkError::Empty)?;
    let copied = match Line::parse(&begin).map(|line| line.seq) {
        Some(seq) if seq < first => older(folder, copy, begin, wanted, durable)?,
        begins => compare(folder, copy, begin, begins, wanted, durable)?,
    };
    let newest = before.filter(|before| before.seq > copied.seq).unwrap_or(copied);
    file::write(&folder.join(NAME), newest.to_string().as_bytes())?;
    Ok(newest)
}

/// As [`compare`], of a copy that begins before the log: what the log has no more was marked when it was removed.
fn older<R: BufRead>(
    folder: &Path,
    mut copy: Copy<R>,
    begin: Vec<u8>,
    wanted: u64,
    durable: u64,
) -> Result<Head, MarkError> {
    let unread = |source| MarkError::Read(folder.to_owned(), source);
    let first = Lines::open(folder).and_then(|mut lines| lines.next().transpose()).map_err(unread)?;
    let first = first.map(|first| first.bytes);
    let (mut bytes, mut last) = (begin, None);
    while first.as_ref() != Some(&bytes) {
        last = Line::parse(&bytes).map(|line| Head { seq: line.seq, hash: LineHash::of(&bytes) }).or(last);
        match (copy.line()?, last) {
            (Some(next), _) => bytes = next,
            (None, Some(last)) if stands(folder, last).map_err(unread)? => return Ok(last),
            (None, last) => return Err(MarkError::Foreign(last.map_or(0, |last| last.seq))),
        }
    }
    compare(folder, copy, bytes, None, wanted, durable)
}

/// The last record up to `durable` of a copy that begins with `begin`, the record `begins` if that can be read; every
/// line of it is the log's, and it begins at most with the record `wanted`.
fn compare<R: BufRead>(
    folder: &Path,
    mut copy: Copy<R>,
    begin: Vec<u8>,
    begins: Option<u64>,
    wanted: u64,
    durable: u64,
) -> Result<Head, MarkError> {
    let unread = |source| MarkError::Read(folder.to_owned(), source);
    let outside = || match begins {
        Some(begins) if begins > wanted => MarkError::Late { begins, wanted },
        Some(begins) => MarkError::Foreign(begins),
        None => MarkError::NoRecord(1),
    };
    // One that cannot be read may be anywhere.
    let mut log = Lines::from(folder, begins.map_or(0, |begins| begins.min(wanted))).map_err(unread)?;
    let mut order: Option<Order> = None;
    let (mut expected, mut found, mut last) = (begin, false, None);
    while let Some(raw) = log.next().transpose().map_err(unread)? {
        let order = order.get_or_insert_with(|| Order::new(raw.named.unwrap_or(1)));
        // What was cut off when the client ended is in no export.
        if !raw.whole {
            continue;
        }
        let least = order.next;
        let place = order.place(&raw.bytes);
        if raw.bytes != expected {
            match found {
                true => return Err(copy.differs(&expected, least)),
                false if least >= wanted => return Err(outside()),
                false => continue,
            }
        }
        found = true;
        let seq = place.map_err(|OutOfOrder(seq)| MarkError::Gap(seq))?;
        if let Some(seq) = seq.filter(|seq| *seq <= durable) {
            last = Some(Head { seq, hash: LineHash::of(&raw.bytes) });
        }
        // Beyond, the log may have changed since it was copied.
        if seq.is_some_and(|seq| seq >= durable) {
            return last.ok_or(MarkError::Unsynced);
        }
        match copy.line()? {
            Some(next) => expected = next,
            None => return last.ok_or(MarkError::Unsynced),
        }
    }
    Err(if found { copy.differs(&expected, 0) } else { outside() })
}

/// A copy as it is read.
struct Copy<R> {
    reader: R,
    /// Of the last line that was read, from 1.
    number: u64,
}

impl<R: BufRead> Copy<R> {
    /// The next line, which has to be whole; none at the end.
    fn line(&mut self) -> Result<Option<Vec<u8>>, MarkError> {
        let mut bytes = Vec::new();
        self.number += 1;
        let mut limited = self.reader.by_ref().take(MAX_LINE);
        if limited.read_until(b'\n', &mut bytes).map_err(MarkError::Copy)? == 0 {
            return Ok(None);
        }
        bytes.pop_if(|last| *last == b'\n').ok_or(MarkError::NoRecord(self.number))?;
        Ok(Some(bytes))
    }

    /// Why the line that was read last is not the one that the log has there, which is `seq`, or later.
    fn differs(&self, bytes: &[u8], seq: u64) -> MarkError {
        match Line::parse(bytes) {
            None => MarkError::NoRecord(self.number),
            Some(line) if line.seq > seq && seq > 0 => MarkError::Gap(line.seq),
            Some(line) => MarkError::Foreign(line.seq),
        }
    }
}

/// Whether the log has this record, or begins right behind it.
fn stands(folder: &Path, record: Head) -> io::Result<bool> {
    for raw in Lines::from(folder, record.seq)? {
        let raw = raw?;
        let line = || Line::parse(&raw.bytes);
        if let Some(named) = raw.named.filter(|named| *named > record.seq) {
            return Ok(named == record.seq + 1 && line().is_some_and(|line| line.prev == record.hash));
        }
        if raw.whole && LineHash::of(&raw.bytes) == record.hash {
            return Ok(line().is_some_and(|line| line.seq == record.seq));
        }
    }
    Ok(false)
}

const NAME: &str = "exported";
const NOT_WHOLE: &str = "the file `exported` cannot be read: mark the last export again";
const OTHER: &str =
    "the file `exported` names a record that this log does not have: mark an export of this log";
