//! What is believed at a start: the customer's own files, and what was taken since.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tracing::warn;
use tunnel_certs::{
    credential::{Credential, CredentialError},
    file::{self, FileError},
    key::PublicKeyError,
    statement::trust_bundle::{OpenError, TrustBundle},
    tls::TlsError,
};
use tunnel_protos::UnixMillis;
use tunnel_runtime::chain;

use super::{
    Belief, Keeper, Leaf, Shared, Sources, Trust, candidate,
    folder::{self, Folder, FolderError},
    metrics,
};
use crate::config::TrustConfig;

/// Why nothing can be believed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read.
    #[error(transparent)]
    File(FileError),
    /// The state folder.
    #[error("the state folder")]
    Folder(#[source] FolderError),
    /// Not a public key.
    #[error("the vendor key {0}")]
    Key(PathBuf, #[source] PublicKeyError),
    /// Not a trust bundle of this vendor.
    #[error("the trust bundle {0}")]
    TrustBundle(PathBuf, #[source] OpenError),
    /// Neither a file nor an enrollment brought one.
    #[error("there is no trust bundle; name one as `trust.bundle`, or enroll")]
    NoBundle,
    /// Not a certificate for the mesh key.
    #[error("the mesh certificate {0} (`tunnel-certs issue replica` makes it from the registration)")]
    MeshCertificate(PathBuf, #[source] CredentialError),
    /// A certificate for somebody else.
    #[error("the mesh certificate {0} is not a replica's of this cluster and vendor")]
    ForeignIdentity(PathBuf),
    /// TLS cannot be built.
    #[error("the TLS toward brokers")]
    Tls(#[source] TlsError),
}

impl Trust {
    /// Reads and checks all; the keeper is to run beside it.
    pub fn open(sources: Sources, now: UnixMillis) -> Result<(Self, Keeper), LoadError> {
        let folder = Folder(sources.folder.clone());
        let mut belief = Belief::of_vendor(&sources.folder, sources.files.as_ref(), now)?;
        belief.leaf = belief.own(&sources, now)?;
        let shared = Arc::new(Shared::new(belief).map_err(LoadError::Tls)?);
        let (sender, commands) = mpsc::channel(QUEUE);
        let keeper = Keeper::new(shared.clone(), sources, folder, commands);
        Ok((Self { shared, commands: sender }, keeper))
    }
}

impl Belief {
    /// What a start would believe of the vendor; nothing is made or kept, and there is no leaf yet.
    pub fn of_vendor(folder: &Path, files: Option<&TrustConfig>, now: UnixMillis) -> Result<Self, LoadError> {
        let folder = Folder(folder.to_owned());
        let bundle = bundle(files, &folder, now)?;
        let removed = folder.removed().map_err(LoadError::Folder)?;
        Ok(Self { bundle, removed, leaf: None })
    }

    /// The mesh certificate that a start would take.
    pub fn own(&self, sources: &Sources, now: UnixMillis) -> Result<Option<Leaf>, LoadError> {
        leaf(sources, &Folder(sources.folder.clone()), self, now)
    }
}

impl Shared {
    fn new(belief: Belief) -> Result<Self, TlsError> {
        metrics::believed(&belief);
        let dialing = belief.dialing()?.map(Arc::new);
        Ok(Self {
            operators: watch::Sender::new(Arc::new(belief.operators())),
            dialing: watch::Sender::new(dialing),
            brokers: watch::Sender::new(Arc::new(belief.bundle.broker_addresses.clone())),
            belief: watch::Sender::new(Arc::new(belief)),
            turn: Mutex::default(),
            changes: watch::Sender::new(0),
            asking: watch::Sender::new(None),
            refused: Mutex::default(),
            renewal: Mutex::default(),
        })
    }
}

/// The customer's file, unless what was taken since is newer; an old file may well have expired by then.
fn bundle(files: Option<&TrustConfig>, folder: &Folder, now: UnixMillis) -> Result<TrustBundle, LoadError> {
    let stored = folder.bundle().map_err(LoadError::Folder)?;
    let Some(files) = files else { return stored.ok_or(LoadError::NoBundle) };
    match (configured(files, now), stored) {
        (Ok(configured), Some(stored)) if succeeds(&stored, &configured) => Ok(stored),
        (Err(LoadError::TrustBundle(_, OpenError::Expired)), Some(stored)) => Ok(stored),
        (configured, _) => configured,
    }
}

fn succeeds(stored: &TrustBundle, configured: &TrustBundle) -> bool {
    stored.vendor == configured.vendor && stored.sequence > configured.sequence
}

fn configured(files: &TrustConfig, now: UnixMillis) -> Result<TrustBundle, LoadError> {
    let keys = candidate::pinned(files)?;
    let bytes = file::read(&files.bundle).map_err(LoadError::File)?;
    let opened = TrustBundle::open(&bytes, &keys, now);
    opened.map_err(|error| LoadError::TrustBundle(files.bundle.clone(), error))
}

/// The one that brokers take and that lasts longest, of the customer's file and what was taken since.
fn leaf(
    sources: &Sources,
    folder: &Folder,
    belief: &Belief,
    now: UnixMillis,
) -> Result<Option<Leaf>, LoadError> {
    let ours = |credential: Credential| Leaf::of(credential, &belief.bundle.vendor, &sources.label);
    let stored = folder.leaf(&sources.mesh_key).unwrap_or_else(|error| {
        warn!(error = %chain(&error), "Stored mesh certificate not read");
        None
    });
    let stored = stored.and_then(ours);
    let configured = match &sources.mesh_certificate {
        None => None,
        Some(path) => match folder::read_leaf(path, &sources.mesh_key) {
            Ok(read) => Some(ours(read).ok_or_else(|| LoadError::ForeignIdentity(path.clone()))?),
            Err(error) if stored.is_some() => {
                warn!(error = %chain(&error), "Mesh certificate's file not read, the stored one is used");
                None
            }
            Err(error) => return Err(LoadError::MeshCertificate(path.clone(), error)),
        },
    };
    let rank = |leaf: &Leaf| (belief.check(leaf, now).is_ok(), leaf.not_after());
    Ok(configured.into_iter().chain(stored).max_by_key(rank))
}

/// A few tunnels and people; beyond it, they wait.
const QUEUE: usize = 16;
