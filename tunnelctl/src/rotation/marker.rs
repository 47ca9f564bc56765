//! Which mesh CA a rotation set out from, so that a job that was killed at its very end does not begin another one.

use std::path::{Path, PathBuf};

use tunnel_certs::{
    file::{self, FileError},
    rotation::{CaId, Goal},
};

use super::Error;
use crate::folder;

/// A file with the digest of the CA that was in force at the beginning.
pub(super) struct Marker(PathBuf);

impl Marker {
    pub(super) fn new(state: &Path) -> Self {
        Self(state.join("rotation"))
    }

    /// Notes the CA that issues, unless a rotation is under way.
    pub(super) fn begin(&self, issuing: CaId) -> Result<(), Error> {
        match self.read()? {
            None => folder::write(&self.0, issuing.to_string().as_bytes()).map_err(Error::Marker),
            Some(_) => Ok(()),
        }
    }

    /// Whether the rotation that was noted has reached its end, now that nothing is under way and `issuing` issues.
    pub(super) fn is_over(&self, goal: Goal, issuing: CaId) -> Result<bool, Error> {
        let begun = self.read()?;
        Ok(match goal {
            Goal::Start | Goal::Finish => begun.is_some_and(|begun| begun != issuing.to_string()),
            Goal::RollBack => begun.is_some(),
        })
    }

    /// Forgets it.
    pub(super) fn remove(&self) -> Result<(), Error> {
        match std::fs::remove_file(&self.0) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Marker(FileError::Io { action: "remove", path: self.0.clone(), source }))
            }
            _ => Ok(()),
        }
    }

    fn read(&self) -> Result<Option<String>, Error> {
        match file::read_private(&self.0) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(Error::Marker(error)),
        }
    }
}
