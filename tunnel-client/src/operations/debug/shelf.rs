//! Where bundles lie: an archive and a record beside it for each, in a folder that only we can read. What is not whole
//! is deleted at the next start.
//!
//! Invariant: the lock of the records covers changes in memory alone, so who looks never waits for the disk.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};
use tracing::warn;
use tunnel_certs::file::{FileError, read_private};
use tunnel_protos::{OperatorName, RequestId, operations::v1::Bundle};

use super::{Kept, PATIENCE, record::Record};
use crate::operations::disk::Disk;

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
    /// The disk again, which may take it yet.
    #[error("the disk did not take the bundle in time")]
    Late,
}

/// All bundles; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Shelf(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    disk: Box<dyn Disk>,
    records: Mutex<Records>,
    /// Of those who write: one at a time, so that a disk that hangs holds one thread.
    turn: Arc<Semaphore>,
}

type Records = BTreeMap<RequestId, Lying>;

#[derive(Debug)]
struct Lying {
    operator: OperatorName,
    record: Record,
    /// Somebody deletes it: nobody lets it go any more, however long the disk takes.
    doomed: bool,
}

impl Shelf {
    pub(super) fn open(folder: &Path, disk: impl Disk) -> Result<Self, OpenError> {
        let failed = |source| OpenError { path: folder.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed)?;
        let (path, disk) = (folder.to_owned(), Box::new(disk));
        let inner =
            Inner { folder: path, disk, records: Mutex::default(), turn: Arc::new(Semaphore::new(1)) };
        *inner.records.lock() = inner.load().map_err(failed)?;
        Ok(Self(Arc::new(inner)))
    }

    pub(super) fn room(&self) -> Result<(), ShelfError> {
        self.0.room()
    }

    pub(super) fn get(&self, id: &RequestId) -> Option<Record> {
        self.0.get(id)
    }

    /// Whether the bundle with this digest was let go, and nobody deletes it; none if it does not lie here.
    pub(super) fn is_released(&self, id: &RequestId, digest: &[u8; 32]) -> Option<bool> {
        let records = self.0.records.lock();
        let lying = records.get(id).filter(|lying| lying.record.digest() == *digest)?;
        Some(lying.record.is_released())
    }

    pub(super) fn list(&self) -> Vec<Kept> {
        let records = self.0.records.lock();
        let kept = records.iter().map(|(id, lying)| Kept {
            id: *id,
            operator: lying.operator.clone(),
            made_ms: lying.record.made_ms(),
            bundle: lying.record.bundle(),
        });
        let mut kept: Vec<_> = kept.collect();
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.made_ms));
        kept
    }

    /// Where the archive lies.
    pub(super) fn path(&self, id: &RequestId) -> PathBuf {
        self.0.path(id)
    }

    /// Given up, by an error or by being dropped, it leaves nothing behind, however late the disk takes it.
    pub(super) async fn put(
        &self,
        id: RequestId,
        record: Record,
        archive: Vec<u8>,
    ) -> Result<Bundle, ShelfError> {
        let waits = Arc::new(());
        let wanted = Arc::downgrade(&waits);
        let stored = self.write(move |shelf| shelf.put(id, record, &archive, &wanted)).await;
        drop(waits);
        stored
    }

    /// On the disk before in memory: it must not seem released to one who asks and held after a crash.
    pub(super) async fn release(
        &self,
        id: RequestId,
        digest: [u8; 32],
        by: String,
        ms: i64,
    ) -> Result<(), ShelfError> {
        self.write(move |shelf| shelf.release(id, digest, by, ms)).await
    }

    /// From now on it does not leave, and nobody lets it go; false if there is none.
    pub(super) fn hold(&self, id: &RequestId) -> bool {
        self.0.hold(id).is_some()
    }

    /// Holds it; whether it is deleted is the disk's answer. `gone` hears of it once it is, also if nobody waits any more.
    pub(super) async fn delete(
        &self,
        id: RequestId,
        gone: impl FnOnce(&Record) + Send + 'static,
    ) -> Result<(), ShelfError> {
        if !self.hold(&id) {
            return Ok(());
        }
        self.write(move |shelf| shelf.delete(&id, gone)).await
    }

    /// Off the threads that serve, one after the other; whoever gives up waiting leaves the work to its end.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, ShelfError> + Send + 'static,
    ) -> Result<T, ShelfError> {
        let turn = timeout(PATIENCE, Arc::clone(&self.0.turn).acquire_owned());
        let turn = turn.await.ok().and_then(Result::ok).ok_or(ShelfError::Late)?;
        let shelf = Arc::clone(&self.0);
        let done = spawn_blocking(move || {
            let _turn = turn;
            work(&shelf)
        });
        timeout(PATIENCE, done).await.ok().and_then(Result::ok).unwrap_or(Err(ShelfError::Late))
    }
}

impl Inner {
    /// Takes what is whole and deletes the rest.
    fn load(&self) -> io::Result<Records> {
        let mut records = Records::new();
        let names: Vec<_> = fs::read_dir(&self.folder)?.filter_map(Result::ok).collect();
        for entry in names.iter().filter(|entry| has_extension(&entry.path(), RECORD)) {
            match self.whole(&entry.path()) {
                Some((id, lying)) => drop(records.insert(id, lying)),
                None => warn!(file = %entry.path().display(), "Debug bundle is not whole and is deleted"),
            }
        }
        for entry in names {
            let known = records.keys().any(|id| [self.path(id), self.record(id)].contains(&entry.path()));
            if !known && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(records)
    }

    fn whole(&self, path: &Path) -> Option<(RequestId, Lying)> {
        let bytes = read_private(path).ok()?;
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        let (id, operator) = record.names()?;
        let named = self.record(&id) == path;
        let there = fs::metadata(self.path(&id)).is_ok_and(|archive| archive.len() == record.bytes());
        (named && there).then_some((id, Lying { operator, record, doomed: false }))
    }

    fn room(&self) -> Result<(), ShelfError> {
        if self.records.lock().len() < MOST { Ok(()) } else { Err(ShelfError::Full) }
    }

    fn get(&self, id: &RequestId) -> Option<Record> {
        self.records.lock().get(id).map(|lying| lying.record.clone())
    }

    /// The record comes last: without it the archive is nothing. `wanted` is there as long as somebody waits.
    fn put(
        &self,
        id: RequestId,
        record: Record,
        archive: &[u8],
        wanted: &Weak<()>,
    ) -> Result<Bundle, ShelfError> {
        if let Some(known) = self.get(&id) {
            return Ok(known.bundle());
        }
        self.room()?;
        let (_, operator) = record.names().ok_or(ShelfError::Unknown)?;
        let still = || if wanted.strong_count() > 0 { Ok(()) } else { Err(ShelfError::Late) };
        let archived = self.disk.write(&self.path(&id), archive).map_err(ShelfError::Disk);
        let kept = archived.and_then(|()| still()).and_then(|()| self.keep(&id, &record));
        if let Err(error) = kept.and_then(|()| still()) {
            // What stays all the same, the next start deletes: nothing is whole without the other.
            let _ = (self.disk.remove(&self.record(&id)), self.disk.remove(&self.path(&id)));
            return Err(error);
        }
        let bundle = record.bundle();
        self.records.lock().insert(id, Lying { operator, record, doomed: false });
        Ok(bundle)
    }

    fn release(&self, id: RequestId, digest: [u8; 32], by: String, ms: i64) -> Result<(), ShelfError> {
        let same = |record: &Record| record.digest() == digest;
        let record = self.get(&id).filter(same).ok_or(ShelfError::Unknown)?.let_go(by, ms);
        if self.records.lock().get(&id).is_none_or(|lying| lying.doomed) {
            return Err(ShelfError::Unknown);
        }
        self.keep(&id, &record)?;
        if let Some(lying) = self.records.lock().get_mut(&id).filter(|lying| !lying.doomed) {
            lying.record = record;
            return Ok(());
        }
        // It was deleted meanwhile: what is about to go must not be found released after a crash.
        self.hold(&id).map_or(Ok(()), |held| self.keep(&id, &held))?;
        Err(ShelfError::Unknown)
    }

    /// The record goes first: what has none is nothing. What the disk keeps stays here, to be deleted again, and does
    /// not leave any more.
    fn delete(&self, id: &RequestId, gone: impl FnOnce(&Record)) -> Result<(), ShelfError> {
        let Some(held) = self.hold(id) else { return Ok(()) };
        let removed = |path: PathBuf| self.disk.remove(&path).map_err(ShelfError::Disk);
        let record = removed(self.record(id));
        if record.is_err() {
            // A disk that deletes nothing may still write: then it is held after a restart, too.
            let _ = self.keep(id, &held);
        }
        record.and(removed(self.path(id)))?;
        self.records.lock().remove(id);
        gone(&held);
        Ok(())
    }

    /// As it is if nobody let it go, and nobody can any more; none if there is none.
    fn hold(&self, id: &RequestId) -> Option<Record> {
        let mut records = self.records.lock();
        let lying = records.get_mut(id)?;
        lying.doomed = true;
        lying.record.hold();
        Some(lying.record.clone())
    }

    fn path(&self, id: &RequestId) -> PathBuf {
        self.folder.join(format!("{id}.tar.zst"))
    }

    fn record(&self, id: &RequestId) -> PathBuf {
        self.folder.join(format!("{id}.{RECORD}"))
    }

    fn keep(&self, id: &RequestId, record: &Record) -> Result<(), ShelfError> {
        let path = self.record(id);
        let json = serde_json::to_vec(record).map_err(io::Error::other);
        let json = json.map_err(|source| {
            ShelfError::Disk(FileError::Io { action: "write", path: path.clone(), source })
        })?;
        self.disk.write(&path, &json).map_err(ShelfError::Disk)
    }
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension == wanted)
}

const RECORD: &str = "json";

/// Of 64 MiB at most each; who leaves more lying has other troubles.
const MOST: usize = 64;
