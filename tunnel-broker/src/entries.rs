//! Inventory entries: envelopes that the vendor signed, served from a folder as they are.
//! What is served was signed by a vendor key; operators verify it again and trust nothing else.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use prost::Message;
use tracing::{info, warn};
use tunnel_certs::{
    file::{self, FileError},
    key::PublicKey,
    reload::Published,
    statement::inventory,
};
use tunnel_protos::{ClusterName, Label, UnixMillis, v1::Envelope};
use tunnel_runtime::{chain, drain};

use self::fingerprint::Fingerprint;
use crate::{clock, metrics};

mod fingerprint;

/// A cluster that operators may ask for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) cluster: ClusterName,
    /// Its label.
    pub(crate) label: Label,
    /// What the vendor signed.
    pub(crate) envelope: Envelope,
    sequence: u64,
}

/// All entries at one moment.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    by_name: BTreeMap<ClusterName, Arc<Entry>>,
    by_label: HashMap<Label, Arc<Entry>>,
}

/// Why a file is not served.
#[derive(Debug, thiserror::Error)]
enum EntryError {
    #[error("cannot read it")]
    Read(#[source] FileError),
    #[error("not an envelope")]
    Decode(#[source] prost::DecodeError),
    #[error("cannot open it")]
    Open(#[source] inventory::OpenError),
}

/// The folder, read again when it changes.
#[derive(Debug)]
pub(crate) struct Folder {
    path: Option<PathBuf>,
    vendor_keys: Vec<PublicKey>,
    entries: Published<Entries>,
}

impl Entries {
    /// The entry of a cluster.
    pub(crate) fn named(&self, cluster: &ClusterName) -> Option<&Arc<Entry>> {
        self.by_name.get(cluster)
    }

    /// The entry of a label.
    pub(crate) fn labeled(&self, label: Label) -> Option<&Arc<Entry>> {
        self.by_label.get(&label)
    }

    /// Entries in the order of their names, those after `name`.
    pub(crate) fn after<'e>(
        &'e self,
        name: Option<&ClusterName>,
    ) -> impl Iterator<Item = &'e Arc<Entry>> + 'e {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = name.cloned().map_or(Unbounded, Excluded);
        self.by_name.range((from, Unbounded)).map(|(_, entry)| entry)
    }

    /// Of two entries of one cluster the later one counts.
    fn insert(&mut self, entry: Entry) {
        if self.by_name.get(&entry.cluster).is_some_and(|other| other.sequence > entry.sequence) {
            return;
        }
        let entry = Arc::new(entry);
        if let Some(before) = self.by_name.insert(entry.cluster.clone(), Arc::clone(&entry)) {
            self.by_label.remove(&before.label);
        }
        self.by_label.insert(entry.label, entry);
    }
}

impl Folder {
    /// Nothing is served until it is read; without a path nothing ever is.
    pub(crate) fn new(path: Option<PathBuf>, vendor_keys: Vec<PublicKey>) -> Self {
        Self { path, vendor_keys, entries: Published::new(Entries::default()) }
    }

    /// The entries of now.
    pub(crate) fn entries(&self) -> Arc<Entries> {
        self.entries.get()
    }

    /// Reads the folder now and whenever it changes, until drained.
    pub(crate) async fn follow(self: Arc<Self>, drain: drain::Watch) {
        let Some(path) = self.path.clone() else { return drain.draining().await };
        let mut last = None;
        while !drain.is_draining() {
            let folder = Arc::clone(&self);
            let (path, before) = (path.clone(), last.clone());
            // Files are read on a thread for blocking work; it ends by itself.
            let read = tokio::task::spawn_blocking(move || folder.read_if_changed(&path, before.as_ref()));
            if let Ok(now) = read.await {
                last = now;
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = drain.draining() => {}
            }
        }
    }

    fn read_if_changed(&self, path: &Path, before: Option<&Fingerprint>) -> Option<Fingerprint> {
        let now = match Fingerprint::of(path) {
            Ok(now) => now,
            Err(error) => {
                // What was read before stays in use.
                warn!(path = %path.display(), %error, "Cannot list inventory entries");
                return before.cloned();
            }
        };
        if before != Some(&now) {
            self.read(&now, clock::now());
        }
        Some(now)
    }

    fn read(&self, files: &Fingerprint, now: UnixMillis) {
        let (mut entries, mut refused) = (Entries::default(), 0);
        for path in files.paths() {
            match read_entry(path, &self.vendor_keys, now) {
                Ok(entry) => entries.insert(entry),
                Err(error) => {
                    refused += 1;
                    warn!(path = %path.display(), error = %chain(&error), "Inventory entry not served");
                }
            }
        }
        info!(served = entries.by_name.len(), refused, "Inventory entries read");
        metrics::entries(entries.by_name.len(), refused);
        // A file that cannot be read leaves the others in use.
        let Ok(()) = self.entries.replace(Ok::<_, std::convert::Infallible>(entries));
    }
}

fn read_entry(path: &Path, vendor_keys: &[PublicKey], now: UnixMillis) -> Result<Entry, EntryError> {
    let bytes = file::read(path).map_err(EntryError::Read)?;
    let opened = inventory::open(&bytes, vendor_keys, now).map_err(EntryError::Open)?;
    let envelope = Envelope::decode(&bytes[..]).map_err(EntryError::Decode)?;
    let inventory::Entry { cluster, label, sequence, .. } = opened.entry;
    Ok(Entry { cluster, label, envelope, sequence })
}

/// An entry that was just published is there when its administrator looks.
const INTERVAL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
