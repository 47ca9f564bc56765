//! Whether a folder's entry files changed, by name, size and time.

use std::{
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The `*.pb` files of a folder at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint(Vec<(PathBuf, u64, Option<SystemTime>)>);

impl Fingerprint {
    /// Looks at the folder; files beyond the bound are left out.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for file in std::fs::read_dir(folder)?.take(MAX_FILES) {
            let (path, metadata) = file.and_then(|file| Ok((file.path(), file.metadata()?)))?;
            if path.extension().is_some_and(|extension| extension == "pb") {
                files.push((path, metadata.len(), metadata.modified().ok()));
            }
        }
        files.sort();
        Ok(Self(files))
    }

    /// The files, in the order of their names.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(path, ..)| path.as_path())
    }
}

/// As many clusters as one broker may carry.
const MAX_FILES: usize = 100_000;
