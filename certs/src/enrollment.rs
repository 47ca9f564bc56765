//! Enrollment bundles: all that a customer needs to join a vendor, delivered as a file or as one line of text.
//!
//! Delivering the bundle is the root of trust: whoever holds it can redeem it once. It is 0600 and never shown.

mod check;
mod read;
mod secret;

use std::{path::Path, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use prost::Message;
use tunnel_protos::{
    ClusterName, Label, Suffix, TokenId, UnixMillis, VendorName,
    v1::{self, TokenKind},
};
use zeroize::{Zeroize, Zeroizing};

pub use self::{
    check::CheckError,
    secret::{BrokerSecret, EndsSecret, MacError, Secret, SecretError},
};
use crate::{
    crypto,
    file::{self, FileError},
    key::PublicKey,
    statement::trust_bundle::{self, TrustBundle},
};

/// What `tunnelctl enroll create` hands to a customer.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The vendor.
    pub vendor: VendorName,
    /// DNS suffix of doors and API.
    pub suffix: Suffix,
    /// `host:port` of brokers, 1 to 64.
    pub broker_addresses: Vec<String>,
    /// What the customer pins, 1 to 8.
    pub vendor_keys: Vec<PublicKey>,
    /// The trust bundle, signed by one of `vendor_keys`.
    pub trust_bundle: v1::Envelope,
    /// The cluster's name.
    pub cluster: ClusterName,
    /// Its label, the only one that the token is good for.
    pub label: Label,
    /// First or further replica; never unspecified.
    pub kind: TokenKind,
    /// The token.
    pub token: TokenId,
    /// Proves the token to the broker, and the registration to the administrator.
    pub secret: Secret,
    /// When the token ends.
    pub expires: UnixMillis,
}

/// A bundle that was read, and what its registration must name.
#[derive(Debug, Clone)]
pub struct Opened {
    /// What it says; whether it has expired is the caller's to look at.
    pub bundle: Bundle,
    /// SHA-256 of its bytes, of which the text is only a spelling.
    pub sha256: [u8; 32],
}

/// Why a bundle was refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// More bytes than any bundle has.
    #[error("larger than any enrollment bundle")]
    TooLarge,
    /// Neither the bytes nor their base64url, or written by a newer version.
    #[error("not an enrollment bundle of this version; was all of it copied?")]
    Malformed,
    /// A field outside its grammar or bounds.
    #[error("the enrollment bundle's {0} is malformed")]
    Field(&'static str),
    /// The trust bundle within is not the vendor's.
    #[error("the enrollment bundle's trust bundle")]
    Trust(#[source] trust_bundle::OpenError),
    /// The trust bundle within is another vendor's.
    #[error("the enrollment bundle and its trust bundle name different vendors")]
    OtherVendor,
}

impl Bundle {
    /// How long a token is good for unless the administrator says otherwise: a weekend and a day.
    pub const DEFAULT_LIFE: Duration = Duration::from_secs(72 * 3600);
    /// Longest life of a token: it is a secret that waits in somebody's mail.
    pub const MAX_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

    /// The bytes of the file; the same bundle always has the same.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut message = self.to_message();
        let bytes = Zeroizing::new(message.encode_to_vec());
        message.secret.zeroize();
        bytes
    }

    /// As one line of text: base64url of the bytes, unpadded.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64URL_NOPAD.encode(&self.encode()))
    }

    /// Reads the bytes or their text (however mail wrapped it). Does not look at `expires`: the caller says it clearly.
    pub fn open(bytes_or_text: &[u8]) -> Result<Opened, OpenError> {
        if bytes_or_text.len() > MAX_TEXT {
            return Err(OpenError::TooLarge);
        }
        let bytes = read::bytes(bytes_or_text)?;
        let sha256 = crypto::sha256(&bytes);
        Ok(Opened { bundle: read::bundle(&bytes)?, sha256 })
    }

    /// Reads a 0600 file; one that others can read is refused.
    pub fn load(path: &Path) -> Result<Opened, OpenError> {
        Self::open(&file::read_private(path)?)
    }

    /// Creates a 0600 file; an existing one is never overwritten.
    pub fn save(&self, path: &Path) -> Result<(), OpenError> {
        Ok(file::create_private(path, &self.encode())?)
    }

    /// Whether the token is over at `now`.
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        self.expires <= now
    }

    /// The trust bundle within, if it has not expired; if it has, the brokers hold a newer one.
    pub fn trust(&self, now: UnixMillis) -> Result<TrustBundle, OpenError> {
        let bytes = self.trust_bundle.encode_to_vec();
        TrustBundle::open(&bytes, &self.vendor_keys, now).map_err(OpenError::Trust)
    }

    fn to_message(&self) -> v1::EnrollmentBundle {
        v1::EnrollmentBundle {
            version: VERSION,
            vendor: self.vendor.to_string(),
            suffix: self.suffix.to_string(),
            broker_addresses: self.broker_addresses.clone(),
            vendor_keys: self.vendor_keys.iter().map(|key| key.raw().to_vec()).collect(),
            trust_bundle: Some(self.trust_bundle.clone()),
            cluster: self.cluster.to_string(),
            label: self.label.to_string(),
            kind: self.kind.into(),
            token_id: self.token.to_string(),
            secret: self.secret.as_bytes().to_vec(),
            expires_ms: self.expires.0,
        }
    }
}

const VERSION: u32 = 1;
/// The trust bundle's envelope, 64 addresses of brokers, and the rest.
const MAX_BYTES: usize = 96 * 1024;
/// Base64 of that, with line breaks.
const MAX_TEXT: usize = 2 * MAX_BYTES;

#[cfg(test)]
mod tests;
