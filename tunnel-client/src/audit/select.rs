//! Picking records out of a log that lies there.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
};

use tunnel_protos::UnixMillis;

use super::{
    head::Head,
    line::{Line, LineHash},
    read::{Lines, RawLine},
};

/// Which records are wanted; what is not set does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Beginning of a grant's or request's id.
    pub id: Option<String>,
    /// An operator's name: its requests, and what was done under its grants.
    pub operator: Option<String>,
    /// From this time on.
    pub since: Option<UnixMillis>,
}

/// Why records could not be picked.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// It cannot be read.
    #[error("cannot read the log in {0}")]
    Read(PathBuf, #[source] io::Error),
    /// A line is no record.
    #[error("{0}, line {1} is no record; run: tunnel-client audit verify")]
    Line(PathBuf, u64),
}

/// The records of the log in `folder` that pass `filter`, oldest first, each with the bytes of its line.
pub fn select(
    folder: &Path,
    filter: Filter,
) -> Result<impl Iterator<Item = Result<(Line, Vec<u8>), SelectError>>, SelectError> {
    let (unread, folder) = (SelectError::Read, folder.to_owned());
    let lines = Lines::open(&folder).map_err(|error| unread(folder.clone(), error))?;
    let mut picker = Picker { filter, theirs: HashSet::new() };
    Ok(lines.filter_map(move |raw| {
        let raw = match raw {
            // What a running client is about to write.
            Ok(raw) if !raw.whole => return None,
            Ok(raw) => raw,
            Err(error) => return Some(Err(unread(folder.clone(), error))),
        };
        match Line::parse(&raw.bytes) {
            Some(line) => picker.picks(&line).then_some(Ok((line, raw.bytes))),
            None => Some(Err(SelectError::Line(raw.file.to_path_buf(), raw.number))),
        }
    }))
}

/// Every whole line of the log in `folder` as it is, records or not: behind the record `behind`, up to the record `upto`.
pub fn all(
    folder: &Path,
    behind: Option<Head>,
    upto: Option<Head>,
) -> Result<impl Iterator<Item = Result<RawLine, SelectError>>, SelectError> {
    let (unread, folder) = (SelectError::Read, folder.to_owned());
    let lines = Lines::from(&folder, behind.map_or(0, |behind| behind.seq));
    let lines = lines.map_err(|error| unread(folder.clone(), error))?;
    let mut part = Part { behind, upto, over: false };
    let taken = lines.map_while(move |raw| match raw {
        Ok(raw) => part.takes(&raw).map(|takes| takes.then_some(Ok(raw))),
        Err(error) => Some(Some(Err(unread(folder.clone(), error)))),
    });
    Ok(taken.flatten())
}

/// A part of a log, by the hashes at its ends: a damaged line has no number.
struct Part {
    behind: Option<Head>,
    upto: Option<Head>,
    over: bool,
}

impl Part {
    /// Whether the line is in it; none if no further one is.
    fn takes(&mut self, raw: &RawLine) -> Option<bool> {
        let named = raw.named.unwrap_or_default();
        if self.over || self.upto.is_some_and(|upto| named > upto.seq) {
            return None;
        }
        let hash = LineHash::of(&raw.bytes);
        self.over = self.upto.is_some_and(|upto| upto.hash == hash);
        // The file before it may be gone.
        self.behind = self.behind.filter(|behind| named <= behind.seq);
        let is_before = self.behind.is_some();
        self.behind = self.behind.filter(|behind| behind.hash != hash);
        Some(raw.whole && !is_before)
    }
}

struct Picker {
    filter: Filter,
    /// Requests and grants of the operator that is wanted.
    theirs: HashSet<String>,
}

impl Picker {
    fn picks(&mut self, line: &Line) -> bool {
        let Filter { id, operator, since } = &self.filter;
        let ids = [line.text("grant"), line.text("request")];
        let by_id = id.as_ref().is_none_or(|id| ids.iter().any(|found| found.starts_with(id.as_str())));
        let by_operator = operator.as_ref().is_none_or(|operator| {
            let theirs = line.text("operator") == operator;
            if theirs {
                self.theirs.extend(ids.iter().filter(|id| !id.is_empty()).map(|id| (*id).to_owned()));
            }
            theirs || ids.iter().any(|id| self.theirs.contains(*id))
        });
        by_id && by_operator && since.is_none_or(|since| line.time >= since)
    }
}
