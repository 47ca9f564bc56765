//! Files that are followed. Whether they changed is told by the file system; their content is read only then.
//! Invariant: what was refused is looked at again until it is taken or gone, since a refusal may be about the moment: a
//! database that is busy, a certificate that is not valid yet. It is told once.

use std::{error::Error, os::unix::fs::MetadataExt, path::Path, time::SystemTime};

use super::failed;
use crate::metrics;

/// Some files at one moment; one that is not there counts, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint(Vec<Option<(u64, u64, Option<SystemTime>)>>);

impl Fingerprint {
    /// Of no files: whatever is there differs.
    pub(super) const fn nothing() -> Self {
        Self(Vec::new())
    }

    /// Looks at the files behind these paths; links are followed, since mounted folders consist of them.
    pub(super) fn of(paths: &[&Path]) -> Self {
        let look = |path: &&Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.ino(), metadata.len(), metadata.modified().ok()))
        };
        Self(paths.iter().map(look).collect())
    }
}

/// Files that are followed.
#[derive(Debug)]
pub(super) struct Followed {
    /// For logs and metrics.
    what: &'static str,
    taken: Fingerprint,
    refused: Option<Fingerprint>,
}

/// What a look at followed files came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// They are what is in use.
    Same,
    /// They are in use from now on.
    Taken,
    /// They are not used, which was told.
    Refused,
    /// The same files are still not used.
    RefusedAgain,
}

impl Followed {
    /// The files as they were when what is in use was read from them.
    pub(super) fn new(what: &'static str, taken: Fingerprint) -> Self {
        metrics::file_refused(what, false);
        Self { what, taken, refused: None }
    }

    /// Whether the files are those in use; a refused one that went away is forgotten.
    pub(super) fn is_in_use(&mut self, found: &Fingerprint) -> bool {
        let same = self.taken == *found;
        if same && self.refused.take().is_some() {
            metrics::file_refused(self.what, false);
        }
        same
    }

    /// Notes what became of files that differ.
    pub(super) fn note<E: Error>(&mut self, found: Fingerprint, taken: Result<(), E>) -> Look {
        match taken {
            Ok(()) => {
                (self.taken, self.refused) = (found, None);
                metrics::file_refused(self.what, false);
                Look::Taken
            }
            Err(_) if self.refused.as_ref() == Some(&found) => Look::RefusedAgain,
            Err(error) => {
                self.refused = Some(found);
                failed(self.what, &error);
                metrics::file_refused(self.what, true);
                Look::Refused
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_file_is_told_once_and_looked_at_until_it_is_taken_or_gone() {
        let at = |seconds| Fingerprint(vec![Some((1, seconds, None))]);
        let refused = || Err(std::fmt::Error);
        let mut followed = Followed::new("trust_bundle", at(1));
        assert!(followed.is_in_use(&at(1)) && !followed.is_in_use(&at(2)));
        assert_eq!(followed.note(at(2), refused()), Look::Refused);
        assert!(!followed.is_in_use(&at(2)));
        assert_eq!(followed.note(at(2), refused()), Look::RefusedAgain);
        assert_eq!(followed.note(at(3), refused()), Look::Refused);
        assert!(followed.is_in_use(&at(1)));
        assert_eq!(followed.note(at(3), refused()), Look::Refused);
        assert_eq!(followed.note::<std::fmt::Error>(at(3), Ok(())), Look::Taken);
        assert!(followed.is_in_use(&at(3)));
    }

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
