//! The vendor's trust bundle: roots, keys and addresses, signed by a vendor key of the list before.

mod read;

use std::time::Duration;

use prost::Message;
use tunnel_protos::{Suffix, UnixMillis, VendorName, v1};

pub(crate) use self::read::is_host_port;
use super::envelope::{self, EnvelopeError, PayloadType};
use crate::{
    key::{PublicKey, SignError, Signer},
    roots::Roots,
};

/// What a customer and an operator trust of a vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustBundle {
    /// Authority of mesh and operator identities.
    pub vendor: VendorName,
    /// DNS suffix of doors and API.
    pub suffix: Suffix,
    /// A bundle replaces the one before only if higher.
    pub sequence: u64,
    /// At most 90 days ahead.
    pub expires: UnixMillis,
    /// 1 to 8.
    pub vendor_keys: Vec<PublicKey>,
    /// 1 to 4.
    pub mesh_roots: Roots,
    /// 1 to 4.
    pub operator_roots: Roots,
    /// May be empty until releases exist.
    pub release_keys: Vec<PublicKey>,
    /// How many of them sign a release.
    pub release_threshold: u32,
    /// `host:port` of brokers.
    pub broker_addresses: Vec<String>,
    /// CIDR blocks of private addresses that a fleet map may name.
    pub allowed_private_addresses: Vec<String>,
}

/// Why a trust bundle was refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The envelope does not hold.
    #[error("the trust bundle's envelope")]
    Envelope(#[source] EnvelopeError),
    /// A field outside its grammar or bounds.
    #[error("the trust bundle's {0} is malformed")]
    Field(&'static str),
    /// Over.
    #[error("the trust bundle has expired; ask the vendor for a newer one")]
    Expired,
    /// Valid for longer than a bundle may be.
    #[error("the trust bundle is valid for more than 90 days")]
    TooLong,
    /// Not newer than the one in force.
    #[error("trust bundle {got} does not replace bundle {current}")]
    NotNewer {
        /// The one in force.
        current: u64,
        /// The one that came.
        got: u64,
    },
    /// Another vendor's.
    #[error("a trust bundle of another vendor")]
    OtherVendor,
}

impl TrustBundle {
    /// Longest time between making and expiry.
    pub const MAX_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

    /// Signs the bundle with a vendor key of the list before it.
    pub fn make(&self, vendor_key: &dyn Signer) -> Result<v1::Envelope, SignError> {
        envelope::sign(PayloadType::TrustBundle, self.to_message().encode_to_vec(), &[(vendor_key, None)])
    }

    /// Opens the first bundle, signed by one of the pinned vendor keys.
    pub fn open(bytes: &[u8], vendor_keys: &[PublicKey], now: UnixMillis) -> Result<Self, OpenError> {
        let bundle = Self::open_at_any_time(bytes, vendor_keys)?;
        if bundle.expires <= now {
            return Err(OpenError::Expired);
        }
        let latest = now.plus(Self::MAX_LIFE).plus(CLOCKS);
        if bundle.expires > latest { Err(OpenError::TooLong) } else { Ok(bundle) }
    }

    /// Reads a bundle that was opened before it was put into a folder of our own: its keys may have gone since, and an
    /// expired one still tells what is in force.
    pub fn open_stored(bytes: &[u8]) -> Result<Self, OpenError> {
        let kind = PayloadType::TrustBundle;
        let envelope = envelope::decode(bytes, kind).map_err(OpenError::Envelope)?;
        let message = envelope::payload(&envelope, kind).map_err(EnvelopeError::Payload);
        read::bundle(message.map_err(OpenError::Envelope)?)
    }

    /// The same content under the next sequence, to be changed and signed.
    pub fn successor(&self, expires: UnixMillis) -> Self {
        Self { sequence: self.sequence.saturating_add(1), expires, ..self.clone() }
    }

    /// Opens a bundle that is to replace this one: same vendor, higher sequence, signed by a key of this list.
    pub fn open_next(&self, bytes: &[u8], now: UnixMillis) -> Result<Self, OpenError> {
        let next = Self::open(bytes, &self.vendor_keys, now)?;
        if next.vendor != self.vendor {
            return Err(OpenError::OtherVendor);
        }
        if next.sequence <= self.sequence {
            return Err(OpenError::NotNewer { current: self.sequence, got: next.sequence });
        }
        Ok(next)
    }

    /// Opens a bundle whose time is looked at elsewhere, or is to be renewed: signed by one of `vendor_keys`.
    pub fn open_at_any_time(bytes: &[u8], vendor_keys: &[PublicKey]) -> Result<Self, OpenError> {
        let opened = envelope::open(bytes, PayloadType::TrustBundle, vendor_keys);
        let (message, _) = opened.map_err(OpenError::Envelope)?;
        read::bundle(message)
    }

    fn to_message(&self) -> v1::TrustBundle {
        v1::TrustBundle {
            version: VERSION,
            vendor: self.vendor.to_string(),
            suffix: self.suffix.to_string(),
            sequence: self.sequence,
            expires_ms: self.expires.0,
            vendor_keys: raw(&self.vendor_keys),
            mesh_roots: ders(&self.mesh_roots),
            operator_roots: ders(&self.operator_roots),
            release_keys: raw(&self.release_keys),
            release_threshold: self.release_threshold,
            broker_addresses: self.broker_addresses.clone(),
            allowed_private_addresses: self.allowed_private_addresses.clone(),
        }
    }
}

fn raw(keys: &[PublicKey]) -> Vec<Vec<u8>> {
    keys.iter().map(|key| key.raw().to_vec()).collect()
}

fn ders(roots: &Roots) -> Vec<Vec<u8>> {
    roots.certificates().iter().map(|der| der.to_vec()).collect()
}

const VERSION: u32 = 1;
/// Made on another machine, whose clock may be ahead.
const CLOCKS: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
