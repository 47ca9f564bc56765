//! The vendor's trust bundle as an administrator believes it: signed by a pinned vendor key, never older than one seen.
//!
//! What was seen last is kept in the state folder; the broker cannot make us go back.

use std::path::{Path, PathBuf};

use prost::Message;
use serde::{Deserialize, Serialize};
use tunnel_certs::{
    file::{self, FileError},
    key::PublicKey,
    statement::{
        envelope,
        trust_bundle::{OpenError, TrustBundle},
    },
};
use tunnel_protos::{Digest, VendorName, v1};

use crate::folder;

/// Why a trust bundle is not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The broker gave none.
    #[error("the broker shows no trust bundle; is it configured with one?")]
    Missing,
    /// The bundle does not hold.
    #[error("the trust bundle is not believed")]
    Bundle(#[source] OpenError),
    /// Another vendor's.
    #[error("the trust bundle is of {0}, another vendor than that of your identity")]
    OtherVendor(VendorName),
    /// Older than one seen before.
    #[error(
        "the broker shows trust bundle {got}, and this machine has seen {seen}: it withholds the newer one"
    )]
    Older {
        /// The highest sequence seen.
        seen: u64,
        /// The one that came.
        got: u64,
    },
    /// Two bundles with the same sequence.
    #[error("another trust bundle with sequence {0} was seen on this machine")]
    Changed(u64),
    /// The memory could not be read or written.
    #[error("cannot keep track of trust bundles")]
    Memory(#[source] FileError),
    /// The memory is damaged; going on would forget it.
    #[error("{} is damaged: restore it, or delete it and compare `tunnelctl trust show` with another administrator", .0.display())]
    Damaged(PathBuf),
}

/// A trust bundle that holds.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    /// What it says.
    pub bundle: TrustBundle,
    /// As it was signed.
    pub envelope: v1::Envelope,
    /// `SHA-256(PAE)`.
    pub digest: Digest,
}

/// The newest bundle seen, and the keys that sign them.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    path: PathBuf,
    vendor: VendorName,
    vendor_keys: Vec<PublicKey>,
}

impl Memory {
    /// Remembers in `path` what these keys of `vendor` signed.
    pub(crate) fn new(path: &Path, vendor: VendorName, vendor_keys: Vec<PublicKey>) -> Self {
        Self { path: path.into(), vendor, vendor_keys }
    }

    /// Checks a bundle, and remembers it; one that has expired holds, too, to make the next from.
    pub(crate) fn accept(&self, said: Option<v1::Envelope>) -> Result<Current, Error> {
        let current = self.open(said.ok_or(Error::Missing)?)?;
        let (sequence, digest) = (current.bundle.sequence, current.digest);
        self.check_newest(sequence, &digest)?;
        match self.seen()? {
            Some((seen, _)) if sequence == seen => Ok(current),
            _ => self.remember(sequence, &digest).map(|()| current),
        }
    }

    /// Whether this machine has seen none that is newer, and no other with its sequence.
    pub(crate) fn check_newest(&self, sequence: u64, digest: &Digest) -> Result<(), Error> {
        match self.seen()? {
            Some((seen, _)) if sequence < seen => Err(Error::Older { seen, got: sequence }),
            Some((seen, other)) if sequence == seen && *digest != other => Err(Error::Changed(seen)),
            _ => Ok(()),
        }
    }

    /// Checks a bundle without remembering it.
    pub(crate) fn open(&self, envelope: v1::Envelope) -> Result<Current, Error> {
        let bundle = TrustBundle::open_at_any_time(&envelope.encode_to_vec(), &self.vendor_keys);
        let bundle = bundle.map_err(Error::Bundle)?;
        if bundle.vendor != self.vendor {
            return Err(Error::OtherVendor(bundle.vendor));
        }
        let digest = envelope::digest(&envelope);
        Ok(Current { bundle, envelope, digest })
    }

    fn seen(&self) -> Result<Option<(u64, Digest)>, Error> {
        let text = match file::read_private(&self.path) {
            Ok(text) => text,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(Error::Memory(error)),
        };
        let damaged = || Error::Damaged(self.path.clone());
        let seen: Seen = serde_json::from_slice(&text).map_err(|_| damaged())?;
        let digest = data_encoding::HEXLOWER.decode(seen.digest.as_bytes()).map_err(|_| damaged())?;
        Ok(Some((seen.sequence, Digest::try_from(&digest[..]).map_err(|_| damaged())?)))
    }

    fn remember(&self, sequence: u64, digest: &Digest) -> Result<(), Error> {
        let seen = Seen { sequence, digest: digest.to_string() };
        folder::write(&self.path, &serde_json::to_vec(&seen).unwrap_or_default()).map_err(Error::Memory)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    sequence: u64,
    digest: String,
}
