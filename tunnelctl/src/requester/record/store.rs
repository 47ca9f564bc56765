//! The folder of own requests: open ones with their outcome keys, and those that ended, without.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use prost::Message;
use tunnel_certs::{
    file::{self, FileError},
    key::SealingKey,
};
use tunnel_protos::{RequestId, UnixMillis, v1::SealedRequest};

use super::{Error, Record, What, form};
use crate::{cli::RequestStart, folder, requester::reader::Reader};

/// The requests of one context.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Keeps requests in `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.into() }
    }

    /// Keeps a new request with everything needed to wait for it, and to submit it again.
    pub fn create(&self, record: &Record, key: &SealingKey, sealed: &SealedRequest) -> Result<(), Error> {
        let path = self.file(record.id, KEY);
        folder::make_parent(&path).map_err(|error| Error::File(record.id, error))?;
        key.save(&path).map_err(|error| Error::Key(record.id, error))?;
        self.write(&self.file(record.id, SEALED), record.id, &sealed.encode_to_vec())?;
        self.update(record)
    }

    /// Keeps what changed.
    pub fn update(&self, record: &Record) -> Result<(), Error> {
        self.write(&self.file(record.id, RECORD), record.id, &form::encode(record))
    }

    /// The open request with this id.
    pub fn record(&self, id: RequestId) -> Result<Record, Error> {
        let path = self.file(id, RECORD);
        if path.exists() { read(id, &path) } else { Err(Error::Unknown(id)) }
    }

    /// The request with this id, open or ended.
    pub fn any(&self, id: RequestId) -> Result<Record, Error> {
        match self.record(id) {
            Err(Error::Unknown(_)) if self.ended_file(id).exists() => read(id, &self.ended_file(id)),
            found => found,
        }
    }

    /// The id that a command line means: a whole one as it is, or the one of a request here, open or ended, that begins so.
    pub fn named(&self, start: &RequestStart) -> Result<RequestId, Error> {
        let start = &start.0;
        if let Ok(whole) = start.parse() {
            return Ok(whole);
        }
        let mut found = ids(&self.path)?;
        found.extend(ids(&self.path.join(ENDED))?);
        // Certificates and withdrawals are requests as well, and nobody knows their ids.
        let is_meant = |id: &RequestId| {
            let what = || self.any(*id).map(|record| record.what);
            id.to_string().starts_with(start) && matches!(what(), Ok(What::Access | What::Operation))
        };
        found.retain(is_meant);
        found.sort();
        found.dedup();
        match found[..] {
            [one] => Ok(one),
            [] => Err(Error::Nameless(start.clone())),
            _ => Err(Error::Ambiguous(start.clone(), found.len())),
        }
    }

    /// Reads the answers to a request.
    pub fn reader(&self, record: &Record) -> Result<Reader, Error> {
        let key =
            SealingKey::load(&self.file(record.id, KEY)).map_err(|error| Error::Key(record.id, error))?;
        let newest = record.answer.as_ref().map(|answer| answer.newest);
        Ok(Reader::new(record.cluster_key.clone(), record.digest, record.envelope_id, key, newest))
    }

    /// The sealed request, as it was submitted.
    pub fn sealed(&self, id: RequestId) -> Result<SealedRequest, Error> {
        let path = self.file(id, SEALED);
        let bytes = file::read_private(&path).map_err(|error| Error::File(id, error))?;
        SealedRequest::decode(bytes.as_slice()).map_err(|_| Error::Damaged(path))
    }

    /// Forgets a request altogether; its outcome key goes first.
    pub fn remove(&self, id: RequestId) -> Result<(), Error> {
        [KEY, SEALED, RECORD].iter().try_for_each(|extension| remove(id, &self.file(id, extension)))
    }

    /// A request that ended: its outcome key goes, what was asked and answered stays for `requests --all`.
    pub fn close(&self, record: &Record) -> Result<(), Error> {
        if matches!(record.what, What::Access | What::Operation) {
            self.write(&self.ended_file(record.id), record.id, &form::encode(record))?;
            self.prune()?;
        }
        self.remove(record.id)
    }

    /// All requests that may still be answered or used, oldest first; those whose time is over are closed, and what
    /// cannot be read is left alone for `requests` to name.
    pub fn open(&self, now: UnixMillis) -> Result<Vec<Record>, Error> {
        let mut all = Vec::new();
        for id in ids(&self.path)? {
            match self.record(id) {
                Ok(record) if record.ends() > now => all.push(record),
                Ok(record) => self.close(&record)?,
                Err(_) => {}
            }
        }
        all.sort_by_key(|record| record.issued);
        Ok(all)
    }

    /// Requests that ended, oldest first.
    pub fn ended(&self) -> Result<Vec<Record>, Error> {
        let folder = self.path.join(ENDED);
        let mut all: Vec<_> =
            ids(&folder)?.into_iter().filter_map(|id| read(id, &self.ended_file(id)).ok()).collect();
        all.sort_by_key(|record| record.issued);
        Ok(all)
    }

    /// What stands in the folder and cannot be read.
    pub fn damaged(&self) -> Result<Vec<Error>, Error> {
        Ok(ids(&self.path)?.into_iter().filter_map(|id| self.record(id).err()).collect())
    }

    /// Removes keys that lost their record: a run that was killed between the two leaves one.
    pub fn sweep(&self, now: SystemTime) -> Result<(), Error> {
        for (id, path) in files(&self.path)? {
            let age = std::fs::metadata(&path).and_then(|found| found.modified());
            let stale = age.is_ok_and(|then| now.duration_since(then).is_ok_and(|age| age > STALE));
            if stale && !self.file(id, RECORD).exists() {
                remove(id, &path)?;
            }
        }
        Ok(())
    }

    fn prune(&self) -> Result<(), Error> {
        let ended = self.ended()?;
        let surplus = ended.len().saturating_sub(MOST_ENDED);
        ended.iter().take(surplus).try_for_each(|record| remove(record.id, &self.ended_file(record.id)))
    }

    fn write(&self, path: &Path, id: RequestId, bytes: &[u8]) -> Result<(), Error> {
        folder::write(path, bytes).map_err(|error| Error::File(id, error))
    }

    fn file(&self, id: RequestId, extension: &str) -> PathBuf {
        self.path.join(format!("{id}.{extension}"))
    }

    fn ended_file(&self, id: RequestId) -> PathBuf {
        self.path.join(ENDED).join(format!("{id}.{RECORD}"))
    }
}

fn read(id: RequestId, path: &Path) -> Result<Record, Error> {
    let bytes = file::read_private(path).map_err(|error| Error::File(id, error))?;
    form::decode(&bytes).ok_or(Error::Damaged(path.into()))
}

fn remove(id: RequestId, path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::File(id, FileError::Io { action: "remove", path: path.into(), source }))
        }
        _ => Ok(()),
    }
}

/// The records in a folder.
fn ids(folder: &Path) -> Result<Vec<RequestId>, Error> {
    let is_record = |path: &PathBuf| path.extension().is_some_and(|extension| extension == RECORD);
    let found = files(folder)?.into_iter();
    Ok(found.filter_map(|(id, path)| is_record(&path).then_some(id)).collect())
}

/// Every file in a folder that belongs to a request.
fn files(folder: &Path) -> Result<Vec<(RequestId, PathBuf)>, Error> {
    let failed = |source| Error::List { path: folder.into(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let paths: Vec<_> = paths.collect::<Result<_, _>>().map_err(failed)?;
    Ok(paths.into_iter().filter_map(|path| Some((path.file_stem()?.to_str()?.parse().ok()?, path))).collect())
}

const RECORD: &str = "json";
const KEY: &str = "key";
const SEALED: &str = "pb";
const ENDED: &str = "ended";
/// Some weeks of a busy operator's work; the audit log is the customer's to keep.
const MOST_ENDED: usize = 200;
/// Longer than any run takes from the key to the record.
const STALE: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
