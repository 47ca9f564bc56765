//! Inventory entries: the vendor key's statement of a cluster's keys. Operators trust nothing else.

use std::{cmp::Ordering, time::Duration};

use prost::Message;
use tunnel_protos::{ClusterName, Digest, Label, UnixMillis, v1};

use super::envelope::{self, EnvelopeError, PayloadType};
use crate::{
    key::{PublicKey, SealingPublicKey, SignError, Signer},
    words::Words,
};

/// The keys of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The cluster's name.
    pub cluster: ClusterName,
    /// Its label.
    pub label: Label,
    /// Ed25519; signs outcomes.
    pub cluster_key: PublicKey,
    /// Opens requests.
    pub sealing_key: SealingPublicKey,
    /// Operators refuse a lower one than the last they saw.
    pub sequence: u64,
    /// At most 180 days ahead.
    pub expires: UnixMillis,
}

/// An entry that a vendor key signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What it says.
    pub entry: Entry,
    /// `SHA-256(PAE)`.
    pub digest: Digest,
    /// The digest's words.
    pub words: Words,
}

/// Why an entry was refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The envelope does not hold.
    #[error("the inventory entry's envelope")]
    Envelope(#[source] EnvelopeError),
    /// A field outside its grammar or bounds.
    #[error("the inventory entry's {0} is malformed")]
    Field(&'static str),
    /// Over.
    #[error("the inventory entry has expired; ask the vendor's administrator to renew it")]
    Expired,
    /// Valid for longer than an entry may be.
    #[error("the inventory entry is valid for more than 180 days")]
    TooLong,
    /// Older than one seen before.
    #[error("inventory entry {got} came after entry {seen}")]
    Older {
        /// The highest sequence seen.
        seen: u64,
        /// The one that came.
        got: u64,
    },
    /// Two entries with the same sequence.
    #[error("another inventory entry with the same sequence was seen before")]
    Changed,
}

impl Entry {
    /// Longest time between making and expiry.
    pub const MAX_LIFE: Duration = Duration::from_secs(180 * 24 * 3600);

    /// Signs the entry with a vendor key.
    pub fn make(&self, vendor_key: &dyn Signer) -> Result<v1::Envelope, SignError> {
        let message = v1::InventoryEntry {
            version: VERSION,
            cluster: self.cluster.to_string(),
            label: self.label.to_string(),
            cluster_key: self.cluster_key.raw().to_vec(),
            sealing_key: self.sealing_key.as_bytes().to_vec(),
            sequence: self.sequence,
            expires_ms: self.expires.0,
        };
        envelope::sign(PayloadType::Inventory, message.encode_to_vec(), &[(vendor_key, None)])
    }

    fn read(message: &v1::InventoryEntry) -> Result<Self, OpenError> {
        if message.version != VERSION {
            return Err(OpenError::Field("version"));
        }
        let key = SealingPublicKey::try_from(&message.sealing_key[..]);
        Ok(Self {
            cluster: message.cluster.parse().map_err(|_| OpenError::Field("cluster"))?,
            label: message.label.parse().map_err(|_| OpenError::Field("label"))?,
            cluster_key: PublicKey::from_ed25519_raw(&message.cluster_key)
                .map_err(|_| OpenError::Field("cluster key"))?,
            sealing_key: key.map_err(|_| OpenError::Field("sealing key"))?,
            sequence: message.sequence,
            expires: UnixMillis(message.expires_ms),
        })
    }
}

/// Opens an entry's envelope: signed by a vendor key, not expired.
pub fn open(bytes: &[u8], vendor_keys: &[PublicKey], now: UnixMillis) -> Result<Opened, OpenError> {
    let opened = open_at_any_time(bytes, vendor_keys)?;
    if opened.entry.expires <= now {
        return Err(OpenError::Expired);
    }
    if opened.entry.expires > now.plus(Entry::MAX_LIFE).plus(CLOCKS) {
        return Err(OpenError::TooLong);
    }
    Ok(opened)
}

/// Opens an entry that is to be renewed: signed by a vendor key, whatever its time.
pub fn open_at_any_time(bytes: &[u8], vendor_keys: &[PublicKey]) -> Result<Opened, OpenError> {
    let opened = envelope::open(bytes, PayloadType::Inventory, vendor_keys);
    let (message, envelope) = opened.map_err(OpenError::Envelope)?;
    let entry = Entry::read(&message)?;
    let digest = envelope::digest(&envelope);
    Ok(Opened { entry, digest, words: Words::of(&digest) })
}

impl Opened {
    /// Refuses an entry older than the last one seen; the same sequence must be the same entry.
    pub fn check_succeeds(&self, seen_sequence: u64, seen_digest: &Digest) -> Result<(), OpenError> {
        let got = self.entry.sequence;
        match got.cmp(&seen_sequence) {
            Ordering::Less => Err(OpenError::Older { seen: seen_sequence, got }),
            Ordering::Equal if self.digest != *seen_digest => Err(OpenError::Changed),
            Ordering::Equal | Ordering::Greater => Ok(()),
        }
    }
}

const VERSION: u32 = 1;
/// Made on another machine, whose clock may be ahead.
const CLOCKS: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
