//! The cluster's own keys, in the state folder: made here, never leaving it, only their public halves exported.

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
use tunnel_protos::{Label, PersonText, UnixMillis};

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

/// Why the keys could not be had, or not exported.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The state folder cannot be made.
    #[error("cannot make the folder {path}")]
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
    /// The registration could not be written.
    #[error("the registration")]
    Write(#[source] FileError),
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

    /// The registration of these keys, as it was exported last or is made now; the same keys keep their words.
    pub fn registration(&self, folder: &Path, label: &Label) -> Result<(Vec<u8>, Words), KeysError> {
        let path = folder.join("registration.pb");
        let kept = file::read(&path).ok().and_then(|bytes| Some((registration::open(&bytes).ok()?, bytes)));
        if let Some((opened, bytes)) = kept.filter(|(opened, _)| self.are_in(&opened.registration, label)) {
            return Ok((bytes, opened.words));
        }
        let envelope = self.sign_registration(label)?;
        let (bytes, words) =
            (envelope.encode_to_vec(), Words::of(&tunnel_certs::statement::envelope::digest(&envelope)));
        file::write(&path, &bytes).map_err(KeysError::Write)?;
        Ok((bytes, words))
    }

    fn are_in(&self, registration: &Registration, label: &Label) -> bool {
        let mesh = tunnel_certs::csr::public_key(&registration.mesh_csr);
        registration.label == *label
            && registration.cluster_key == *self.cluster.public()
            && registration.sealing_key == *self.sealing.public()
            && mesh.is_ok_and(|key| key == *self.mesh.public())
    }

    fn sign_registration(&self, label: &Label) -> Result<tunnel_protos::v1::Envelope, KeysError> {
        let registration = Registration {
            bundle_sha256: None,
            token: None,
            jwks: Vec::new(),
            label: *label,
            mesh_csr: self.mesh.csr().map_err(KeysError::Sign)?,
            cluster_key: self.cluster.public().clone(),
            sealing_key: *self.sealing.public(),
            facts: facts(),
        };
        registration.make(&*self.cluster).map_err(KeysError::Sign)
    }
}

/// Makes missing keys, writes the registration to `out`, and gives the words to be read to the vendor.
pub fn export(folder: &Path, label: &Label, out: &Path, _now: UnixMillis) -> Result<Words, KeysError> {
    let keys = Keys::load_or_create(folder)?;
    let (bytes, words) = keys.registration(folder, label)?;
    file::write(out, &bytes).map_err(KeysError::Write)?;
    Ok(words)
}

fn signing(folder: &Path, name: &'static str, algorithm: Algorithm) -> Result<Arc<SigningKey>, KeysError> {
    let key = SigningKey::load_or_create(&folder.join(format!("{name}.key")), algorithm);
    key.map(Arc::new).map_err(|error| KeysError::Signing(name, error))
}

/// What the client says of itself, for the people who compare words.
fn facts() -> Vec<(PersonText, PersonText)> {
    let fact = |name: &str, value: &str| Some((name.parse().ok()?, value.parse().ok()?));
    let version = fact("version", env!("CARGO_PKG_VERSION"));
    version.into_iter().chain(fact("platform", std::env::consts::OS)).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    #[test]
    fn exports_public_halves_only_and_keeps_keys_and_words() {
        let folder = tempfile::tempdir().unwrap();
        let (state, out) = (folder.path().join("state"), folder.path().join("registration.pb"));
        let label = "k3v7aaaaaa".parse().unwrap();
        let first = export(&state, &label, &out, NOW).unwrap();
        let exported = std::fs::read(&out).unwrap();
        let opened = registration::open(&exported).unwrap();
        assert_eq!(opened.words, first);
        assert_eq!(opened.registration.label, label);
        let second = export(&state, &label, &out, NOW).unwrap();
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
    fn other_keys_or_another_label_make_other_words() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out.pb");
        let first = export(folder.path(), &"k3v7aaaaaa".parse().unwrap(), &out, NOW).unwrap();
        let second = export(folder.path(), &"k3v7aaaaab".parse().unwrap(), &out, NOW).unwrap();
        assert_ne!(first, second);
    }
}
