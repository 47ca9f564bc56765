//! Picking records out of a log that lies there.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
};

use tunnel_protos::UnixMillis;

use super::{line::Line, read::Lines};

/// Which records are wanted; what is not set does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Beginning of a grant's or request's id.
    pub id: Option<String>,
    /// An operator's name: its requests, and what was done under its grants.
    pub operator: Option<String>,
    /// Only behind the record of this sequence.
    pub behind: u64,
    /// Only up to the record of this sequence.
    pub upto: Option<u64>,
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
    let lines = Lines::from(&folder, filter.behind).map_err(|error| unread(folder.clone(), error))?;
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

struct Picker {
    filter: Filter,
    /// Requests and grants of the operator that is wanted.
    theirs: HashSet<String>,
}

impl Picker {
    fn picks(&mut self, line: &Line) -> bool {
        let Filter { id, operator, behind, upto, since } = &self.filter;
        let ids = [line.text("grant"), line.text("request")];
        let by_id = id.as_ref().is_none_or(|id| ids.iter().any(|found| found.starts_with(id.as_str())));
        let by_operator = operator.as_ref().is_none_or(|operator| {
            let theirs = line.text("operator") == operator;
            if theirs {
                self.theirs.extend(ids.iter().filter(|id| !id.is_empty()).map(|id| (*id).to_owned()));
            }
            theirs || ids.iter().any(|id| self.theirs.contains(*id))
        });
        let by_place = line.seq > *behind && upto.is_none_or(|upto| line.seq <= upto);
        by_id && by_operator && by_place && since.is_none_or(|since| line.time >= since)
    }
}
