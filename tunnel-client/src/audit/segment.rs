//! The files of a log: `00000000000000000001.jsonl` and on, each named by its first record.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::disk::{self, Disk};

/// A file of a log that lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentFile {
    /// The sequence of its first record, by its name.
    pub first: u64,
    /// Where it is.
    pub path: PathBuf,
}

/// The segments in `folder`, oldest first; other files are not looked at.
pub fn list(folder: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_suffix(SUFFIX).filter(|digits| digits.len() == DIGITS);
        if let Some(first) = number.and_then(|digits| digits.parse().ok()) {
            segments.push(SegmentFile { first, path });
        }
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Segment<D> {
    disk: D,
    file: File,
    /// Its length by what was appended.
    pub(super) len: u64,
}

impl<D: Disk> Segment<D> {
    /// Goes on with a file of `len` bytes; what lies beyond is cut off.
    pub(super) fn resume(path: &Path, len: u64, disk: D) -> io::Result<Self> {
        let file = disk::open_append(path, false)?;
        file.set_len(len)?;
        Ok(Self { disk, file, len })
    }

    /// Begins a new file, durably named.
    pub(super) fn begin(folder: &Path, first: u64, disk: D) -> io::Result<Self> {
        let file = create(folder, first)?;
        Ok(Self { disk, file, len: 0 })
    }

    /// Goes on in a new file.
    pub(super) fn rotate(&mut self, folder: &Path, first: u64) -> io::Result<()> {
        self.file = create(folder, first)?;
        self.len = 0;
        Ok(())
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.append(&self.file, bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.disk.sync(&self.file)
    }

    /// Takes back what was appended after `len`.
    pub(super) fn cut(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.len = len;
        Ok(())
    }
}

fn create(folder: &Path, first: u64) -> io::Result<File> {
    let path = folder.join(format!("{first:0DIGITS$}{SUFFIX}"));
    // One of this name that is empty was begun before, on a disk that then was full.
    let begun = fs::metadata(&path).is_ok_and(|metadata| metadata.len() == 0);
    let file = disk::open_append(&path, !begun)?;
    disk::sync_folder(folder)?;
    Ok(file)
}

const SUFFIX: &str = ".jsonl";
/// As many as the largest sequence has, so that names sort.
const DIGITS: usize = 20;
