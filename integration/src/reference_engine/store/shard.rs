//! One shard: a map in memory, a log of changes and a snapshot on disk. Replaying the log over the snapshot gives the
//! map, also when the process died between writing a snapshot and emptying the log.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};

use super::{
    OpenError, Sizes,
    record::{Corrupt, Decoder, Record, Value},
};
use crate::generated::admin::v1::ShardDebug;

/// Exclusive owner of its two files.
#[derive(Debug)]
pub(super) struct Shard {
    entries: BTreeMap<String, (u64, Value)>,
    revision: u64,
    log: File,
    log_bytes: u64,
    snapshot_bytes: u64,
    recent: VecDeque<String>,
    files: Files,
}

#[derive(Debug)]
struct Files {
    snapshot: PathBuf,
    log: PathBuf,
}

impl Shard {
    /// Reads snapshot and log; cuts a torn record off the end of the log.
    pub(super) fn open(folder: &Path) -> Result<Self, OpenError> {
        let files = Files { snapshot: folder.join("snapshot"), log: folder.join("log") };
        let file_error = |source| OpenError::File { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(file_error)?;
        let log =
            OpenOptions::new().create(true).append(true).read(true).open(&files.log).map_err(file_error)?;
        let mut shard = Self {
            entries: BTreeMap::new(),
            revision: 0,
            log,
            log_bytes: 0,
            snapshot_bytes: 0,
            recent: VecDeque::new(),
            files,
        };
        shard.load_snapshot()?;
        shard.replay_log().map_err(file_error)?;
        Ok(shard)
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn get(&self, key: &str, now: u64) -> Option<(Bytes, u64)> {
        let (revision, value) = self.entries.get(key)?;
        is_live(value, now).then(|| (value.bytes.clone(), *revision))
    }

    /// Logs a change, then applies it.
    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        let mut encoded = BytesMut::new();
        record.encode(&mut encoded);
        self.log.write_all(&encoded)?;
        self.log_bytes += encoded.len() as u64;
        self.apply(record.clone());
        Ok(())
    }

    pub(super) fn records(&self, prefix: &str, now: u64) -> Vec<Record> {
        self.entries
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(_, (_, value))| is_live(value, now))
            .map(|(key, (revision, value))| Record {
                revision: *revision,
                key: key.clone(),
                value: Some(value.clone()),
            })
            .collect()
    }

    pub(super) fn export(&self, now: u64) -> Bytes {
        let mut out = BytesMut::new();
        for record in self.records("", now) {
            record.encode(&mut out);
        }
        out.freeze()
    }

    pub(super) fn sizes(&self) -> Sizes {
        Sizes {
            keys: self.entries.len() as u64,
            log_bytes: self.log_bytes,
            snapshot_bytes: self.snapshot_bytes,
        }
    }

    pub(super) fn debug(&self, index: u32) -> ShardDebug {
        ShardDebug {
            index,
            keys: self.entries.len() as u64,
            log_bytes: self.log_bytes,
            recent_keys: self.recent.iter().cloned().collect(),
        }
    }

    /// Replaces the snapshot by the present state and empties the log; tells the bytes freed.
    pub(super) fn compact(&mut self) -> io::Result<u64> {
        let before = self.log_bytes + self.snapshot_bytes;
        let mut bytes = BytesMut::new();
        // Deletions leave no record behind, and the revision must not fall back with them. It stands before all
        // others, so that a key of this name is put back by its own record.
        Record { revision: self.revision, key: "revision".to_owned(), value: None }.encode(&mut bytes);
        bytes.extend_from_slice(&self.export(WITH_EXPIRED));
        let fresh = self.files.snapshot.with_extension("new");
        let mut file = File::create(&fresh)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.files.snapshot)?;
        self.log.set_len(0)?;
        self.snapshot_bytes = bytes.len() as u64;
        self.log_bytes = 0;
        Ok(before.saturating_sub(self.snapshot_bytes))
    }

    pub(super) fn remove_expired(&mut self, now: u64) -> io::Result<u64> {
        let expired: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, (_, value))| !is_live(value, now))
            .map(|(key, (revision, _))| Record { revision: *revision, key: key.clone(), value: None })
            .collect();
        for record in &expired {
            self.append(record)?;
        }
        Ok(expired.len() as u64)
    }

    pub(super) fn flush(&mut self) -> io::Result<u64> {
        self.log.sync_data()?;
        Ok(self.log_bytes)
    }

    /// Reads both files anew and tells how many records are good.
    pub(super) fn check(&mut self) -> io::Result<u64> {
        let mut good = 0;
        for path in [&self.files.snapshot, &self.files.log] {
            let mut decoder = Decoder::default();
            decoder.extend(&read_or_empty(path)?);
            while decoder.next().map_err(damaged)?.is_some() {
                good += 1;
            }
            decoder.finish().map_err(damaged)?;
        }
        Ok(good)
    }

    fn load_snapshot(&mut self) -> Result<(), OpenError> {
        let path = self.files.snapshot.clone();
        let bytes = read_or_empty(&path).map_err(|source| OpenError::File { path: path.clone(), source })?;
        let damaged = |source| OpenError::Damaged { path: path.clone(), source };
        let mut decoder = Decoder::default();
        decoder.extend(&bytes);
        while let Some(record) = decoder.next().map_err(damaged)? {
            self.apply(record);
        }
        decoder.finish().map_err(damaged)?;
        self.snapshot_bytes = bytes.len() as u64;
        Ok(())
    }

    fn replay_log(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.log.read_to_end(&mut bytes)?;
        let mut decoder = Decoder::default();
        decoder.extend(&bytes);
        // What follows a bad record was never answered as written in full: it is cut off.
        while let Ok(Some(record)) = decoder.next() {
            self.apply(record);
        }
        self.log_bytes = decoder.taken();
        self.log.set_len(self.log_bytes)
    }

    fn apply(&mut self, record: Record) {
        self.revision = self.revision.max(record.revision);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(record.key.clone());
        match record.value {
            Some(value) => self.entries.insert(record.key, (record.revision, value)),
            None => self.entries.remove(&record.key),
        };
    }
}

fn is_live(value: &Value, now: u64) -> bool {
    value.expires_at == 0 || now < value.expires_at
}

fn read_or_empty(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

fn damaged(corrupt: Corrupt) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, corrupt)
}

/// A time at which nothing has expired: removing is the business of the task "gc".
const WITH_EXPIRED: u64 = 0;
/// Keys named in the debug output.
const RECENT: usize = 8;
