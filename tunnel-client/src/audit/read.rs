//! Reading a log that lies there, also a copy: line by line, as its bytes are.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::segment::{self, SegmentFile};

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawLine {
    /// Its bytes without the line break: what hashes are over.
    pub bytes: Vec<u8>,
    /// Whether a line break follows.
    pub whole: bool,
    /// The file.
    pub file: Arc<PathBuf>,
    /// The sequence that the file's name gives to its first line, for that line; none for further ones.
    pub named: Option<u64>,
    /// Counted from 1 within the file.
    pub number: u64,
}

/// The lines of a log, oldest first; ends after the first error.
#[derive(Debug)]
pub struct Lines {
    segments: std::vec::IntoIter<SegmentFile>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    reader: BufReader<File>,
    file: Arc<PathBuf>,
    first: u64,
    number: u64,
}

impl Lines {
    /// The lines of the log in `folder`.
    pub fn open(folder: &Path) -> io::Result<Self> {
        Self::from(folder, 0)
    }

    /// The lines of the log in `folder`, from the beginning of the file that has the record `seq` on.
    pub fn from(folder: &Path, seq: u64) -> io::Result<Self> {
        let mut segments = segment::list(folder)?;
        let before = segments.iter().filter(|segment| segment.first <= seq).count();
        segments.drain(..before.saturating_sub(1));
        Ok(Self { segments: segments.into_iter(), current: None })
    }

    fn next_line(&mut self) -> io::Result<Option<RawLine>> {
        loop {
            if let Some(line) = self.current.as_mut().map(Current::line).transpose()?.flatten() {
                return Ok(Some(line));
            }
            let Some(segment) = self.segments.next() else { return Ok(None) };
            let reader = BufReader::new(File::open(&segment.path)?);
            self.current =
                Some(Current { reader, file: Arc::new(segment.path), first: segment.first, number: 0 });
        }
    }
}

impl Iterator for Lines {
    type Item = io::Result<RawLine>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().transpose()
    }
}

impl Current {
    fn line(&mut self) -> io::Result<Option<RawLine>> {
        let mut bytes = Vec::new();
        if self.reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        let whole = bytes.last() == Some(&b'\n');
        bytes.truncate(bytes.len() - usize::from(whole));
        self.number += 1;
        let named = (self.number == 1).then_some(self.first);
        Ok(Some(RawLine { bytes, whole, file: self.file.clone(), named, number: self.number }))
    }
}

/// No record is longer: a segment's first lists open intents, of which there are at most as many as calls.
pub(super) const MAX_LINE: u64 = 64 * 1024 * 1024;
