//! Whom this client trusts of the vendor, and what it shows of itself to brokers: one live value, replaced while in use.
//!
//! Invariant: only what our own verifiers accept is published, and only once it is recorded and stored; a candidate
//! that fails leaves what is in force. What the customer removed stays removed, whatever a trust bundle says.

mod access;
mod belief;
mod candidate;
mod desk;
mod files;
mod fingerprint;
mod folder;
mod keeper;
mod link;
mod load;
pub(crate) mod metrics;
mod renewal;
mod view;

use std::{path::PathBuf, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tracing::warn;
use tunnel_certs::{key::SigningKey, statement::trust_bundle, tls::TlsError};
use tunnel_protos::{Label, UnixMillis};

pub use self::{
    access::{AccessCa, AccessCaError, AccessCas, RotateError, Rotated},
    belief::{Belief, Leaf, LeafError},
    desk::TrustDesk,
    fingerprint::Fingerprint,
    folder::FolderError,
    keeper::Keeper,
    link::Link,
    load::LoadError,
    renewal::Pace,
};

use self::keeper::{Command, Rotation};
use crate::{
    audit::{By, Unwritable},
    config::TrustConfig,
    requests::Operators,
    tunnels::Dialing,
};

/// Where what is trusted comes from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The state folder: what was taken while running, and the roots that were removed.
    pub folder: PathBuf,
    /// This cluster.
    pub label: Label,
    /// The customer's own files, followed while the client runs; without them the state folder holds the bundle.
    pub files: Option<TrustConfig>,
    /// The customer's own file with the mesh certificate, followed while the client runs.
    pub mesh_certificate: Option<PathBuf>,
    /// Its private key.
    pub mesh_key: Arc<SigningKey>,
    /// How hastily another mesh certificate is asked for.
    pub pace: Pace,
}

/// The live trust; cheap to clone.
#[derive(Debug, Clone)]
pub struct Trust {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

/// Who brought something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A broker, which is believed nothing.
    Broker,
    /// The customer's own file.
    File,
    /// Somebody at the socket.
    Person(By),
}

/// Why a trust bundle was not taken.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It does not prove itself, or is not newer.
    #[error(transparent)]
    Refused(#[from] trust_bundle::OpenError),
    /// Two bundles with one sequence.
    #[error("another trust bundle with the same sequence {0} is in force")]
    Changed(u64),
    /// TLS cannot be built of it.
    #[error("the TLS toward brokers")]
    Tls(#[source] TlsError),
    /// Nothing is applied that is not recorded.
    #[error("not taken: the audit log cannot be written")]
    Audit(#[source] Unwritable),
    /// A restart would forget it.
    #[error("not taken: it cannot be stored")]
    Store(#[source] tunnel_certs::file::FileError),
    /// The customer's file with it.
    #[error("its file cannot be read")]
    File(#[source] tunnel_certs::file::FileError),
    /// Nobody answers.
    #[error("not taken in time")]
    Late,
}

impl BundleError {
    /// Whether the same bytes may be taken later: the disk, the clock, or a bundle that names another vendor key.
    fn may_pass(&self) -> bool {
        match self {
            Self::Refused(error) => {
                matches!(error, trust_bundle::OpenError::TooLong | trust_bundle::OpenError::Envelope(_))
            }
            Self::Changed(_) => false,
            Self::Tls(_) | Self::Audit(_) | Self::Store(_) | Self::File(_) | Self::Late => true,
        }
    }
}

/// Why a root was not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// Not hexadecimal digits.
    #[error(
        "give at least 8 hexadecimal digits of the root's fingerprint; `tunnel-client roots list` shows them"
    )]
    Malformed,
    /// No root begins so.
    #[error(
        "no root of the trust bundle in force has this fingerprint; `tunnel-client roots list` shows them"
    )]
    Unknown,
    /// More than one root begins so.
    #[error("several roots begin so; give more digits")]
    Several,
    /// It is not trusted any more, but a restart would forget that.
    #[error("removed, but not stored: a restart would trust it again; free the disk and remove it again")]
    Store(#[source] tunnel_certs::file::FileError),
    /// Nobody answers.
    #[error(
        "removed, but not stored in time: a restart may trust it again; look at the disk and remove it again"
    )]
    Late,
}

/// What is published, and what was told last.
#[derive(Debug)]
struct Shared {
    belief: watch::Sender<Arc<Belief>>,
    /// One change at a time: people change it, too, and not only the keeper.
    turn: Mutex<()>,
    operators: watch::Sender<Arc<Operators>>,
    dialing: watch::Sender<Option<Arc<Dialing>>>,
    brokers: watch::Sender<Arc<Vec<String>>>,
    /// Counts the changes of what is believed.
    changes: watch::Sender<u64>,
    /// The number of the ask for another mesh certificate that is under way.
    asking: watch::Sender<Option<u64>>,
    /// Why a newer bundle was refused last.
    refused: Mutex<String>,
    /// What is wrong with the renewal of the mesh certificate.
    renewal: Mutex<String>,
}

impl Trust {
    /// What is believed, now and later.
    pub fn belief(&self) -> watch::Receiver<Arc<Belief>> {
        self.shared.belief.subscribe()
    }

    /// Who counts as an operator, now and later.
    pub fn operators(&self) -> watch::Receiver<Arc<Operators>> {
        self.shared.operators.subscribe()
    }

    /// How brokers are dialed, now and later; none while there is no mesh certificate.
    pub fn dialing(&self) -> watch::Receiver<Option<Arc<Dialing>>> {
        self.shared.dialing.subscribe()
    }

    /// The brokers of the trust bundle, now and later.
    pub fn brokers(&self) -> watch::Receiver<Arc<Vec<String>>> {
        self.shared.brokers.subscribe()
    }

    /// Takes a trust bundle that may be newer; the one in force again is no error.
    pub async fn offer(&self, bundle: Vec<u8>, from: Source) -> Result<(), BundleError> {
        self.ask(|reply| Command::Bundle(bundle, from, reply)).await.unwrap_or(Err(BundleError::Late))
    }

    /// Takes another certificate for this replica's mesh key, if it is better than the one in force.
    pub async fn take_leaf(&self, certificate: Vec<u8>) -> Result<(), LeafError> {
        self.ask(|reply| Command::Leaf(certificate, reply)).await.unwrap_or(Err(LeafError::Late))
    }

    /// Stops trusting the one root whose fingerprint begins with `prefix`: here and now in memory, whatever disk and
    /// keeper do, then for ever.
    pub async fn remove_root(&self, prefix: &str, by: By) -> Result<(), RemoveError> {
        let root = self.shared.remove(prefix)?;
        warn!(root = %root, by = by.by, "Root removed");
        self.ask(|reply| Command::Removed(root, by, reply)).await.unwrap_or(Err(RemoveError::Late))
    }

    /// Replaces the access CA; what was begun comes to its end, whoever waits for it.
    pub(crate) async fn rotate_access(
        &self,
        access: &AccessCa,
        if_due: bool,
        now: UnixMillis,
        by: By,
    ) -> Result<Rotated, RotateError> {
        let rotate = |reply| Command::RotateAccess(access.clone(), Rotation { if_due, now, by }, reply);
        self.ask(rotate).await.unwrap_or(Err(RotateError::Late))
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.commands.send(command(reply)).await.ok()?;
            answer.await.ok()
        };
        timeout(PATIENCE, asked).await.ok().flatten()
    }
}

/// More than the audit log and a slow disk take together, and less than people at the socket wait.
const PATIENCE: Duration = Duration::from_secs(9);

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
