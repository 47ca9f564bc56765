//! Inventory entries: the vendor key's statement of a cluster's keys. Operators trust nothing else.

use tunnel_protos::{ClusterName, Digest, Label, UnixMillis, v1};

use super::envelope::EnvelopeError;
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
    /// Signs the entry with a vendor key.
    pub fn make(&self, vendor_key: &dyn Signer) -> Result<v1::Envelope, SignError> {
        todo!()
    }
}

/// Opens an entry's envelope: signed by a vendor key, not expired.
pub fn open(bytes: &[u8], vendor_keys: &[PublicKey], now: UnixMillis) -> Result<Opened, OpenError> {
    todo!()
}

impl Opened {
    /// Refuses an entry older than the last one seen; the same sequence must be the same entry.
    pub fn check_succeeds(&self, seen_sequence: u64, seen_digest: &Digest) -> Result<(), OpenError> {
        todo!()
    }
}
