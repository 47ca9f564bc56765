//! Own open requests on disk, each with its outcome key (0600), until the request ends.
//!
//! A record is written before its request leaves, so that no answer can come that could not be read.

use std::path::{Path, PathBuf};

use prost::Message;
use serde::{Deserialize, Serialize};
use tunnel_certs::{
    file::{self, FileError},
    key::{PublicKey, SealingKey, SealingKeyError},
    statement::{
        inventory::Entry,
        request::{Kind, Request},
    },
    words::Words,
};
use tunnel_protos::{
    ClusterName, Digest, EnvelopeId, Label, MethodName, RequestId, TargetName, UnixMillis,
    v1::{RequestState, SealedRequest},
};

use super::reader::{Newest, Reader};
use crate::folder;

mod form;

/// Why an open request could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such request here.
    #[error("no open request {0} on this machine: see `tunnelctl requests`")]
    Unknown(RequestId),
    /// A file could not be read or written.
    #[error("cannot keep request {0}")]
    File(RequestId, #[source] FileError),
    /// The outcome key could not be kept or read.
    #[error("cannot keep the outcome key of request {0}")]
    Key(RequestId, #[source] SealingKeyError),
    /// A file is not what was written.
    #[error("{} is damaged; delete the request's files and ask again", .0.display())]
    Damaged(PathBuf),
    /// The folder could not be listed.
    #[error("cannot list {}", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What a request asks, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// Methods.
    Access,
    /// A certificate under a grant.
    Certificate,
    /// The end of another request.
    Withdraw,
}

/// One own open request.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its id; of a grant it may become, too.
    pub id: RequestId,
    /// What it asks.
    pub what: What,
    /// Whom.
    pub cluster: ClusterName,
    /// The cluster's label.
    pub label: Label,
    /// The key that signs the answers, from the verified entry.
    pub cluster_key: PublicKey,
    /// Digest of its envelope.
    pub digest: Digest,
    /// What the broker knows it by.
    pub envelope_id: EnvelopeId,
    /// When it was made.
    pub issued: UnixMillis,
    /// When the request itself expires.
    pub expires: UnixMillis,
    /// Methods as asked.
    pub methods: Vec<String>,
    /// Targets as asked.
    pub targets: Vec<String>,
    /// The reason as given.
    pub reason: String,
    /// What the cluster answered last.
    pub answer: Option<Answer>,
}

/// The newest outcome accepted, as far as it is needed later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Guards against going back.
    pub newest: Newest,
    /// Where the request stands.
    pub state: RequestState,
    /// When this state ends by itself.
    pub until: UnixMillis,
    /// Concrete methods granted.
    pub granted: Vec<String>,
    /// No certificate was denied since.
    pub live: bool,
}

impl Record {
    /// What is kept of `request` to the cluster of `to`.
    pub fn new(request: &Request, to: &Entry, digest: Digest, envelope_id: EnvelopeId) -> Self {
        let (what, methods, targets) = match &request.kind {
            Kind::Access(access) => (What::Access, texts(&access.methods), texts(&access.targets)),
            Kind::Certificate(_) => (What::Certificate, Vec::new(), Vec::new()),
            Kind::Withdraw(_) => (What::Withdraw, Vec::new(), Vec::new()),
        };
        Self {
            id: request.id,
            what,
            cluster: to.cluster.clone(),
            label: to.label,
            cluster_key: to.cluster_key.clone(),
            digest,
            envelope_id,
            issued: request.issued,
            expires: request.expires,
            methods,
            targets,
            reason: request.reason.text.to_string(),
            answer: None,
        }
    }

    /// Whether it was granted and its time is not over.
    pub fn is_granted(&self, now: UnixMillis) -> bool {
        self.answer.as_ref().is_some_and(Answer::grants) && self.ends() > now
    }

    /// Whether certificates under it are to be expected.
    pub fn is_live(&self, now: UnixMillis) -> bool {
        self.is_granted(now) && self.answer.as_ref().is_some_and(|answer| answer.live)
    }

    /// Whether `method` on `target` was granted.
    pub fn allows(&self, method: &MethodName, target: &TargetName) -> bool {
        let granted = self.answer.iter().flat_map(|answer| &answer.granted);
        self.targets.iter().any(|asked| asked == target.as_str())
            && granted.into_iter().any(|granted| granted == method.as_str())
    }

    /// The words that stand for it, on both sides.
    pub fn words(&self) -> Words {
        Words::of(&self.digest)
    }

    /// When nothing can come of it any more.
    pub fn ends(&self) -> UnixMillis {
        match &self.answer {
            Some(answer) if answer.until.0 > 0 => answer.until,
            _ => self.expires,
        }
    }
}

impl Answer {
    fn grants(&self) -> bool {
        matches!(self.state, RequestState::Approved | RequestState::Active)
    }
}

/// The folder of open requests of one context.
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
        self.write(record.id, SEALED, &sealed.encode_to_vec())?;
        self.update(record)
    }

    /// Keeps what changed.
    pub fn update(&self, record: &Record) -> Result<(), Error> {
        self.write(record.id, RECORD, &form::encode(record))
    }

    /// The request with this id.
    pub fn record(&self, id: RequestId) -> Result<Record, Error> {
        let path = self.file(id, RECORD);
        if !path.exists() {
            return Err(Error::Unknown(id));
        }
        let bytes = file::read_private(&path).map_err(|error| Error::File(id, error))?;
        form::decode(&bytes).ok_or(Error::Damaged(path))
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

    /// Forgets a request that ended; its outcome key goes first.
    pub fn remove(&self, id: RequestId) -> Result<(), Error> {
        for extension in [KEY, SEALED, RECORD] {
            let path = self.file(id, extension);
            match std::fs::remove_file(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::File(id, FileError::Io { action: "remove", path, source }));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// All requests that may still be answered or used, oldest first; those whose time is over are forgotten.
    pub fn open(&self, now: UnixMillis) -> Result<Vec<Record>, Error> {
        let mut all = Vec::new();
        for id in self.ids()? {
            let record = self.record(id)?;
            if record.ends() > now { all.push(record) } else { self.remove(id)? }
        }
        all.sort_by_key(|record| record.issued);
        Ok(all)
    }

    fn ids(&self) -> Result<Vec<RequestId>, Error> {
        let failed = |source| Error::List { path: self.path.clone(), source };
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        let names: Vec<_> = names.collect::<Result<_, _>>().map_err(failed)?;
        Ok(names.iter().filter_map(|name| name.to_str()?.strip_suffix(".json")?.parse().ok()).collect())
    }

    fn write(&self, id: RequestId, extension: &str, bytes: &[u8]) -> Result<(), Error> {
        folder::write(&self.file(id, extension), bytes).map_err(|error| Error::File(id, error))
    }

    fn file(&self, id: RequestId, extension: &str) -> PathBuf {
        self.path.join(format!("{id}.{extension}"))
    }
}

fn texts(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

const RECORD: &str = "json";
const KEY: &str = "key";
const SEALED: &str = "pb";

#[cfg(test)]
mod tests;
