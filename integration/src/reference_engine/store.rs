//! The key-value store: shards on disk behind one revision counter. A write is in the log before it is answered;
//! it survives the death of the process, not of the machine, until the task "flush".

mod record;
mod shard;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use parking_lot::Mutex;
pub(super) use record::{Corrupt, Decoder, Record, Value};
use shard::Shard;
use thiserror::Error;
use tokio::sync::broadcast;

use crate::generated::admin::v1::ShardDebug;

/// Shards and the stream of their changes.
#[derive(Debug)]
pub(super) struct Store {
    shards: Vec<Mutex<Shard>>,
    revision: AtomicU64,
    changes: broadcast::Sender<Record>,
}

/// Why a store cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A file or folder cannot be read or made.
    #[error("cannot open {path}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// A snapshot does not decode; a log's torn tail is no error.
    #[error("damaged snapshot {path}")]
    Damaged {
        /// The snapshot.
        path: PathBuf,
        /// What went wrong.
        source: Corrupt,
    },
}

/// Sums over all shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) keys: u64,
    pub(super) log_bytes: u64,
    pub(super) snapshot_bytes: u64,
}

impl Store {
    /// Opens the store under `folder`, or makes one of `shards` shards.
    pub(super) fn open(folder: &Path, shards: u32) -> Result<Self, OpenError> {
        let shards = match existing_shards(folder)? {
            0 => shards.clamp(1, MAX_SHARDS),
            found => found,
        };
        let shards = (0..shards)
            .map(|index| Shard::open(&folder.join(shard_name(index))))
            .collect::<Result<Vec<_>, _>>()?;
        let revision = shards.iter().map(Shard::revision).max().unwrap_or(0);
        Ok(Self {
            shards: shards.into_iter().map(Mutex::new).collect(),
            revision: AtomicU64::new(revision),
            changes: broadcast::Sender::new(CHANGES_KEPT),
        })
    }

    pub(super) fn get(&self, key: &str) -> Option<(Bytes, u64)> {
        self.shard(key).lock().get(key, now_millis())
    }

    /// Writes a value, or deletes the key when there is none; tells the new revision.
    pub(super) fn write(&self, key: String, value: Option<Value>) -> io::Result<u64> {
        let mut shard = self.shard(&key).lock();
        let revision = self.revision.fetch_add(1, Ordering::Relaxed) + 1;
        let record = Record { revision, key, value };
        shard.append(&record)?;
        // Sent under the lock, so that a key's changes are seen in order; nobody listening is no error.
        let _ = self.changes.send(record);
        Ok(revision)
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Live records in key order.
    pub(super) fn list(&self, prefix: &str) -> Vec<Record> {
        let now = now_millis();
        let mut records: Vec<_> =
            self.shards.iter().flat_map(|shard| shard.lock().records(prefix, now)).collect();
        records.sort_by(|a, b| a.key.cmp(&b.key));
        records
    }

    /// Changes from now on; a receiver that falls too far behind is told so.
    pub(super) fn watch(&self) -> broadcast::Receiver<Record> {
        self.changes.subscribe()
    }

    /// All live records of one shard, encoded; what `write_encoded` takes.
    pub(super) fn export(&self, shard: usize) -> Bytes {
        self.shards.get(shard).map(|shard| shard.lock().export(now_millis())).unwrap_or_default()
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Relaxed)
    }

    pub(super) fn shard_count(&self) -> usize {
        self.shards.len()
    }

    pub(super) fn sizes(&self) -> Sizes {
        self.shards.iter().map(|shard| shard.lock().sizes()).fold(Sizes::default(), |sum, part| Sizes {
            keys: sum.keys + part.keys,
            log_bytes: sum.log_bytes + part.log_bytes,
            snapshot_bytes: sum.snapshot_bytes + part.snapshot_bytes,
        })
    }

    pub(super) fn debug(&self) -> Vec<ShardDebug> {
        (0..).zip(&self.shards).map(|(index, shard)| shard.lock().debug(index)).collect()
    }

    /// Runs maintenance on one shard while nobody else touches it.
    pub(super) fn maintain(&self, shard: usize, work: Maintenance) -> io::Result<u64> {
        let Some(shard) = self.shards.get(shard) else { return Ok(0) };
        let mut shard = shard.lock();
        match work {
            Maintenance::Compact => shard.compact(),
            Maintenance::Reindex => Ok(shard.sizes().keys),
            Maintenance::Gc => shard.remove_expired(now_millis()),
            Maintenance::Flush => shard.flush(),
            Maintenance::Check => shard.check(),
        }
    }

    fn shard(&self, key: &str) -> &Mutex<Shard> {
        let index = record::CHECKSUM.checksum(key.as_bytes()) as usize % self.shards.len();
        &self.shards[index]
    }
}

/// Work on one shard; each tells what it counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maintenance {
    /// Writes a snapshot and empties the log: bytes freed.
    Compact,
    /// Counts the keys.
    Reindex,
    /// Removes what has expired: keys removed.
    Gc,
    /// Brings the log to the disk: bytes in it.
    Flush,
    /// Reads both files anew: records found good.
    Check,
}

fn existing_shards(folder: &Path) -> Result<u32, OpenError> {
    let missing = |index: &u32| !folder.join(shard_name(*index)).is_dir();
    fs::create_dir_all(folder).map_err(|source| OpenError::File { path: folder.to_owned(), source })?;
    Ok((0..MAX_SHARDS).find(missing).unwrap_or(MAX_SHARDS))
}

fn shard_name(index: u32) -> String {
    format!("shard-{index:03}")
}

/// Time as expiry sees it.
pub(super) fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Each has two files and a lock; more would serve nothing here.
const MAX_SHARDS: u32 = 256;
/// Changes a slow watcher may lag behind.
const CHANGES_KEPT: usize = 1024;

#[cfg(test)]
mod tests;
