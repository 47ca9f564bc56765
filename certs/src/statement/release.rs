//! Release manifests: what the vendor's release keys, k of n, say that a component is made of. Images go by digest only.
//!
//! What the manifest cannot say is the caller's to check: that its `seq` is above the highest seen at the customer, and
//! that what runs there now is not older than `min_source_seq`.

mod image;
mod read;

use prost::Message;
use tunnel_protos::{ComponentName, Digest, Name, PersonText, UnixMillis, v1};

pub use self::image::{ContainerName, Image, ImageError, Repository};
use super::envelope::{self, EnvelopeError, PayloadType};
use crate::{
    key::{PublicKey, SignError, Signer},
    words::Words,
};

/// One release of one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What the vendor sells.
    pub product: Name,
    /// The part of it.
    pub component: ComponentName,
    /// For people, for example `2.4.1`; not blank.
    pub name: PersonText,
    /// Rises with each release of the component; at least 1.
    pub seq: u64,
    /// 1 to 64, each container once.
    pub images: Vec<Image>,
    /// The lowest `seq` that may be upgraded from; below `seq`, 0 for any.
    pub min_source_seq: u64,
    /// Version of the configuration that it reads.
    pub configuration_schema: u32,
    /// Refused from then on.
    pub expires: UnixMillis,
}

/// A release that enough release keys signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What it says.
    pub release: Release,
    /// `SHA-256(PAE)`.
    pub digest: Digest,
    /// The digest's words.
    pub words: Words,
    /// The trusted keys that signed it, each once.
    pub signed_by: Vec<PublicKey>,
}

/// Why a release was refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The envelope does not hold, or fewer keys signed it than needed.
    #[error("the release's envelope")]
    Envelope(#[source] EnvelopeError),
    /// Nobody may sign releases.
    #[error("the vendor's trust bundle names no release keys, so no release can be trusted")]
    NoKeys,
    /// A field outside its grammar or bounds.
    #[error("the release's {0} is malformed or missing")]
    Field(&'static str),
    /// An image outside its grammar, or by tag.
    #[error("the release's image {number}")]
    Image {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        source: ImageError,
    },
    /// Two images for one container.
    #[error("the release has two images for the container {0}")]
    Twice(ContainerName),
    /// Over.
    #[error("the release expired at {0}; ask the vendor for a newer manifest of it")]
    Expired(UnixMillis),
}

/// Why a release did not get another signature.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// It is none that a reader would take.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// This key has signed it.
    #[error("this key has signed the release already")]
    Signed,
    /// As many as an envelope holds.
    #[error("the release has 8 signatures already")]
    Full,
    /// The key refused.
    #[error("the release key did not sign")]
    Sign(#[source] SignError),
}

impl Release {
    /// Most images of one release.
    pub const MAX_IMAGES: usize = 64;

    /// Signs the release with each of `keys`; more can be added by [`add_signature`].
    pub fn make(&self, keys: &[&dyn Signer]) -> Result<v1::Envelope, SignError> {
        let signers: Vec<_> = keys.iter().map(|key| (*key, None)).collect();
        envelope::sign(PayloadType::Release, self.to_message().encode_to_vec(), &signers)
    }

    fn to_message(&self) -> v1::Release {
        v1::Release {
            version: VERSION,
            product: self.product.to_string(),
            component: self.component.to_string(),
            name: self.name.to_string(),
            release_seq: self.seq,
            images: self.images.iter().map(Image::to_message).collect(),
            min_source_seq: self.min_source_seq,
            configuration_schema: self.configuration_schema,
            expires_ms: self.expires.0,
        }
    }
}

impl Opened {
    /// Names of the keys that signed it, for people: the first 16 hexadecimal digits of their ids.
    pub fn signers(&self) -> Vec<String> {
        self.signed_by.iter().map(|key| data_encoding::HEXLOWER.encode(&key.keyid()[..8])).collect()
    }
}

/// Opens a release that may be brought now: signed by `threshold` distinct keys of `keys` (of the trust bundle in
/// force), every field inside its bounds, not expired.
pub fn open(bytes: &[u8], keys: &[PublicKey], threshold: u32, now: UnixMillis) -> Result<Opened, OpenError> {
    let opened = open_at_any_time(bytes, keys, threshold)?;
    if opened.release.expires <= now { Err(OpenError::Expired(opened.release.expires)) } else { Ok(opened) }
}

/// As [`open`], but an expired one holds, too: a run that began in time is finished, and files are looked at later.
pub fn open_at_any_time(bytes: &[u8], keys: &[PublicKey], threshold: u32) -> Result<Opened, OpenError> {
    if keys.is_empty() {
        return Err(OpenError::NoKeys);
    }
    let envelope = envelope::decode(bytes, PayloadType::Release).map_err(OpenError::Envelope)?;
    let threshold = usize::try_from(threshold).unwrap_or(usize::MAX);
    let signed_by = envelope::verify(&envelope, keys, threshold).map_err(OpenError::Envelope)?;
    let (signed_by, digest) = (signed_by.into_iter().cloned().collect(), envelope::digest(&envelope));
    Ok(Opened { release: read_payload(&envelope)?, digest, words: Words::of(&digest), signed_by })
}

/// Reads a release whose signatures nobody has looked at, to show it or to sign it oneself.
pub fn read_unproven(bytes: &[u8]) -> Result<(Release, v1::Envelope), OpenError> {
    let envelope = envelope::decode(bytes, PayloadType::Release).map_err(OpenError::Envelope)?;
    Ok((read_payload(&envelope)?, envelope))
}

/// Adds one signature; the manifest stays byte for byte what the others signed.
pub fn add_signature(bytes: &[u8], key: &dyn Signer) -> Result<v1::Envelope, AddError> {
    let (_, mut envelope) = read_unproven(bytes)?;
    if envelope::verify(&envelope, std::slice::from_ref(key.public()), 1).is_ok() {
        return Err(AddError::Signed);
    }
    if envelope.signatures.len() >= envelope::MAX_SIGNATURES {
        return Err(AddError::Full);
    }
    let payload = envelope.payload.clone();
    let signed = envelope::sign(PayloadType::Release, payload, &[(key, None)]).map_err(AddError::Sign)?;
    envelope.signatures.extend(signed.signatures);
    Ok(envelope)
}

fn read_payload(envelope: &v1::Envelope) -> Result<Release, OpenError> {
    let message = envelope::payload(envelope, PayloadType::Release);
    read::release(&message.map_err(|error| OpenError::Envelope(EnvelopeError::Payload(error)))?)
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests;
