//! The vendor's trust bundle: roots, keys and addresses, signed by a vendor key of the list before.

use tunnel_protos::{Suffix, UnixMillis, VendorName, v1};

use super::envelope::EnvelopeError;
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
    /// Signs the bundle with a vendor key of the list before it.
    pub fn make(&self, vendor_key: &dyn Signer) -> Result<v1::Envelope, SignError> {
        todo!()
    }

    /// Opens the first bundle, signed by one of the pinned vendor keys.
    pub fn open(bytes: &[u8], vendor_keys: &[PublicKey], now: UnixMillis) -> Result<Self, OpenError> {
        todo!()
    }

    /// Opens a bundle that is to replace this one: same vendor, higher sequence, signed by a key of this list.
    pub fn open_next(&self, bytes: &[u8], now: UnixMillis) -> Result<Self, OpenError> {
        todo!()
    }
}
