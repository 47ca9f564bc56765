//! Release manifests of a throw-away vendor: what its release keys sign, and what nobody should sign.

use std::time::Duration;

use anyhow::Result;
use prost::Message;
use tunnel_certs::{
    key::{Algorithm, PublicKey, Signer, SigningKey},
    statement::envelope::{self, PayloadType},
};
use tunnel_protos::v1;

use super::vendor::now;

/// Keys of which so many sign each release.
pub struct ReleaseKeys(Vec<SigningKey>);

/// A manifest before it is signed; whatever a test needs otherwise is changed here.
#[derive(Debug, Clone)]
pub struct Manifest(pub v1::Release);

impl ReleaseKeys {
    /// How many of them it takes.
    pub const THRESHOLD: u32 = 2;

    /// Three.
    pub fn generate() -> Result<Self> {
        let keys: Result<_, _> = (0..3).map(|_| SigningKey::generate(Algorithm::Ed25519)).collect();
        Ok(Self(keys?))
    }

    /// Their public halves, for a trust bundle.
    pub fn public(&self) -> Vec<PublicKey> {
        self.0.iter().map(|key| key.public().clone()).collect()
    }

    /// Signs by as many as it takes.
    pub fn sign(&self, manifest: &Manifest) -> Result<Vec<u8>> {
        self.sign_by(Self::THRESHOLD as usize, manifest)
    }

    /// Signs by so many of them.
    pub fn sign_by(&self, count: usize, manifest: &Manifest) -> Result<Vec<u8>> {
        let signers: Vec<_> = self.0.iter().take(count).map(|key| (key as &dyn Signer, None)).collect();
        Ok(envelope::sign(PayloadType::Release, manifest.0.encode_to_vec(), &signers)?.encode_to_vec())
    }
}

impl Manifest {
    /// Release `name` of `component` with one image.
    pub fn new(component: &str, name: &str, seq: u64) -> Self {
        Self(v1::Release {
            version: 1,
            product: "reference-engine".to_owned(),
            component: component.to_owned(),
            name: name.to_owned(),
            release_seq: seq,
            images: vec![image("registry.example/engine")],
            min_source_seq: 0,
            configuration_schema: 1,
            expires_ms: now().plus(LIFE).0,
        })
    }

    /// The same with its image named like this, for example with a tag.
    pub fn with_repository(mut self, repository: &str) -> Self {
        self.0.images = vec![image(repository)];
        self
    }

    /// The same, to be brought only over that release or a later one.
    pub fn over(mut self, min_source_seq: u64) -> Self {
        self.0.min_source_seq = min_source_seq;
        self
    }

    /// The same, expired.
    pub fn expired(mut self) -> Self {
        self.0.expires_ms = 1;
        self
    }
}

fn image(repository: &str) -> v1::Image {
    let (container, repository) = ("engine".to_owned(), repository.to_owned());
    v1::Image { container, repository, digest: vec![7; 32] }
}

const LIFE: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use tunnel_certs::statement::release;

    use super::*;

    #[test]
    fn what_enough_keys_signed_opens() {
        let keys = ReleaseKeys::generate().unwrap();
        let open = |bytes: &[u8]| release::open(bytes, &keys.public(), ReleaseKeys::THRESHOLD, now());
        let manifest = Manifest::new("storage", "1.1.0", 2);
        assert_eq!(open(&keys.sign(&manifest).unwrap()).unwrap().release.seq, 2);
        assert!(open(&keys.sign_by(1, &manifest).unwrap()).is_err());
        let tagged = manifest.clone().with_repository("registry.example/engine:latest");
        assert!(open(&keys.sign(&tagged).unwrap()).is_err());
        assert!(open(&keys.sign(&manifest.expired()).unwrap()).is_err());
    }
}
