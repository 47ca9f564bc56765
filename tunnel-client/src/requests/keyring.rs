//! The cluster's own keys by the inventory entry that names them: after a change the old ones serve on for those who
//! still hold the old entry.

use std::sync::Arc;

use tunnel_certs::key::{SealingKey, Signer};
use tunnel_protos::{SealingKeyId, UnixMillis};

/// The keys of one inventory entry.
#[derive(Debug, Clone)]
pub struct KeyPair {
    /// Signs outcomes.
    pub cluster: Arc<dyn Signer>,
    /// Opens requests.
    pub sealing: Arc<SealingKey>,
}

/// The keys in force, and those before.
#[derive(Debug, Clone)]
pub struct Keyring {
    /// In force.
    pub current: KeyPair,
    /// Replaced by the current ones; the last moment is that until which they open requests. What they opened they
    /// answer for as long as it is remembered.
    pub previous: Option<(KeyPair, UnixMillis)>,
}

impl Keyring {
    /// Keys that replaced none.
    pub const fn new(current: KeyPair) -> Self {
        Self { current, previous: None }
    }

    /// The keys that open requests at `now`.
    pub(super) fn opening(&self, now: UnixMillis) -> Vec<&SealingKey> {
        let previous = self.previous.as_ref().filter(|(_, until)| now < *until);
        let previous = previous.map(|(pair, _)| &*pair.sealing);
        std::iter::once(&*self.current.sealing).chain(previous).collect()
    }

    /// Signs for those who hold the entry whose sealing key has this id.
    ///
    /// A record of a time when ids were not kept has none, and is of the oldest keys.
    pub(super) fn signer(&self, sealed_to: Option<&SealingKeyId>) -> &dyn Signer {
        match &self.previous {
            Some((pair, _)) if sealed_to != Some(&self.current.sealing.public().id()) => &*pair.cluster,
            _ => &*self.current.cluster,
        }
    }
}

#[cfg(test)]
mod tests {
    use tunnel_certs::key::{Algorithm, SigningKey};

    use super::*;

    fn pair() -> KeyPair {
        KeyPair {
            cluster: Arc::new(SigningKey::generate(Algorithm::Ed25519).unwrap()),
            sealing: Arc::new(SealingKey::generate().unwrap()),
        }
    }

    #[test]
    fn the_old_key_opens_until_its_end_and_signs_for_what_it_opened() {
        let (old, new) = (pair(), pair());
        let ring = Keyring { current: new.clone(), previous: Some((old.clone(), UnixMillis(10))) };
        assert_eq!(ring.opening(UnixMillis(9)).len(), 2);
        assert_eq!(ring.opening(UnixMillis(10)).len(), 1);
        let signer = |pair: &KeyPair| ring.signer(Some(&pair.sealing.public().id())).public().clone();
        assert_eq!(signer(&old), *old.cluster.public());
        assert_eq!(signer(&new), *new.cluster.public());
        assert_eq!(ring.signer(None).public(), old.cluster.public());
    }
}
