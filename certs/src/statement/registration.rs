//! Registrations: the public keys that a cluster made for itself, on their way to the vendor.

use prost::Message;
use tunnel_protos::{Digest, Label, PersonText, v1};

use super::envelope::{self, EnvelopeError, PayloadType};
use crate::{
    csr::{self, CsrError},
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
    /// The mesh key's certificate request is refused.
    #[error("the registration's mesh certificate request")]
    Csr(#[source] CsrError),
    /// A field outside its grammar or bounds.
    #[error("the registration's {0} is malformed")]
    Field(&'static str),
}

impl Registration {
    /// Signs the registration with the cluster key that it names.
    pub fn make(&self, cluster_key: &dyn Signer) -> Result<v1::Envelope, SignError> {
        let fact = |(name, value): &(PersonText, PersonText)| v1::Fact {
            name: name.to_string(),
            value: value.to_string(),
        };
        let message = v1::Registration {
            version: VERSION,
            label: self.label.to_string(),
            mesh_csr: self.mesh_csr.clone(),
            cluster_key: self.cluster_key.raw().to_vec(),
            sealing_key: self.sealing_key.as_bytes().to_vec(),
            facts: self.facts.iter().map(fact).collect(),
            ..Default::default()
        };
        envelope::sign(PayloadType::Registration, message.encode_to_vec(), &[(cluster_key, None)])
    }

    fn read(message: v1::Registration) -> Result<Self, OpenError> {
        if message.version != VERSION {
            return Err(OpenError::Field("version"));
        }
        // Only an enrollment has these, and comes another way.
        if !message.bundle_sha256.is_empty() || !message.token_id.is_empty() {
            return Err(OpenError::Field("enrollment"));
        }
        let key = SealingPublicKey::try_from(&message.sealing_key[..]);
        Ok(Self {
            label: message.label.parse().map_err(|_| OpenError::Field("label"))?,
            mesh_csr: message.mesh_csr,
            cluster_key: cluster_key(&message.cluster_key)?,
            sealing_key: key.map_err(|_| OpenError::Field("sealing key"))?,
            facts: facts(&message.facts)?,
        })
    }
}

/// Opens a registration's envelope, signed by the cluster key that it names.
pub fn open(bytes: &[u8]) -> Result<Opened, OpenError> {
    let envelope = envelope::decode(bytes, PayloadType::Registration).map_err(OpenError::Envelope)?;
    let message: v1::Registration = envelope::payload(&envelope, PayloadType::Registration)
        .map_err(|error| OpenError::Envelope(EnvelopeError::Payload(error)))?;
    let registration = Registration::read(message)?;
    let keys = std::slice::from_ref(&registration.cluster_key);
    envelope::verify(&envelope, keys, 1).map_err(OpenError::Envelope)?;
    let mesh_key = csr::public_key(&registration.mesh_csr).map_err(OpenError::Csr)?;
    let digest = envelope::digest(&envelope);
    Ok(Opened { registration, mesh_key, digest, words: Words::of(&digest) })
}

fn cluster_key(raw: &[u8]) -> Result<PublicKey, OpenError> {
    PublicKey::from_ed25519_raw(raw).map_err(|_| OpenError::Field("cluster key"))
}

fn facts(message: &[v1::Fact]) -> Result<Vec<(PersonText, PersonText)>, OpenError> {
    let text = |text: &str| text.parse().map_err(|_| OpenError::Field("fact"));
    if message.len() > MAX_FACTS {
        return Err(OpenError::Field("number of facts"));
    }
    message.iter().map(|fact| Ok((text(&fact.name)?, text(&fact.value)?))).collect()
}

const VERSION: u32 = 1;
/// As many as a person reads.
const MAX_FACTS: usize = 16;

#[cfg(test)]
mod tests;
