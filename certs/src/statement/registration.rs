//! Registrations: the public keys that a cluster made for itself, on their way to the vendor.

use tunnel_protos::{Digest, Label, PersonText, v1};

use super::envelope::EnvelopeError;
use crate::{
    key::{PublicKey, SealingPublicKey, SignError, Signer},
    words::Words,
};

/// The public keys of a cluster, exported to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The label that the administrator handed over.
    pub label: Label,
    /// PKCS#10 (DER) of the replica's mesh key.
    pub mesh_csr: Vec<u8>,
    /// Ed25519; signs the registration itself.
    pub cluster_key: PublicKey,
    /// Opens requests.
    pub sealing_key: SealingPublicKey,
    /// What the client says of itself, for people; at most 16.
    pub facts: Vec<(PersonText, PersonText)>,
}

/// A registration that its own cluster key signed; only its words, compared by people, tie it to a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What it says.
    pub registration: Registration,
    /// Key of the mesh CSR, whose self-signature was checked.
    pub mesh_key: PublicKey,
    /// `SHA-256(PAE)`.
    pub digest: Digest,
    /// The digest's words.
    pub words: Words,
}

/// Why a registration was refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The envelope does not hold.
    #[error("the registration's envelope")]
    Envelope(#[source] EnvelopeError),
    /// A field outside its grammar or bounds.
    #[error("the registration's {0} is malformed")]
    Field(&'static str),
}

impl Registration {
    /// Signs the registration with the cluster key that it names.
    pub fn make(&self, cluster_key: &dyn Signer) -> Result<v1::Envelope, SignError> {
        todo!()
    }
}

/// Opens a registration's envelope, signed by the cluster key that it names.
pub fn open(bytes: &[u8]) -> Result<Opened, OpenError> {
    todo!()
}
