//! What is looked at before it may be believed. Pure, but for reading the customer's own files.

use std::path::Path;

use tunnel_certs::{
    file,
    key::PublicKey,
    statement::trust_bundle::{OpenError, TrustBundle},
};
use tunnel_protos::UnixMillis;

use super::{BundleError, load::LoadError};
use crate::config::TrustConfig;

/// The next bundle, signed by a vendor key of the one in force or by one of `pinned`; none if it is in force.
pub(super) fn next(
    current: &TrustBundle,
    bytes: &[u8],
    pinned: &[PublicKey],
    now: UnixMillis,
) -> Result<Option<TrustBundle>, BundleError> {
    let keys: Vec<_> = current.vendor_keys.iter().chain(pinned).cloned().collect();
    let next = TrustBundle::open(bytes, &keys, now)?;
    if next.vendor != current.vendor {
        return Err(OpenError::OtherVendor.into());
    }
    match next.sequence.cmp(&current.sequence) {
        std::cmp::Ordering::Greater => Ok(Some(next)),
        std::cmp::Ordering::Equal if next == *current => Ok(None),
        std::cmp::Ordering::Equal => Err(BundleError::Changed(next.sequence)),
        std::cmp::Ordering::Less => {
            Err(OpenError::NotNewer { current: current.sequence, got: next.sequence }.into())
        }
    }
}

/// The vendor keys that the customer's configuration pins.
pub(super) fn pinned(files: &TrustConfig) -> Result<Vec<PublicKey>, LoadError> {
    files.vendor_keys.iter().map(|path| vendor_key(path)).collect()
}

fn vendor_key(path: &Path) -> Result<PublicKey, LoadError> {
    let pem = file::read(path).map_err(LoadError::File)?;
    PublicKey::from_pem(&String::from_utf8_lossy(&pem))
        .map_err(|error| LoadError::Key(path.to_owned(), error))
}
