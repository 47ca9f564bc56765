//! Whether files changed, by what the file system says of them; their content is read only then.

use std::{os::unix::fs::MetadataExt, path::Path, time::SystemTime};

/// Some files at one moment; one that is not there counts, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint(Vec<Option<(u64, u64, Option<SystemTime>)>>);

impl Fingerprint {
    /// Looks at the files behind these paths; links are followed, since mounted folders consist of them.
    pub(super) fn of(paths: &[&Path]) -> Self {
        let look = |path: &&Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.ino(), metadata.len(), metadata.modified().ok()))
        };
        Self(paths.iter().map(look).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_shows_even_with_the_same_size() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&path, "1").unwrap();
        std::fs::write(&other, "2").unwrap();
        let before = Fingerprint::of(&[&path]);
        assert_eq!(Fingerprint::of(&[&path]), before);
        std::fs::rename(&other, &path).unwrap();
        assert_ne!(Fingerprint::of(&[&path]), before);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(Fingerprint::of(&[&path]), Fingerprint(vec![None]));
    }
}
