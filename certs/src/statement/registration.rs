//! Registrations: the public keys that a cluster made for itself, on their way to the vendor.
//!
//! What ties one to a customer: the MAC of its enrollment bundle, the cluster key before it, or words that people
//! compared. Opening proves only that the cluster key in it signed it.

mod read;

use prost::Message;
use tunnel_protos::{Digest, Label, PersonText, TokenId, VendorName, v1};

use super::envelope::{self, EnvelopeError, PayloadType};
use crate::{
    csr::{self, CsrError},
    key::{PublicKey, SealingPublicKey, SignError, Signer},
    service_account::{self, Expected},
    words::Words,
};

/// The public keys of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// SHA-256 of the enrollment bundle; none in a file or a replacement, and then no token either.
    pub bundle_sha256: Option<[u8; 32]>,
    /// The enrollment token.
    pub token: Option<TokenId>,
    /// The label that the administrator handed over.
    pub label: Label,
    /// PKCS#10 (DER) of the replica's mesh key.
    pub mesh_csr: Vec<u8>,
    /// Ed25519; signs the registration itself.
    pub cluster_key: PublicKey,
    /// Opens requests.
    pub sealing_key: SealingPublicKey,
    /// JSON Web Key Set of the cluster's service-account issuer, at most 16 KiB; may be empty.
    pub jwks: Vec<u8>,
    /// What the client says of itself, for people; at most 16.
    pub facts: Vec<(PersonText, PersonText)>,
}

/// A registration that its own cluster key signed.
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
        self.sign(&[(cluster_key, None)])
    }

    /// Signs a registration that replaces keys: with the cluster key that it names, and with the one in force.
    pub fn make_replacement(&self, new: &dyn Signer, old: &dyn Signer) -> Result<v1::Envelope, SignError> {
        if new.public() == old.public() {
            return self.make(new);
        }
        self.sign(&[(new, None), (old, None)])
    }

    /// What a service-account token of this cluster must say, if the registration pins an issuer and an account.
    pub fn service_account(&self, vendor: &VendorName) -> Option<Expected> {
        if self.jwks.is_empty() {
            return None;
        }
        Some(Expected {
            audience: service_account::audience(vendor, &self.label),
            issuer: self.fact(SERVICE_ACCOUNT_ISSUER)?.to_owned(),
            subject: self.fact(SERVICE_ACCOUNT_SUBJECT)?.to_owned(),
        })
    }

    /// The value of the fact with this name.
    pub fn fact(&self, name: &str) -> Option<&str> {
        let found = self.facts.iter().find(|(found, _)| found.as_str() == name);
        found.map(|(_, value)| value.as_str())
    }

    fn sign(
        &self,
        signers: &[(&dyn Signer, Option<&rustls_pki_types::CertificateDer<'_>>)],
    ) -> Result<v1::Envelope, SignError> {
        envelope::sign(PayloadType::Registration, self.to_message().encode_to_vec(), signers)
    }

    fn to_message(&self) -> v1::Registration {
        let fact = |(name, value): &(PersonText, PersonText)| v1::Fact {
            name: name.to_string(),
            value: value.to_string(),
        };
        v1::Registration {
            version: VERSION,
            bundle_sha256: self.bundle_sha256.map(|digest| digest.to_vec()).unwrap_or_default(),
            token_id: self.token.map(|token| token.to_string()).unwrap_or_default(),
            label: self.label.to_string(),
            mesh_csr: self.mesh_csr.clone(),
            cluster_key: self.cluster_key.raw().to_vec(),
            sealing_key: self.sealing_key.as_bytes().to_vec(),
            jwks: self.jwks.clone(),
            facts: self.facts.iter().map(fact).collect(),
        }
    }
}

/// Opens a registration's envelope, signed by the cluster key that it names.
pub fn open(bytes: &[u8]) -> Result<Opened, OpenError> {
    open_signed(bytes, None)
}

/// Opens a registration that replaces keys: signed by the cluster key that it names and by `old`, the one in force.
///
/// One that names an enrollment is refused: that way is proven by its MAC.
pub fn open_replacement(bytes: &[u8], old: &PublicKey) -> Result<Opened, OpenError> {
    let opened = open_signed(bytes, Some(old))?;
    match opened.registration.token {
        None => Ok(opened),
        Some(_) => Err(OpenError::Field("enrollment")),
    }
}

fn open_signed(bytes: &[u8], old: Option<&PublicKey>) -> Result<Opened, OpenError> {
    let envelope = envelope::decode(bytes, PayloadType::Registration).map_err(OpenError::Envelope)?;
    let message: v1::Registration = envelope::payload(&envelope, PayloadType::Registration)
        .map_err(|error| OpenError::Envelope(EnvelopeError::Payload(error)))?;
    let registration = read::registration(message)?;
    let mut keys = vec![registration.cluster_key.clone()];
    // The cluster key may stay while the sealing key is replaced; then one signature is both.
    keys.extend(old.filter(|old| **old != registration.cluster_key).cloned());
    envelope::verify(&envelope, &keys, keys.len()).map_err(OpenError::Envelope)?;
    let mesh_key = csr::public_key(&registration.mesh_csr).map_err(OpenError::Csr)?;
    let digest = envelope::digest(&envelope);
    Ok(Opened { registration, mesh_key, digest, words: Words::of(&digest) })
}

/// Name of the fact that pins the issuer of service-account tokens.
pub const SERVICE_ACCOUNT_ISSUER: &str = "serviceAccountIssuer";
/// Name of the fact that pins the account of service-account tokens.
pub const SERVICE_ACCOUNT_SUBJECT: &str = "serviceAccountSubject";
const VERSION: u32 = 1;

#[cfg(test)]
mod tests;
