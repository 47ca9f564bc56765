//! The cluster's own keys, in the state folder: made here, never leaving it, only their public halves exported.

mod next;

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use prost::Message;
use tunnel_certs::{
    file::{self, FileError},
    key::{Algorithm, KeyError, SealingKey, SealingKeyError, SignError, Signer, SigningKey},
    statement::registration::{self, Registration},
    words::Words,
};
use tunnel_protos::{Label, PersonText, TokenId, v1};

pub use self::next::{Next, Pair, PublicPair};

/// Every key of this client.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Signs outcomes.
    pub cluster: Arc<SigningKey>,
    /// Opens requests.
    pub sealing: Arc<SealingKey>,
    /// Shows this replica to brokers.
    pub mesh: Arc<SigningKey>,
}

/// What a registration says beside the keys.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// The cluster's label.
    pub label: Label,
    /// SHA-256 of the enrollment bundle, and its token; none for a file, or for keys that replace others.
    pub bundle: Option<([u8; 32], TokenId)>,
    /// JSON Web Key Set of the issuer of service-account tokens; may be empty.
    pub jwks: Vec<u8>,
    /// What the client says of itself beside version and platform.
    pub facts: Vec<(PersonText, PersonText)>,
}

/// A registration that was made.
#[derive(Debug, Clone)]
pub struct Made {
    /// As it goes to the vendor, unchanged for as long as keys and ticket are.
    pub envelope: v1::Envelope,
    /// PKCS#10 (DER) of the mesh key in it.
    pub mesh_csr: Vec<u8>,
    /// Its words.
    pub words: Words,
}

/// Why the keys could not be had, or not exported.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The state folder cannot be made.
    #[error("cannot make or change the folder {path}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A signing key.
    #[error("the {0} key")]
    Signing(&'static str, #[source] KeyError),
    /// The sealing key.
    #[error("the sealing key")]
    Sealing(#[source] SealingKeyError),
    /// The registration could not be signed.
    #[error("the registration")]
    Sign(#[source] SignError),
    /// The registration could not be read.
    #[error("the registration")]
    Read(#[source] FileError),
    /// What was read is none.
    #[error("the registration of the next keys")]
    Registration(#[source] registration::OpenError),
    /// What was read is none.
    #[error("{0} in the state folder is damaged")]
    Damaged(&'static str),
    /// The registration could not be written.
    #[error("the registration")]
    Write(#[source] FileError),
    /// The state folder's disk.
    #[error(transparent)]
    Disk(#[from] FileError),
}

impl Ticket {
    /// For a registration that goes by a file.
    pub fn of(label: Label) -> Self {
        Self { label, bundle: None, jwks: Vec::new(), facts: Vec::new() }
    }
}

impl Keys {
    /// Loads the keys of a state folder, making those that are missing with mode 0600.
    pub fn load_or_create(folder: &Path) -> Result<Self, KeysError> {
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(folder);
        made.map_err(|source| KeysError::Folder { path: folder.to_owned(), source })?;
        let sealing = SealingKey::load_or_create(&folder.join("sealing.key")).map_err(KeysError::Sealing)?;
        Ok(Self {
            cluster: signing(folder, "cluster", Algorithm::Ed25519)?,
            sealing: Arc::new(sealing),
            mesh: signing(folder, "mesh", Algorithm::P256)?,
        })
    }

    /// Where the mesh key lies, for pairing it with its certificate.
    pub fn mesh_path(folder: &Path) -> PathBuf {
        folder.join("mesh.key")
    }

    /// The registration of these keys, as it was made last or is made now: the same keys and the same token keep
    /// their words. One that goes by a file may be any.
    pub fn registration(&self, folder: &Path, ticket: &Ticket) -> Result<Made, KeysError> {
        if let Some(kept) = self.registered(folder, ticket) {
            return Ok(kept);
        }
        let registration = self.describe(&self.pair().public(), ticket)?;
        let envelope = registration.make(&*self.cluster).map_err(KeysError::Sign)?;
        file::write(&folder.join(OWN), &envelope.encode_to_vec()).map_err(KeysError::Write)?;
        let words = Words::of(&tunnel_certs::statement::envelope::digest(&envelope));
        Ok(Made { envelope, mesh_csr: registration.mesh_csr, words })
    }

    /// The registration that was made of these keys and this token, whatever else it says.
    pub fn registered(&self, folder: &Path, ticket: &Ticket) -> Option<Made> {
        file::read(&folder.join(OWN)).ok().and_then(|bytes| self.kept(&bytes, ticket))
    }

    fn kept(&self, bytes: &[u8], ticket: &Ticket) -> Option<Made> {
        let opened = registration::open(bytes).ok()?;
        let kept = &opened.registration;
        let bundle = kept.bundle_sha256.zip(kept.token);
        let same = ticket.bundle.is_none() || ticket.bundle == bundle;
        (same && self.are_in(kept, &ticket.label)).then_some(())?;
        let envelope = v1::Envelope::decode(bytes).ok()?;
        Some(Made { envelope, mesh_csr: opened.registration.mesh_csr, words: opened.words })
    }

    fn are_in(&self, registration: &Registration, label: &Label) -> bool {
        let mesh = tunnel_certs::csr::public_key(&registration.mesh_csr);
        registration.label == *label
            && registration.cluster_key == *self.cluster.public()
            && registration.sealing_key == *self.sealing.public()
            && mesh.is_ok_and(|key| key == *self.mesh.public())
    }

    fn describe(&self, pair: &PublicPair, ticket: &Ticket) -> Result<Registration, KeysError> {
        Ok(Registration {
            bundle_sha256: ticket.bundle.map(|(sha256, _)| sha256),
            token: ticket.bundle.map(|(_, token)| token),
            label: ticket.label,
            mesh_csr: self.mesh.csr().map_err(KeysError::Sign)?,
            cluster_key: pair.cluster.clone(),
            sealing_key: pair.sealing,
            jwks: ticket.jwks.clone(),
            facts: facts().chain(ticket.facts.iter().cloned()).collect(),
        })
    }
}

/// Makes missing keys, writes the registration to `out`, and gives the words to be read to the vendor.
pub fn export(folder: &Path, label: &Label, out: &Path) -> Result<Words, KeysError> {
    let keys = Keys::load_or_create(folder)?;
    let made = keys.registration(folder, &Ticket::of(*label))?;
    file::write(out, &made.envelope.encode_to_vec()).map_err(KeysError::Write)?;
    Ok(made.words)
}

/// The registration of the keys in force.
const OWN: &str = "registration.pb";

fn signing(folder: &Path, name: &'static str, algorithm: Algorithm) -> Result<Arc<SigningKey>, KeysError> {
    let key = SigningKey::load_or_create(&folder.join(format!("{name}.key")), algorithm);
    key.map(Arc::new).map_err(|error| KeysError::Signing(name, error))
}

/// What the client says of itself, for the people who compare words.
fn facts() -> impl Iterator<Item = (PersonText, PersonText)> {
    let fact = |name: &str, value: &str| Some((name.parse().ok()?, value.parse().ok()?));
    let facts = [("version", env!("CARGO_PKG_VERSION")), ("platform", std::env::consts::OS)];
    facts.into_iter().filter_map(move |(name, value)| fact(name, value))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn exports_public_halves_only_and_keeps_keys_and_words() {
        let folder = tempfile::tempdir().unwrap();
        let (state, out) = (folder.path().join("state"), folder.path().join("registration.pb"));
        let label = "k3v7aaaaaa".parse().unwrap();
        let first = export(&state, &label, &out).unwrap();
        let exported = std::fs::read(&out).unwrap();
        let opened = registration::open(&exported).unwrap();
        assert_eq!(opened.words, first);
        assert_eq!(opened.registration.label, label);
        let second = export(&state, &label, &out).unwrap();
        assert_eq!((first, exported), (second, std::fs::read(&out).unwrap()));
    }

    #[test]
    fn private_keys_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        Keys::load_or_create(&state).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state), 0o700);
        for name in ["cluster.key", "sealing.key", "mesh.key"] {
            assert_eq!(mode(&state.join(name)), 0o600, "{name}");
        }
    }

    #[test]
    fn other_keys_another_label_or_another_token_make_other_words() {
        let folder = tempfile::tempdir().unwrap();
        let label: Label = "k3v7aaaaaa".parse().unwrap();
        let keys = Keys::load_or_create(folder.path()).unwrap();
        let words = |ticket: &Ticket| keys.registration(folder.path(), ticket).unwrap().words;
        let first = words(&Ticket::of(label));
        let token = |byte| Some(([byte; 32], TokenId::from_random([byte; 16])));
        let enrolling = Ticket { bundle: token(1), ..Ticket::of(label) };
        let second = words(&enrolling);
        assert_ne!(first, second);
        assert_eq!(second, words(&enrolling), "redeemed again, it is the same registration");
        assert_eq!(second, words(&Ticket::of(label)), "a file takes the one there is");
        assert_ne!(second, words(&Ticket { bundle: token(2), ..Ticket::of(label) }));
        assert_ne!(first, words(&Ticket::of("otheraaaaa".parse().unwrap())));
        let other = tempfile::tempdir().unwrap();
        let keys = Keys::load_or_create(other.path()).unwrap();
        assert_ne!(first, keys.registration(other.path(), &Ticket::of(label)).unwrap().words);
    }
}
