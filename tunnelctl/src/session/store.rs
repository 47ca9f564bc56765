//! The sessions of one context in the runtime folder, one folder per grant; gone when the grant ends.

use std::{
    io,
    path::{Path, PathBuf},
};

use tunnel_protos::{ClusterName, GrantId, MethodName, TargetName, UnixMillis};

use super::{Error, Session};

/// The sessions of one context.
#[derive(Debug, Clone)]
pub struct Sessions {
    path: PathBuf,
}

impl Sessions {
    /// Keeps sessions in `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.into() }
    }

    /// Where the files of a grant belong.
    pub fn folder(&self, grant: GrantId) -> PathBuf {
        self.path.join(grant.to_string())
    }

    /// Where something else of this context belongs that lives as long as a session.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A session that may call `method` on `target` of `cluster` now; the one that lasts longest.
    pub fn find(
        &self,
        cluster: &ClusterName,
        method: &MethodName,
        target: &TargetName,
        now: UnixMillis,
    ) -> Result<Option<Session>, Error> {
        let mut all = self.live(now)?;
        all.retain(|session| session.cluster == *cluster && session.allows(method, target, now));
        Ok(all.into_iter().max_by_key(|session| session.certificate_until))
    }

    /// Every session whose grant goes on; the keys of the others are removed.
    pub fn live(&self, now: UnixMillis) -> Result<Vec<Session>, Error> {
        let mut live = Vec::new();
        for folder in self.folders()? {
            match Session::load(&folder) {
                Ok(session) if session.until > now => live.push(session),
                // A half-written one is as useless as an ended one.
                _ => remove(&folder)?,
            }
        }
        Ok(live)
    }

    /// Removes the keys of a grant that ended.
    pub fn remove(&self, grant: GrantId) -> Result<(), Error> {
        remove(&self.folder(grant))
    }

    fn folders(&self) -> Result<Vec<PathBuf>, Error> {
        let failed = |source| Error::Folder { path: self.path.clone(), source };
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
        Ok(paths.map_err(failed)?.into_iter().filter(|path| is_grant(path)).collect())
    }
}

/// Nothing but what this program made is ever removed.
fn is_grant(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.parse::<GrantId>().is_ok())
}

fn remove(folder: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::Folder { path: folder.into(), source })
        }
        _ => Ok(()),
    }
}
