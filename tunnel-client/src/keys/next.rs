//! Keys that are to replace those in force, and those that were replaced: files beside them in the state folder.
//!
//! Invariant: at every moment of a change `cluster.key` and `sealing.key` are whole, and a change that was cut short
//! is finished by doing it again.

use std::{fs, path::Path, sync::Arc};

use prost::Message;
use tunnel_certs::{
    file,
    key::{Algorithm, PublicKey, SealingKey, SealingKeyError, SealingPublicKey, Signer, SigningKey},
    statement::registration,
    words::Words,
};
use tunnel_protos::v1;

use super::{Keys, KeysError, Ticket};

/// A cluster key with its sealing key.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Signs outcomes.
    pub cluster: Arc<SigningKey>,
    /// Opens requests.
    pub sealing: Arc<SealingKey>,
}

/// Their public halves, which an inventory entry holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicPair {
    /// Verifies outcomes.
    pub cluster: PublicKey,
    /// Seals requests.
    pub sealing: SealingPublicKey,
}

/// New keys and how they are registered.
#[derive(Debug, Clone)]
pub struct Next {
    /// The keys.
    pub pair: Pair,
    /// Signed by the new and by the old cluster key.
    pub registration: Arc<v1::Envelope>,
    /// Its words.
    pub words: Words,
}

impl Pair {
    /// The public halves.
    pub fn public(&self) -> PublicPair {
        PublicPair { cluster: self.cluster.public().clone(), sealing: *self.sealing.public() }
    }

    /// The pair that was put aside under `stage`; none unless both are there.
    fn load(folder: &Path, stage: &str) -> Result<Option<Self>, KeysError> {
        let Some(cluster) = cluster_at(folder, stage)? else { return Ok(None) };
        let sealing = sealing_at(folder, stage)?;
        Ok(sealing.map(|sealing| Self { cluster: Arc::new(cluster), sealing: Arc::new(sealing) }))
    }
}

impl Keys {
    /// The cluster's own pair.
    pub fn pair(&self) -> Pair {
        Pair { cluster: self.cluster.clone(), sealing: self.sealing.clone() }
    }

    /// The pair before the one in force.
    pub fn previous(folder: &Path) -> Result<Option<Pair>, KeysError> {
        Pair::load(folder, PREVIOUS)
    }

    /// The pair that is registered and waits for its entry.
    pub fn next(folder: &Path) -> Result<Option<Next>, KeysError> {
        let bytes = match file::read(&folder.join(REGISTRATION)) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(KeysError::Read(error)),
        };
        let Some(pair) = Pair::load(folder, NEXT)? else { return Ok(None) };
        let opened = registration::open(&bytes).map_err(KeysError::Registration)?;
        let envelope = v1::Envelope::decode(&*bytes).map_err(|_| KeysError::Damaged(REGISTRATION))?;
        Ok(Some(Next { pair, registration: Arc::new(envelope), words: opened.words }))
    }

    /// Makes the next pair and its registration, or goes on with what was made.
    pub fn make_next(&self, folder: &Path, ticket: &Ticket) -> Result<Next, KeysError> {
        if let Some(next) = Self::next(folder)? {
            return Ok(next);
        }
        let sealing = SealingKey::load_or_create(&at(folder, "sealing", NEXT)).map_err(KeysError::Sealing)?;
        let cluster = SigningKey::load_or_create(&at(folder, "cluster", NEXT), Algorithm::Ed25519);
        let cluster = cluster.map_err(|error| KeysError::Signing("next cluster", error))?;
        let pair = Pair { cluster: Arc::new(cluster), sealing: Arc::new(sealing) };
        let registration = self.describe(&pair.public(), ticket)?;
        let made = registration.make_replacement(&*pair.cluster, &*self.cluster).map_err(KeysError::Sign)?;
        file::write_private(&folder.join(REGISTRATION), &made.encode_to_vec()).map_err(KeysError::Write)?;
        let words = Words::of(&tunnel_certs::statement::envelope::digest(&made));
        Ok(Next { pair, registration: Arc::new(made), words })
    }

    /// Puts the next pair in force if it is `confirmed`, keeping the one before; does nothing if that is done.
    pub fn promote(folder: &Path, confirmed: &PublicPair) -> Result<(), KeysError> {
        let cluster = cluster_at(folder, NEXT)?.filter(|next| *next.public() == confirmed.cluster);
        if let Some(next) = cluster {
            let now = SigningKey::load(&folder.join("cluster.key"));
            let now = now.map_err(|error| KeysError::Signing("cluster", error))?;
            replace(folder, "cluster", (*now.public() != *next.public()).then(|| now.to_pem()))?;
        }
        let sealing = sealing_at(folder, NEXT)?.filter(|next| *next.public() == confirmed.sealing);
        if let Some(next) = sealing {
            let now = SealingKey::load(&folder.join("sealing.key")).map_err(KeysError::Sealing)?;
            replace(folder, "sealing", (*now.public() != *next.public()).then(|| now.to_pem()))?;
        }
        let registered = file::read(&folder.join(REGISTRATION)).ok();
        let registered = registered.and_then(|bytes| registration::open(&bytes).ok());
        match registered.filter(|opened| opened.registration.cluster_key == confirmed.cluster) {
            Some(_) => rename(folder, REGISTRATION, "registration.pb"),
            None => Ok(()),
        }
    }
}

/// The old key is kept before the new one takes its place at once.
fn replace(folder: &Path, name: &str, old: Option<zeroize::Zeroizing<String>>) -> Result<(), KeysError> {
    if let Some(pem) = old {
        file::write_private(&at(folder, name, PREVIOUS), pem.as_bytes()).map_err(KeysError::Write)?;
    }
    rename(folder, &format!("{name}.{NEXT}.key"), &format!("{name}.key"))
}

fn rename(folder: &Path, from: &str, to: &str) -> Result<(), KeysError> {
    let failed = |source| KeysError::Folder { path: folder.to_owned(), source };
    match fs::rename(folder.join(from), folder.join(to)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        renamed => renamed.map_err(failed),
    }?;
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

fn cluster_at(folder: &Path, stage: &str) -> Result<Option<SigningKey>, KeysError> {
    match SigningKey::load(&at(folder, "cluster", stage)) {
        Ok(key) => Ok(Some(key)),
        Err(tunnel_certs::key::KeyError::File(error)) if error.is_missing() => Ok(None),
        Err(error) => Err(KeysError::Signing("other cluster", error)),
    }
}

fn sealing_at(folder: &Path, stage: &str) -> Result<Option<SealingKey>, KeysError> {
    match SealingKey::load(&at(folder, "sealing", stage)) {
        Ok(key) => Ok(Some(key)),
        Err(SealingKeyError::File(error)) if error.is_missing() => Ok(None),
        Err(error) => Err(KeysError::Sealing(error)),
    }
}

fn at(folder: &Path, name: &str, stage: &str) -> std::path::PathBuf {
    folder.join(format!("{name}.{stage}.key"))
}

const NEXT: &str = "next";
const PREVIOUS: &str = "previous";
const REGISTRATION: &str = "registration.next.pb";

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(folder: &Path) -> Keys {
        Keys::load_or_create(folder).unwrap()
    }

    fn ticket() -> Ticket {
        Ticket::of("k3v7aaaaaa".parse().unwrap())
    }

    #[test]
    fn the_next_pair_is_registered_by_both_cluster_keys_and_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys(folder.path());
        assert!(Keys::next(folder.path()).unwrap().is_none());
        let next = keys.make_next(folder.path(), &ticket()).unwrap();
        let bytes = next.registration.encode_to_vec();
        let opened = registration::open_replacement(&bytes, keys.cluster.public()).unwrap();
        assert_eq!(opened.words, next.words);
        assert_eq!(opened.registration.cluster_key, next.pair.public().cluster);
        assert_ne!(next.pair.public(), keys.pair().public());
        let stranger = SigningKey::generate(Algorithm::Ed25519).unwrap();
        assert!(registration::open_replacement(&bytes, stranger.public()).is_err());
        let again = keys.make_next(folder.path(), &ticket()).unwrap();
        assert_eq!((again.words, again.pair.public()), (next.words, next.pair.public()));
    }

    #[test]
    fn keys_that_were_half_made_are_made_to_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys(folder.path());
        let sealing = SealingKey::load_or_create(&at(folder.path(), "sealing", NEXT)).unwrap();
        assert!(Keys::next(folder.path()).unwrap().is_none());
        let next = keys.make_next(folder.path(), &ticket()).unwrap();
        assert_eq!(next.pair.public().sealing, *sealing.public());
    }

    #[test]
    fn only_confirmed_keys_take_the_place_of_those_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let before = keys(folder.path());
        let next = before.make_next(folder.path(), &ticket()).unwrap();
        Keys::promote(folder.path(), &before.pair().public()).unwrap();
        assert_eq!(keys(folder.path()).pair().public(), before.pair().public());
        Keys::promote(folder.path(), &next.pair.public()).unwrap();
        assert_eq!(keys(folder.path()).pair().public(), next.pair.public());
        let previous = Keys::previous(folder.path()).unwrap().unwrap();
        assert_eq!(previous.public(), before.pair().public());
        assert!(Keys::next(folder.path()).unwrap().is_none());
    }

    #[test]
    fn a_change_that_was_cut_short_is_finished() {
        for steps in 0..4 {
            let folder = tempfile::tempdir().unwrap();
            let before = keys(folder.path());
            let next = before.make_next(folder.path(), &ticket()).unwrap();
            let path = |name: &str| folder.path().join(name);
            if steps > 0 {
                fs::write(path("half"), "").unwrap();
                file::write_private(&path("cluster.previous.key"), before.cluster.to_pem().as_bytes())
                    .unwrap();
            }
            if steps > 1 {
                fs::rename(path("cluster.next.key"), path("cluster.key")).unwrap();
            }
            if steps > 2 {
                file::write_private(&path("sealing.previous.key"), before.sealing.to_pem().as_bytes())
                    .unwrap();
                fs::rename(path("sealing.next.key"), path("sealing.key")).unwrap();
            }
            Keys::promote(folder.path(), &next.pair.public()).unwrap();
            assert_eq!(keys(folder.path()).pair().public(), next.pair.public(), "after step {steps}");
            let previous = Keys::previous(folder.path()).unwrap().unwrap();
            assert_eq!(previous.public(), before.pair().public(), "after step {steps}");
        }
    }
}
