//! Inventory entries as an operator believes them: signed by a pinned vendor key, unexpired, never older than one seen.
//!
//! The newest entry seen of each cluster is kept in the state folder; the broker cannot make us go back.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use data_encoding::{BASE64, HEXLOWER};
use prost::Message;
use serde::{Deserialize, Serialize};
use tunnel_certs::{
    file::{self, FileError},
    key::PublicKey,
    statement::{
        envelope::{self, PayloadType},
        inventory,
    },
};
use tunnel_protos::{ClusterName, Digest, Label, UnixMillis, operators, v1};

use crate::folder;

/// Why a cluster's entry is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker gave no entry.
    #[error("the broker has no inventory entry of this cluster; ask your administrators")]
    Missing,
    /// The entry does not hold.
    #[error("the broker's inventory entry is not believed")]
    Entry(#[source] inventory::OpenError),
    /// The entry that was kept here does not hold.
    #[error("the inventory entry that this machine kept is not believed")]
    Kept(#[source] inventory::OpenError),
    /// An entry of another cluster.
    #[error("the broker gave the inventory entry of {0} instead")]
    OtherCluster(ClusterName),
    /// The broker's label is not the entry's.
    #[error("the broker's label is not that of the inventory entry")]
    OtherLabel,
    /// The memory of entries seen could not be read or written.
    #[error("cannot keep track of inventory entries")]
    Memory(#[source] FileError),
    /// The memory of entries seen is damaged; going on would forget it.
    #[error("{} is damaged: restore it, or delete it and check the cluster's words with your administrators", .0.display())]
    Damaged(PathBuf),
}

/// The entries seen, and the keys that sign them.
#[derive(Debug, Clone)]
pub struct Entries {
    folder: PathBuf,
    vendor_keys: Vec<PublicKey>,
}

impl Entries {
    /// Remembers in `folder` what these keys signed.
    pub fn new(folder: &Path, vendor_keys: Vec<PublicKey>) -> Self {
        Self { folder: folder.into(), vendor_keys }
    }

    /// Checks what the broker says of a cluster, and remembers the entry if it is believed.
    pub fn accept(&self, said: &operators::Cluster, now: UnixMillis) -> Result<inventory::Opened, Error> {
        let envelope = said.entry.as_ref().ok_or(Error::Missing)?;
        let opened =
            inventory::open(&envelope.encode_to_vec(), &self.vendor_keys, now).map_err(Error::Entry)?;
        if said.cluster != opened.entry.cluster.as_str() {
            return Err(Error::OtherCluster(opened.entry.cluster));
        }
        if said.label != opened.entry.label.as_str() {
            return Err(Error::OtherLabel);
        }
        self.keep(&opened, envelope.encode_to_vec(), false)?;
        Ok(opened)
    }

    /// As [`Entries::accept`], for the one cluster that was asked for.
    pub fn accept_as(
        &self,
        cluster: &ClusterName,
        said: &operators::Cluster,
        now: UnixMillis,
    ) -> Result<inventory::Opened, Error> {
        let opened = self.accept(said, now)?;
        if opened.entry.cluster == *cluster {
            Ok(opened)
        } else {
            Err(Error::OtherCluster(opened.entry.cluster))
        }
    }

    /// As [`Entries::accept_as`], but an entry that has expired holds, too: the next one is made from it.
    pub fn accept_lapsed(
        &self,
        cluster: &ClusterName,
        said: &operators::Cluster,
        now: UnixMillis,
    ) -> Result<inventory::Opened, Error> {
        let expires = said.entry.as_ref().and_then(expiry);
        let before_end = expires.map_or(now, |expires| now.min(expires.minus(INSTANT)));
        self.accept_as(cluster, said, before_end)
    }

    /// Checks an entry that is about to be published by us.
    pub fn check(&self, envelope: &v1::Envelope, now: UnixMillis) -> Result<inventory::Opened, Error> {
        inventory::open(&envelope.encode_to_vec(), &self.vendor_keys, now).map_err(Error::Entry)
    }

    /// The sequence of the newest entry seen of a cluster.
    pub fn seen(&self, cluster: &ClusterName) -> Result<Option<u64>, Error> {
        Ok(Seen::read(&self.path(cluster))?.map(|seen| seen.sequence))
    }

    /// Whether somebody at this machine has vouched for an entry of the cluster; to have looked at one is no such word,
    /// for a broker chooses what is looked at first.
    pub fn is_vouched(&self, cluster: &ClusterName) -> Result<bool, Error> {
        Ok(Seen::read(&self.path(cluster))?.is_some_and(|seen| seen.vouched))
    }

    /// Remembers an entry that was published from here.
    pub fn vouch(&self, opened: &inventory::Opened, envelope: &v1::Envelope) -> Result<(), Error> {
        self.keep(opened, envelope.encode_to_vec(), true)
    }

    /// Remembers that the words of an entry, the newest seen, were compared.
    pub fn compared(&self, opened: &inventory::Opened) -> Result<(), Error> {
        self.keep(opened, Vec::new(), true)
    }

    /// The newest entry of a cluster that was vouched for here, over or not, for a broker that has forgotten it; none if
    /// nobody did, or if it was not kept.
    pub fn vouched(&self, cluster: &ClusterName) -> Result<Option<inventory::Opened>, Error> {
        let path = self.path(cluster);
        let seen = Seen::read(&path)?.filter(|seen| seen.vouched && !seen.entry.is_empty());
        let Some(seen) = seen else { return Ok(None) };
        let opened = inventory::open_at_any_time(&seen.entry, &self.vendor_keys).map_err(Error::Kept)?;
        if opened.digest == seen.digest { Ok(Some(opened)) } else { Err(Error::Damaged(path)) }
    }

    /// Every cluster of which an entry was seen.
    pub fn clusters(&self) -> Result<Vec<ClusterName>, Error> {
        let mut clusters = Vec::new();
        for customer in listed(&self.folder)? {
            clusters.extend(listed(&customer)?.iter().filter_map(|path| name(path)));
        }
        Ok(clusters)
    }

    /// Refuses one that does not succeed the newest seen; without its bytes, those that are kept of it stay.
    fn keep(&self, opened: &inventory::Opened, bytes: Vec<u8>, vouched: bool) -> Result<(), Error> {
        let path = self.path(&opened.entry.cluster);
        let before = Seen::read(&path)?;
        if let Some(seen) = &before {
            opened.check_succeeds(seen.sequence, &seen.digest).map_err(Error::Entry)?;
        }
        let same = before.as_ref().filter(|seen| seen.digest == opened.digest);
        let kept = same.map(|seen| seen.entry.clone()).filter(|kept| !kept.is_empty());
        let seen = Seen {
            sequence: opened.entry.sequence,
            digest: opened.digest,
            label: opened.entry.label,
            vouched: vouched || before.as_ref().is_some_and(|seen| seen.vouched),
            entry: kept.unwrap_or(bytes),
        };
        if before.as_ref() == Some(&seen) { Ok(()) } else { seen.write(&path) }
    }

    fn path(&self, cluster: &ClusterName) -> PathBuf {
        self.folder.join(format!("{cluster}.json"))
    }
}

/// The newest entry seen of one cluster.
#[derive(PartialEq, Eq)]
struct Seen {
    sequence: u64,
    digest: Digest,
    label: Label,
    /// This one, or one before it, was vouched for at this machine.
    vouched: bool,
    /// Its envelope; empty if it was seen before envelopes were kept.
    entry: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct SeenFile {
    sequence: u64,
    digest: String,
    label: String,
    #[serde(default)]
    vouched: bool,
    #[serde(default)]
    entry: String,
}

impl Seen {
    fn read(path: &Path) -> Result<Option<Self>, Error> {
        let text = match file::read_private(path) {
            Ok(text) => text,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(Error::Memory(error)),
        };
        Self::parse(&text).map(Some).ok_or_else(|| Error::Damaged(path.into()))
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let file: SeenFile = serde_json::from_slice(text).ok()?;
        let digest = HEXLOWER.decode(file.digest.as_bytes()).ok()?;
        let digest = Digest::try_from(digest.as_slice()).ok()?;
        let label = file.label.parse().ok()?;
        let entry = BASE64.decode(file.entry.as_bytes()).ok()?;
        Some(Self { sequence: file.sequence, digest, label, vouched: file.vouched, entry })
    }

    fn write(&self, path: &Path) -> Result<(), Error> {
        let file = SeenFile {
            sequence: self.sequence,
            digest: self.digest.to_string(),
            label: self.label.to_string(),
            vouched: self.vouched,
            entry: BASE64.encode(&self.entry),
        };
        let text = serde_json::to_vec(&file).unwrap_or_default();
        folder::write(path, &text).map_err(Error::Memory)
    }
}

/// What a folder holds; nothing if it is none.
fn listed(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    use io::ErrorKind::{NotADirectory, NotFound};
    let failed = |source| Error::Memory(FileError::Io { action: "list", path: folder.into(), source });
    match fs::read_dir(folder) {
        Ok(found) => found.map(|one| one.map(|one| one.path()).map_err(failed)).collect(),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

/// The cluster whose memory is at `…/customer/cluster.json`.
fn name(path: &Path) -> Option<ClusterName> {
    let cluster = path.file_name()?.to_str()?.strip_suffix(".json")?;
    let customer = path.parent()?.file_name()?.to_str()?;
    format!("{customer}/{cluster}").parse().ok()
}

/// By the entry's own word; whoever asks verifies it next.
fn expiry(entry: &v1::Envelope) -> Option<UnixMillis> {
    let message: v1::InventoryEntry = envelope::payload(entry, PayloadType::Inventory).ok()?;
    Some(UnixMillis(message.expires_ms))
}

/// Entries that end sooner are warned of: renewing takes an administrator with the vendor key.
pub const DUE: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);
const INSTANT: std::time::Duration = std::time::Duration::from_millis(1);

#[cfg(test)]
mod tests;
