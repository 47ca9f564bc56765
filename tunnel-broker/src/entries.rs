//! Inventory entries: envelopes that the vendor signed, of a folder and of those that were published here.
//! What is served was signed by a vendor key; operators verify it again and trust nothing else.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use prost::Message;
use tunnel_certs::{key::PublicKey, statement::inventory};
use tunnel_protos::{ClusterName, Digest, Label, UnixMillis, v1::Envelope};

pub(crate) use self::served::{Inventory, PublishError};

mod fingerprint;
mod served;

/// A cluster that operators may ask for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) cluster: ClusterName,
    /// Its label.
    pub(crate) label: Label,
    /// What the vendor signed.
    pub(crate) envelope: Envelope,
    /// `SHA-256(PAE)` of it.
    pub(crate) digest: Digest,
    /// Signs what the cluster says of itself.
    pub(crate) cluster_key: PublicKey,
    sequence: u64,
    expires: UnixMillis,
}

/// All entries at one moment.
#[derive(Debug, Default, Clone)]
pub(crate) struct Entries {
    by_name: BTreeMap<ClusterName, Arc<Entry>>,
    by_label: HashMap<Label, Arc<Entry>>,
}

impl Entry {
    /// Opens an envelope that one of the vendor keys signed.
    fn open(
        bytes: &[u8],
        keys: &[PublicKey],
        now: UnixMillis,
    ) -> Result<(Self, inventory::Opened), inventory::OpenError> {
        let opened = inventory::open(bytes, keys, now)?;
        // What was opened is an envelope.
        let envelope = Envelope::decode(bytes).unwrap_or_default();
        let inventory::Entry { cluster, label, cluster_key, sequence, expires, .. } = opened.entry.clone();
        let entry = Self { cluster, label, envelope, digest: opened.digest, cluster_key, sequence, expires };
        Ok((entry, opened))
    }
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

    /// Labels whose entry was another one, or none, in `before`.
    pub(crate) fn changed_since<'e>(&'e self, before: &'e Self) -> impl Iterator<Item = Label> + 'e {
        let same = |entry: &Entry| before.labeled(entry.label).is_some_and(|old| old.digest == entry.digest);
        self.by_label.values().filter(move |entry| !same(entry)).map(|entry| entry.label)
    }

    /// Of two entries of one cluster the later one counts, of two with one sequence the first.
    fn insert(&mut self, entry: Entry) {
        if self.by_name.get(&entry.cluster).is_some_and(|other| other.sequence >= entry.sequence) {
            return;
        }
        let entry = Arc::new(entry);
        if let Some(before) = self.by_name.insert(entry.cluster.clone(), Arc::clone(&entry)) {
            self.by_label.remove(&before.label);
        }
        self.by_label.insert(entry.label, entry);
    }

    fn len(&self) -> usize {
        self.by_name.len()
    }

    /// When the first of them ends.
    fn first_end(&self) -> Option<UnixMillis> {
        self.by_name.values().map(|entry| entry.expires).min()
    }
}

#[cfg(test)]
mod tests;
