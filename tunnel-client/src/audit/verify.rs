//! Checks a log that lies there, also a copy: that its lines are one chain, from its beginning to its head.
//!
//! What it cannot see: a log that was written anew from some record on, head included. Only what somebody else
//! holds shows that.

use std::{
    collections::HashMap,
    fmt, io,
    path::{Path, PathBuf},
};

use super::{
    head::Head,
    line::{Chain, Line, LineHash},
    read::{Lines, RawLine},
};

/// A log that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// The first record that is kept.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// A line after it is not whole; nothing that was acknowledged is in it.
    pub unfinished: bool,
}

/// Why a log was not found whole.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read.
    #[error("cannot read the log in {0}")]
    Read(PathBuf, #[source] io::Error),
    /// There is none.
    #[error("no audit log in {0}")]
    Empty(PathBuf),
    /// The first record that is broken.
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// The first record that is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {record} (seen at {place}): {what}")]
pub struct Broken {
    /// Its sequence.
    pub record: u64,
    /// Where it is seen.
    pub place: String,
    /// What is wrong.
    pub what: Wrong,
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// Its bytes are not those that were written.
    Edited,
    /// It is no record.
    Unreadable,
    /// Its line ends early.
    CutOff,
    /// It is missing, and those after it up to this one.
    Removed(u64),
    /// Another record stands in its place, and it comes later or twice.
    Reordered(u64),
    /// It is the first, and no record of a removal by age says so.
    Unfounded,
    /// Its file has another record's name.
    Misnamed,
    /// The file `head` is missing or unreadable, so that the end cannot be checked.
    NoHead,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edited => f.write_str("edited: its bytes are not those that were written"),
            Self::Unreadable => f.write_str("edited or cut inside: the line is no record"),
            Self::CutOff => f.write_str("truncated: its line ends early"),
            Self::Removed(to) => write!(f, "removed, up to and including record {to}"),
            Self::Reordered(other) => write!(f, "out of order: record {other} stands in its place"),
            Self::Unfounded => {
                f.write_str("what came before it is removed, and no retention record of this log says so")
            }
            Self::Misnamed => f.write_str("its file is named for another record"),
            Self::NoHead => f.write_str("the file `head` is missing or damaged: the end cannot be checked"),
        }
    }
}

/// Checks the log in `folder`.
pub fn verify(folder: &Path) -> Result<Whole, VerifyError> {
    let unread = |source| VerifyError::Read(folder.to_owned(), source);
    // Read first: a running client only ever adds behind it.
    let head = Head::read(folder);
    let lines = Lines::open(folder).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => VerifyError::Empty(folder.to_owned()),
        _ => unread(error),
    });
    let mut lines = lines?.peekable();
    let mut walk = Walk::new(head);
    while let Some(line) = lines.next() {
        let line = line.map_err(unread)?;
        let next = lines.peek().and_then(|next| next.as_ref().ok());
        walk.step(&line, next)?;
    }
    walk.end().unwrap_or_else(|| Err(VerifyError::Empty(folder.to_owned())))
}

/// How far the chain was followed.
struct Walk {
    head: Option<Head>,
    begin: Option<Chain>,
    chain: Chain,
    place: String,
    unfinished: bool,
    /// What the first record of each file continues from.
    firsts: HashMap<u64, LineHash>,
    /// What retention records say: the first kept, and what it continues from.
    kept: Vec<(u64, LineHash)>,
}

impl Walk {
    fn new(head: Option<Head>) -> Self {
        Self {
            head,
            begin: None,
            chain: Chain::START,
            place: String::new(),
            unfinished: false,
            firsts: HashMap::new(),
            kept: Vec::new(),
        }
    }

    fn step(&mut self, raw: &RawLine, next: Option<&RawLine>) -> Result<(), Broken> {
        self.place = place(raw);
        if !raw.whole {
            return self.unfinished(next);
        }
        let line = Line::parse(&raw.bytes).ok_or_else(|| self.broken(self.chain.next, Wrong::Unreadable))?;
        let here = Chain { next: line.seq, prev: line.prev };
        let begin = *self.begin.get_or_insert(here);
        if begin == here {
            self.chain = here;
        }
        if here != self.chain {
            return Err(self.discontinued(here, raw, next));
        }
        if raw.named.is_some_and(|named| named != line.seq) {
            return Err(self.broken(line.seq, Wrong::Misnamed));
        }
        self.chain = here.after(&raw.bytes);
        self.remember(&line, raw);
        match self.head.filter(|head| head.seq == line.seq && head.hash != self.chain.prev) {
            Some(_) => Err(self.broken(line.seq, Wrong::Edited)),
            None => Ok(()),
        }
    }

    /// Only the last line may be unfinished, and only one that was never acknowledged.
    fn unfinished(&mut self, next: Option<&RawLine>) -> Result<(), Broken> {
        let acknowledged = self.head.is_none_or(|head| head.seq >= self.chain.next);
        if acknowledged || next.is_some() {
            return Err(self.broken(self.chain.next, Wrong::CutOff));
        }
        self.unfinished = true;
        Ok(())
    }

    fn remember(&mut self, line: &Line, raw: &RawLine) {
        if raw.named.is_some() {
            self.firsts.insert(line.seq, line.prev);
        }
        if line.kind == "retention"
            && let (Some(first), Ok(continues)) = (line.number("first"), line.text("continues").parse())
        {
            self.kept.push((first, continues));
        }
    }

    /// Which record is broken when `here` is not where the chain goes on.
    fn discontinued(&self, here: Chain, raw: &RawLine, next: Option<&RawLine>) -> Broken {
        let expected = self.chain;
        if here.next == expected.next {
            // One of two was edited: this one's own hash, known from the next, tells which.
            let edited = if self.is_as_written(raw, next) { expected.next - 1 } else { expected.next };
            return self.broken(edited, Wrong::Edited);
        }
        if here.prev == expected.prev {
            return self.broken(expected.next, Wrong::Edited);
        }
        let comes_next = next.and_then(|next| Line::parse(&next.bytes)).is_some_and(|n| n.seq < here.next);
        if here.next < expected.next || comes_next {
            return self.broken(expected.next, Wrong::Reordered(here.next));
        }
        self.broken(expected.next, Wrong::Removed(here.next - 1))
    }

    fn is_as_written(&self, raw: &RawLine, next: Option<&RawLine>) -> bool {
        let hash = LineHash::of(&raw.bytes);
        let by_next = next.and_then(|next| Line::parse(&next.bytes)).map(|next| next.prev);
        let by_head = self.head.filter(|head| head.seq == self.chain.next).map(|head| head.hash);
        by_next.or(by_head).is_some_and(|known| known == hash)
    }

    /// After the last line; none if there was no line.
    fn end(self) -> Option<Result<Whole, VerifyError>> {
        let begin = self.begin?;
        Some(self.ended(begin).map_err(VerifyError::Broken))
    }

    fn ended(self, begin: Chain) -> Result<Whole, Broken> {
        let last = self.chain.next - 1;
        let head = self.head.ok_or_else(|| self.broken(last, Wrong::NoHead))?;
        if head.seq > last {
            return Err(self.broken(last + 1, Wrong::Removed(head.seq)));
        }
        // The head of a log that has just begun speaks of no record yet.
        if head.seq < begin.next && (head, begin) != (Head::START, Chain::START) {
            return Err(self.broken(last, Wrong::NoHead));
        }
        let says = |(first, continues): &(u64, LineHash)| {
            *first >= begin.next && self.firsts.get(first) == Some(continues)
        };
        if begin != Chain::START && !self.kept.iter().any(says) {
            return Err(self.broken(begin.next, Wrong::Unfounded));
        }
        Ok(Whole { first: begin.next, last, unfinished: self.unfinished })
    }

    fn broken(&self, record: u64, what: Wrong) -> Broken {
        Broken { record, place: self.place.clone(), what }
    }
}

fn place(raw: &RawLine) -> String {
    let name = raw.file.file_name().unwrap_or_default().to_string_lossy();
    format!("{name}, line {}", raw.number)
}
