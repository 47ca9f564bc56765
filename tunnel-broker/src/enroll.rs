//! How replicas get mesh certificates: by a token, by their service account, by the key of one that ran out; and the
//! mesh CAs that sign them. Invariant: an identity is issued only for a proven key, and never to whom is banned.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{Semaphore, watch};
use tunnel_certs::{issue::AuthorityError, verify::MeshVerifier};
use tunnel_protos::{BrokerId, Label, OperatorName, ReplicaId, UnixMillis, VendorName, v1};

pub use self::conversation::fuzz_enroll_frames;
use self::{authority::Authorities, bans::Bans, sightings::Sightings};
pub(crate) use self::{
    authority::mesh_cas_of, choice::PhaseError, leaf::OwnLeaf, registrations::ReplacementError,
    rotation::AcknowledgementError,
};
use crate::{
    config::EnrollConfig,
    store::{Store, StoreError},
    trust::Trusted,
};

pub(crate) mod authority;
mod bans;
mod choice;
mod conversation;
mod join;
mod leaf;
mod redeem;
mod refusal;
mod registrations;
mod reissue;
mod replicas;
mod rotation;
pub(crate) mod server;
mod sightings;
mod sources;
mod tidy;
mod tokens;

#[cfg(test)]
pub(crate) mod testing;

/// What enrollment asks of the rooms around it.
pub(crate) struct Surroundings {
    /// The trust bundle in force.
    pub(crate) trust: watch::Receiver<Arc<Trusted>>,
    /// The inventory entry in force of a label, as a vendor key signed it.
    pub(crate) entry: EntryOf,
}

/// Finds the inventory entry in force of a label.
pub(crate) type EntryOf = Box<dyn Fn(Label) -> Option<v1::Envelope> + Send + Sync>;

/// Everything about certificates of the mesh: who gets one, who may not, and which CA signs it.
pub(crate) struct Enroll {
    config: EnrollConfig,
    store: Store,
    around: Surroundings,
    authorities: Authorities,
    bans: Bans,
    sightings: Sightings,
    phase: watch::Sender<v1::RotationPhase>,
    /// Whoever enters a phase goes by certificates that another one would change.
    phase_turn: Semaphore,
    leaf: watch::Sender<Option<Arc<OwnLeaf>>>,
}

/// Why enrollment cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// A mesh CA cannot be used.
    #[error("the mesh CA {0}")]
    Authority(PathBuf, #[source] AuthorityError),
    /// The folder of mesh CAs cannot be used.
    #[error("the folder of mesh CAs {0}")]
    Folder(PathBuf, #[source] std::io::Error),
    /// The database cannot be read.
    #[error("the database")]
    Store(#[source] StoreError),
    /// The configured mesh CA is there, and no certificate of the broker itself can be had by it.
    #[error("the broker's own certificate")]
    Leaf(#[source] LeafError),
}

/// Why the broker has no certificate of its own by its own CA.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// None of the CAs here is the one that the trust bundle and the phase of the rotation ask for.
    #[error("no key of a mesh CA that the trust bundle in force names is here")]
    NoAuthority,
    /// A key could not be made.
    #[error("its key")]
    Key(#[source] tunnel_certs::key::KeyError),
    /// It could not be signed.
    #[error("cannot sign it")]
    Issue(#[source] tunnel_certs::issue::IssueError),
    /// Certificate and key do not fit.
    #[error("cannot use it")]
    Credential(#[source] tunnel_certs::credential::CredentialError),
    /// TLS cannot be configured with it.
    #[error("TLS")]
    Tls(#[source] tunnel_certs::tls::TlsError),
    /// Replicas would refuse it.
    #[error("replicas would refuse it")]
    Verify(#[source] tunnel_certs::verify::VerifyError),
}

/// Why something that an administrator asked for was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// A field outside its grammar or bounds.
    #[error("{0}")]
    Malformed(&'static str),
    /// There is none.
    #[error("{0}")]
    Unknown(&'static str),
    /// It is something else already.
    #[error("{0}")]
    Conflict(&'static str),
    /// It is not time for that.
    #[error("{0}")]
    NotNow(&'static str),
    /// The rotation may not enter that phase.
    #[error("{0}")]
    Phase(PhaseError),
    /// There are as many as may be.
    #[error("{0}")]
    Full(&'static str),
    /// The database failed.
    #[error("the database failed, try again")]
    Store(#[source] StoreError),
    /// A mesh CA could not be made.
    #[error("cannot make a mesh CA")]
    Authority(#[source] AuthorityError),
    /// The folder of mesh CAs cannot be written.
    #[error("cannot make the folder of mesh CAs")]
    Folder(#[source] std::io::Error),
}

/// Why a certificate was not renewed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenewError {
    /// The replica or its cluster is banned.
    #[error("banned")]
    Banned,
    /// The certificate request is refused.
    #[error("the certificate request")]
    Csr(#[source] tunnel_certs::csr::CsrError),
    /// No CA issues here now.
    #[error("no mesh CA issues here now")]
    NoAuthority,
    /// It could not be signed.
    #[error("cannot sign")]
    Issue(#[source] tunnel_certs::issue::IssueError),
    /// The database failed.
    #[error("the database")]
    Store(#[source] StoreError),
}

/// Who is banned: a replica, or a whole cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Banned {
    /// The cluster.
    pub(crate) label: Label,
    /// None for all of it.
    pub(crate) replica: Option<ReplicaId>,
    /// One line, for people.
    pub(crate) reason: String,
    /// Who said so.
    pub(crate) by: OperatorName,
}

impl Enroll {
    /// Reads CAs, bans and phase; if a CA here issues now, the broker's own certificate is there when this returns.
    pub(crate) async fn open(
        config: &EnrollConfig,
        state_dir: &Path,
        store: Store,
        around: Surroundings,
        now: UnixMillis,
    ) -> Result<Arc<Self>, EnrollError> {
        let authorities = Authorities::load(config.mesh_ca.as_ref(), authority::folder(state_dir))?;
        let bans = Bans::new(store.bans().await.map_err(EnrollError::Store)?);
        let phase = store.phase().await.map_err(EnrollError::Store)?;
        let enroll = Self {
            config: config.clone(),
            store,
            around,
            authorities,
            bans,
            sightings: Sightings::default(),
            phase: watch::Sender::new(phase),
            phase_turn: Semaphore::new(1),
            leaf: watch::Sender::new(None),
        };
        match enroll.issue_own_leaf(now) {
            Ok(()) => {}
            Err(LeafError::NoAuthority) if enroll.config.mesh_ca.is_none() => {}
            Err(error) => return Err(EnrollError::Leaf(error)),
        }
        Ok(Arc::new(enroll))
    }

    /// Whether this replica, or its whole cluster, is banned.
    pub(crate) fn banned(&self, label: Label, replica: &ReplicaId) -> bool {
        self.bans.banned(label, replica)
    }

    /// The broker's name in its own certificates.
    pub(crate) fn broker_id(&self) -> &BrokerId {
        &self.config.broker_id
    }

    /// The broker's own certificate, issued by itself and renewed in time; none while no CA here issues.
    pub(crate) fn leaf(&self) -> watch::Receiver<Option<Arc<OwnLeaf>>> {
        self.leaf.subscribe()
    }

    fn trusted(&self) -> Arc<Trusted> {
        Arc::clone(&self.around.trust.borrow())
    }

    /// Verifies by the trust bundle in force.
    fn mesh(&self) -> MeshVerifier {
        let bundle = &self.trusted().bundle;
        MeshVerifier::new(bundle.vendor.clone(), bundle.mesh_roots.clone())
    }

    fn vendor(&self) -> VendorName {
        self.trusted().bundle.vendor.clone()
    }
}

impl std::fmt::Debug for Enroll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enroll").field("config", &self.config).finish_non_exhaustive()
    }
}

/// How long after its end a certificate is still good for proving its key, and a token is still told of.
const GRACE: Duration = tunnel_certs::verify::REISSUE_GRACE;
