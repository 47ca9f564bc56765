//! Where bundles lie: an archive and a record beside it for each, in a folder that only we can read. What is not whole
//! is deleted at the next start.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use tracing::warn;
use tunnel_certs::{
    crypto::sha256,
    file::{FileError, read_private, write_private},
};
use tunnel_protos::{
    OperatorName, RequestId,
    operations::v1::{Bundle, BundleFile},
};

use super::{Collecting, Kept};

/// Why the folder could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("the folder of debug bundles, {}", path.display())]
pub struct OpenError {
    path: PathBuf,
    source: io::Error,
}

/// Why a bundle was not put away.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// Too many.
    #[error(
        "{MOST} debug bundles lie here already; the customer can delete some with `tunnel-client bundle delete`"
    )]
    Full,
    /// None of this id.
    #[error("there is no bundle of this operation")]
    Unknown,
    /// The disk.
    #[error("the disk did not take the bundle")]
    Disk(#[source] FileError),
}

/// What is known of a bundle.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Record {
    id: String,
    operator: String,
    made_ms: i64,
    digest: String,
    bytes: u64,
    files: Vec<RecordedFile>,
    released: Option<Released>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RecordedFile {
    path: String,
    bytes: u64,
    digest: String,
    collector: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Released {
    by: String,
    ms: i64,
}

impl Record {
    pub(super) fn new(
        wanted: &Collecting,
        made_ms: i64,
        files: Vec<BundleFile>,
        archive: &[u8],
        released: bool,
    ) -> Self {
        let file = |file: BundleFile| RecordedFile {
            path: file.path,
            bytes: file.bytes,
            digest: HEXLOWER.encode(&file.digest),
            collector: file.collector,
        };
        Self {
            id: wanted.id.to_string(),
            operator: wanted.operator.to_string(),
            made_ms,
            digest: HEXLOWER.encode(&sha256(archive)),
            bytes: archive.len() as u64,
            files: files.into_iter().map(file).collect(),
            released: released.then(|| Released { by: "policy".to_owned(), ms: made_ms }),
        }
    }

    pub(super) fn bundle(&self) -> Bundle {
        let file = |file: &RecordedFile| BundleFile {
            path: file.path.clone(),
            bytes: file.bytes,
            digest: bytes_of(&file.digest).to_vec(),
            collector: file.collector.clone(),
        };
        Bundle {
            digest: self.digest().to_vec(),
            bytes: self.bytes,
            files: self.files.iter().map(file).collect(),
            released: self.released.is_some(),
            released_by: self.released.as_ref().map(|released| released.by.clone()).unwrap_or_default(),
            released_ms: self.released.as_ref().map(|released| released.ms).unwrap_or_default(),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn operator(&self) -> &str {
        &self.operator
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path == path)
    }

    pub(super) fn digest(&self) -> [u8; 32] {
        bytes_of(&self.digest)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn names(&self) -> Option<(RequestId, OperatorName)> {
        Some((self.id.parse().ok()?, self.operator.parse().ok()?))
    }
}

/// Zeros are the digest of nothing.
fn bytes_of(hex: &str) -> [u8; 32] {
    HEXLOWER.decode(hex.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
}

/// All bundles.
#[derive(Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    records: BTreeMap<RequestId, (OperatorName, Record)>,
}

impl Shelf {
    pub(super) fn open(folder: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError { path: folder.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed)?;
        let mut shelf = Self { folder: folder.to_owned(), records: BTreeMap::new() };
        shelf.load().map_err(failed)?;
        Ok(shelf)
    }

    /// Takes what is whole and deletes the rest.
    fn load(&mut self) -> io::Result<()> {
        let names: Vec<_> = fs::read_dir(&self.folder)?.filter_map(Result::ok).collect();
        for entry in names.iter().filter(|entry| has_extension(&entry.path(), RECORD)) {
            match self.whole(&entry.path()) {
                Some((id, operator, record)) => drop(self.records.insert(id, (operator, record))),
                None => warn!(file = %entry.path().display(), "Debug bundle is not whole and is deleted"),
            }
        }
        for entry in names {
            let known =
                self.records.keys().any(|id| [self.path(id), self.record(id)].contains(&entry.path()));
            if !known && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn whole(&self, path: &Path) -> Option<(RequestId, OperatorName, Record)> {
        let bytes = read_private(path).ok()?;
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        let (id, operator) = record.names()?;
        let named = self.record(&id) == path;
        let there = fs::metadata(self.path(&id)).is_ok_and(|archive| archive.len() == record.bytes);
        (named && there).then_some((id, operator, record))
    }

    pub(super) fn room(&self) -> Result<(), ShelfError> {
        if self.records.len() < MOST { Ok(()) } else { Err(ShelfError::Full) }
    }

    /// The record comes last: without it the archive is nothing.
    pub(super) fn put(
        &mut self,
        id: RequestId,
        record: Record,
        archive: &[u8],
    ) -> Result<Bundle, ShelfError> {
        self.room()?;
        let (_, operator) = record.names().ok_or(ShelfError::Unknown)?;
        write_private(&self.path(&id), archive).map_err(ShelfError::Disk)?;
        self.write(&id, &record)?;
        let bundle = record.bundle();
        self.records.insert(id, (operator, record));
        Ok(bundle)
    }

    pub(super) fn get(&self, id: &RequestId) -> Option<&Record> {
        self.records.get(id).map(|(_, record)| record)
    }

    pub(super) fn list(&self) -> Vec<Kept> {
        let kept = self.records.iter().map(|(id, (operator, record))| Kept {
            id: *id,
            operator: operator.clone(),
            made_ms: record.made_ms,
            bundle: record.bundle(),
        });
        let mut kept: Vec<_> = kept.collect();
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.made_ms));
        kept
    }

    /// On the disk before in memory: it must not seem released to one who asks and held after a crash.
    pub(super) fn release(
        &mut self,
        id: &RequestId,
        digest: [u8; 32],
        by: String,
        ms: i64,
    ) -> Result<(), ShelfError> {
        let same = |record: &&Record| record.digest() == digest;
        let mut record = self.get(id).filter(same).cloned().ok_or(ShelfError::Unknown)?;
        record.released = Some(Released { by, ms });
        self.write(id, &record)?;
        if let Some((_, kept)) = self.records.get_mut(id) {
            *kept = record;
        }
        Ok(())
    }

    /// The record goes first: what has none is nothing.
    pub(super) fn delete(&mut self, id: &RequestId) -> Result<(), ShelfError> {
        if self.records.remove(id).is_none() {
            return Ok(());
        }
        let gone = |path: PathBuf| match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ShelfError::Disk(FileError::Io { action: "delete", path, source: error }))
            }
            Ok(()) | Err(_) => Ok(()),
        };
        gone(self.record(id)).and(gone(self.path(id)))
    }

    /// Where the archive lies.
    pub(super) fn path(&self, id: &RequestId) -> PathBuf {
        self.folder.join(format!("{id}.tar.zst"))
    }

    fn record(&self, id: &RequestId) -> PathBuf {
        self.folder.join(format!("{id}.{RECORD}"))
    }

    fn write(&self, id: &RequestId, record: &Record) -> Result<(), ShelfError> {
        let path = self.record(id);
        let json = serde_json::to_vec(record).map_err(io::Error::other);
        let json = json.map_err(|source| {
            ShelfError::Disk(FileError::Io { action: "write", path: path.clone(), source })
        })?;
        write_private(&path, &json).map_err(ShelfError::Disk)
    }
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

const RECORD: &str = "json";

/// Of 64 MiB at most each; who leaves more lying has other troubles.
const MOST: usize = 64;
