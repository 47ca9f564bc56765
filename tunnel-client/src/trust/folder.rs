//! What the state folder keeps of trust: the newest bundle, the removed roots, the newest mesh certificate.
//!
//! What lies there was verified before it was written; whoever can write there holds the cluster's keys anyway.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use tunnel_certs::{
    credential::{Credential, CredentialError, certificate_to_pem, certificates_from_pem},
    file::{self, FileError},
    key::SigningKey,
    statement::trust_bundle::{OpenError, TrustBundle},
};

use super::{Fingerprint, fingerprint::FingerprintError};

/// A state folder.
#[derive(Debug, Clone)]
pub(super) struct Folder(pub(super) PathBuf);

/// Why what lies there cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Not read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not a trust bundle.
    #[error("{0}")]
    Bundle(PathBuf, #[source] OpenError),
    /// Not a list of fingerprints.
    #[error("{0}")]
    Removed(PathBuf, #[source] FingerprintError),
    /// Not a certificate for the mesh key.
    #[error("{0}")]
    Leaf(PathBuf, #[source] CredentialError),
}

impl Folder {
    pub(super) fn bundle(&self) -> Result<Option<TrustBundle>, FolderError> {
        let path = self.0.join(BUNDLE);
        let Some(bytes) = there(file::read(&path))? else { return Ok(None) };
        TrustBundle::open_stored(&bytes).map(Some).map_err(|error| FolderError::Bundle(path, error))
    }

    /// Blocks for the disk.
    pub(super) fn keep_bundle(&self, bytes: &[u8]) -> Result<(), FileError> {
        file::write_private(&self.0.join(BUNDLE), bytes)
    }

    /// One fingerprint in each line.
    pub(super) fn removed(&self) -> Result<BTreeSet<Fingerprint>, FolderError> {
        let path = self.0.join(REMOVED);
        let bytes = there(file::read(&path))?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let parsed = text.lines().map(str::parse).collect::<Result<_, _>>();
        parsed.map_err(|error| FolderError::Removed(path, error))
    }

    /// Blocks for the disk.
    pub(super) fn keep_removed(&self, removed: &BTreeSet<Fingerprint>) -> Result<(), FileError> {
        let lines: String = removed.iter().map(|fingerprint| format!("{fingerprint}\n")).collect();
        file::write_private(&self.0.join(REMOVED), lines.as_bytes())
    }

    pub(super) fn leaf(&self, key: &Arc<SigningKey>) -> Result<Option<Credential>, FolderError> {
        let path = self.0.join(LEAF);
        let Some(bytes) = there(file::read(&path))? else { return Ok(None) };
        pair(&bytes, key).map(Some).map_err(|error| FolderError::Leaf(path, error))
    }

    /// Blocks for the disk.
    pub(super) fn keep_leaf(&self, der: &[u8]) -> Result<(), FileError> {
        file::write_private(&self.0.join(LEAF), certificate_to_pem(der).as_bytes())
    }
}

/// A certificate's file with our mesh key.
pub(super) fn read_leaf(path: &Path, key: &Arc<SigningKey>) -> Result<Credential, CredentialError> {
    pair(&file::read(path)?, key)
}

fn pair(pem: &[u8], key: &Arc<SigningKey>) -> Result<Credential, CredentialError> {
    Credential::new(certificates_from_pem(pem)?, Arc::clone(key))
}

fn there(read: Result<Vec<u8>, FileError>) -> Result<Option<Vec<u8>>, FileError> {
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

const BUNDLE: &str = "trust-bundle.pb";
const REMOVED: &str = "removed-roots.txt";
const LEAF: &str = "mesh.pem";
