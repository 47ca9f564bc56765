//! Whether a folder's entry files changed, by name, size and time.

use std::{
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// The `*.pb` files of a folder at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fingerprint(Vec<(PathBuf, u64, Option<SystemTime>)>);

impl Fingerprint {
    /// Looks at the folder; files beyond the bound are left out.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for file in std::fs::read_dir(folder)?.take(MAX_FILES) {
            let path = file?.path();
            if path.extension().is_none_or(|extension| extension != "pb") {
                continue;
            }
            // Links are followed, since mounted folders consist of them; a pipe would hold its reader for ever.
            let found = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file);
            files.extend(found.map(|metadata| (path, metadata.len(), metadata.modified().ok())));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_behind_a_link_shows() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = elsewhere.path().join("entry");
        std::fs::write(&target, "1").unwrap();
        std::os::unix::fs::symlink(&target, folder.path().join("a.pb")).unwrap();
        let before = Fingerprint::of(folder.path()).unwrap();
        std::fs::write(&target, "longer").unwrap();
        assert_ne!(Fingerprint::of(folder.path()).unwrap(), before);
    }

    #[test]
    fn only_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let _pipe_like = std::os::unix::net::UnixListener::bind(folder.path().join("a.pb")).unwrap();
        assert_eq!(Fingerprint::of(folder.path()).unwrap().paths().count(), 0);
    }
}
