//! The entries that are served: those of the folder, which is followed, and those of the database, which administrators
//! published. Of each cluster the higher sequence counts. All of them are looked at again when the vendor keys change.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{Semaphore, watch};
use tracing::{info, warn};
use tunnel_certs::{
    file::{self, FileError},
    key::PublicKey,
    reload::Published,
    statement::inventory,
};
use tunnel_protos::{ClusterName, UnixMillis, v1::Envelope};
use tunnel_runtime::{chain, drain};

use super::{Entries, Entry, fingerprint::Fingerprint};
use crate::{
    clock, metrics,
    store::{Store, StoreError},
    trust::{Trusted, changed},
};

/// The entries that are served.
#[derive(Debug)]
pub(crate) struct Inventory {
    path: Option<PathBuf>,
    store: Store,
    trust: watch::Receiver<Arc<Trusted>>,
    served: Published<Entries>,
    /// What was last read.
    read: Mutex<Option<Read>>,
    /// One change at a time.
    turn: Semaphore,
}

/// What a reading went by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Read {
    files: Fingerprint,
    vendor_keys: Vec<PublicKey>,
}

/// Why an entry was not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// It does not hold, or does not succeed the one before.
    #[error(transparent)]
    Refused(inventory::OpenError),
    /// Sessions would go to the wrong cluster.
    #[error("the label belongs to {0} already; enroll {1} with a label of its own")]
    OtherCluster(ClusterName, ClusterName),
    /// Not stored, so not published.
    #[error("the database failed, try again")]
    Store(#[source] StoreError),
}

/// Why a file is not served.
#[derive(Debug, thiserror::Error)]
enum EntryError {
    #[error("cannot read it")]
    File(#[source] FileError),
    #[error("cannot open it")]
    Open(#[source] inventory::OpenError),
}

impl Inventory {
    /// Reads folder and database.
    pub(crate) async fn open(
        path: Option<PathBuf>,
        store: Store,
        trust: watch::Receiver<Arc<Trusted>>,
    ) -> Result<Arc<Self>, StoreError> {
        let (served, read) = (Published::new(Entries::default()), Mutex::default());
        let inventory = Arc::new(Self { path, store, trust, served, read, turn: Semaphore::new(1) });
        inventory.refresh().await?;
        Ok(inventory)
    }

    /// The entries of now.
    pub(crate) fn entries(&self) -> Arc<Entries> {
        self.served.get()
    }

    /// The entries of now and later.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Entries>> {
        self.served.subscribe()
    }

    /// Follows the folder and the vendor keys until drained.
    pub(crate) async fn follow(self: Arc<Self>, drain: drain::Watch) {
        let mut trust = self.trust.clone();
        while !drain.is_draining() {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = changed(&mut trust) => {}
                () = drain.draining() => return,
            }
            if let Err(error) = self.refresh().await {
                // What was read before stays in use.
                warn!(error = %chain(&error), "Inventory entries not read");
            }
        }
    }

    /// Serves an entry that a vendor key signed, once it is stored; the same one again changes nothing.
    pub(crate) async fn publish(
        &self,
        envelope: &Envelope,
        now: UnixMillis,
    ) -> Result<Arc<Entry>, PublishError> {
        // A database call is the longest that anybody waits for.
        let _turn = self.turn.acquire().await.expect("it is never closed");
        let keys = self.vendor_keys();
        let bytes = envelope.encode_to_vec();
        let (entry, opened) = Entry::open(&bytes, &keys, now).map_err(PublishError::Refused)?;
        let before = self.entries();
        if let Some(served) = before.named(&entry.cluster) {
            opened.check_succeeds(served.sequence, &served.digest).map_err(PublishError::Refused)?;
        }
        match before.labeled(entry.label) {
            Some(other) if other.cluster != entry.cluster => {
                return Err(PublishError::OtherCluster(other.cluster.clone(), entry.cluster));
            }
            _ => {}
        }
        // It may be served from the folder only.
        self.store.put_entry(&entry.cluster, &bytes, now).await.map_err(PublishError::Store)?;
        if let Some(same) = before.named(&entry.cluster).filter(|served| served.digest == entry.digest) {
            return Ok(Arc::clone(same));
        }
        let mut entries = (*before).clone();
        entries.insert(entry.clone());
        self.serve(entries);
        Ok(Arc::new(entry))
    }

    /// Reads everything again if folder or vendor keys changed.
    async fn refresh(&self) -> Result<(), StoreError> {
        let _turn = self.turn.acquire().await.expect("it is never closed");
        let before = self.read.lock().clone();
        let Some(files) = self.list(before.as_ref().map(|read| &read.files)).await else { return Ok(()) };
        let read = Read { files, vendor_keys: self.vendor_keys() };
        if before.as_ref() == Some(&read) {
            return Ok(());
        }
        let stored = self.store.entries().await?;
        let (going, now) = (read.clone(), clock::now());
        // Files are read and signatures checked on a thread for blocking work; it ends by itself.
        let reading = tokio::task::spawn_blocking(move || gather(&going, &stored, now));
        if let Ok((entries, refused)) = reading.await {
            info!(served = entries.len(), refused, "Inventory entries read");
            metrics::entries_refused(refused);
            self.serve(entries);
            *self.read.lock() = Some(read);
        }
        Ok(())
    }

    /// The files of the folder; what was listed before if it cannot be.
    async fn list(&self, before: Option<&Fingerprint>) -> Option<Fingerprint> {
        let Some(path) = self.path.clone() else { return Some(Fingerprint::default()) };
        let before = before.cloned();
        let listing = tokio::task::spawn_blocking(move || list(&path, before));
        listing.await.ok()
    }

    fn vendor_keys(&self) -> Vec<PublicKey> {
        self.trust.borrow().bundle.vendor_keys.clone()
    }

    fn serve(&self, entries: Entries) {
        metrics::entries(entries.len(), entries.first_end());
        let Ok(()) = self.served.replace(Ok::<_, std::convert::Infallible>(entries));
    }
}

fn list(path: &Path, before: Option<Fingerprint>) -> Fingerprint {
    Fingerprint::of(path).unwrap_or_else(|error| {
        // What was read before stays in use.
        warn!(path = %path.display(), %error, "Cannot list inventory entries");
        before.unwrap_or_default()
    })
}

/// Those of the database first: of two with one sequence they count. One that does not hold leaves the others in use.
fn gather(read: &Read, stored: &[Vec<u8>], now: UnixMillis) -> (Entries, usize) {
    let (mut entries, mut refused) = (Entries::default(), 0);
    for bytes in stored {
        match Entry::open(bytes, &read.vendor_keys, now) {
            Ok((entry, _)) => entries.insert(entry),
            Err(error) => {
                refused += 1;
                warn!(error = %chain(&error), "Published inventory entry not served");
            }
        }
    }
    for path in read.files.paths() {
        match read_entry(path, &read.vendor_keys, now) {
            Ok(entry) => entries.insert(entry),
            Err(error) => {
                refused += 1;
                warn!(path = %path.display(), error = %chain(&error), "Inventory entry not served");
            }
        }
    }
    (entries, refused)
}

fn read_entry(path: &Path, vendor_keys: &[PublicKey], now: UnixMillis) -> Result<Entry, EntryError> {
    let bytes = file::read(path).map_err(EntryError::File)?;
    Entry::open(&bytes, vendor_keys, now).map(|(entry, _)| entry).map_err(EntryError::Open)
}

/// An entry that was just put there is served when its administrator looks.
const INTERVAL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enroll::testing::{Bench, Client, DAY, NOW, label};

    #[tokio::test]
    async fn the_same_entry_again_is_served_and_stored_once() {
        let bench = Bench::new().await;
        let store = crate::store::Store::open(&bench.folder.path().join("other.sqlite"), DAY).await.unwrap();
        let inventory = Inventory::open(None, store, bench.trust.subscribe()).await.unwrap();
        let mut served = inventory.subscribe();
        let entry = bench.entry(label('a'), &Client::new());
        inventory.publish(&entry, NOW).await.unwrap();
        assert!(served.has_changed().unwrap());
        served.mark_unchanged();
        inventory.publish(&entry, NOW.plus(DAY)).await.unwrap();
        assert!(!served.has_changed().unwrap());
        assert_eq!(inventory.store.entries().await.unwrap().len(), 1);
    }

    #[test]
    fn a_folder_that_goes_away_leaves_what_was_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.pb"), "a").unwrap();
        let before = Fingerprint::of(folder.path()).unwrap();
        assert_eq!(list(Path::new("/nowhere"), Some(before.clone())), before);
        assert_eq!(list(Path::new("/nowhere"), None), Fingerprint::default());
    }
}
