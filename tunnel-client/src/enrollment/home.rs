//! Where this client belongs: by an enrollment bundle, by what the state folder kept of one, or by the vendor's files.
//!
//! Invariant: whatever says so, it says the same: a state folder serves one cluster of one vendor only.

use std::path::{Path, PathBuf};

use prost::Message;
use tunnel_certs::{
    enrollment::{Bundle, OpenError, Opened},
    file::{self, FileError},
    statement::trust_bundle::{self, TrustBundle},
};
use tunnel_protos::{UnixMillis, v1::TokenKind};

use super::{
    Member,
    record::{Confirmed, Enrolled, RecordError},
};
use crate::{
    config::{Cluster, Config},
    keys::{Keys, KeysError},
};

/// Where this client belongs.
#[derive(Debug, Clone)]
pub struct Home {
    /// The cluster.
    pub cluster: Cluster,
    /// What this replica is to it.
    pub member: Member,
    /// The trust bundle of the enrollment bundle, and its envelope.
    handed: Option<(TrustBundle, Vec<u8>)>,
    /// The end of the enrollment bundle, if there is one.
    pub(super) bundle_until: Option<UnixMillis>,
    /// Whether an enrollment came to its end here.
    pub(super) enrolled: bool,
}

/// Why nobody knows where this client belongs.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// A record of the state folder.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The state folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// The cluster's own keys.
    #[error("this cluster's keys")]
    Keys(#[source] KeysError),
    /// Not an enrollment bundle.
    #[error("the enrollment bundle {0}")]
    Bundle(PathBuf, #[source] OpenError),
    /// Not the trust bundle that was kept.
    #[error("{0}")]
    TrustBundle(PathBuf, #[source] trust_bundle::OpenError),
    /// Two places name two clusters.
    #[error("{one} and {other} name different clusters; a state folder serves one cluster only")]
    OtherCluster {
        /// Where one is named.
        one: &'static str,
        /// Where the other is named.
        other: &'static str,
    },
    /// Two places name two vendors.
    #[error(
        "the state folder holds the trust bundle of another vendor than the enrollment bundle; a state folder serves one \
         vendor only"
    )]
    OtherVendor,
    /// No place names any.
    #[error(
        "nothing says which cluster this is: set `enrollment.bundle` to what `tunnelctl enroll create` made (or `cluster`, \
         `trust`, `inventoryEntry` and `mesh` to the vendor's files)"
    )]
    NoCluster,
}

impl HomeError {
    /// Whether files that the configuration names are wrong, and not the machine or the state folder.
    pub const fn is_configuration(&self) -> bool {
        match self {
            Self::Record(_) | Self::File(_) | Self::Keys(_) | Self::TrustBundle(..) => false,
            Self::Bundle(..) | Self::OtherCluster { .. } | Self::OtherVendor | Self::NoCluster => true,
        }
    }
}

impl Home {
    /// Looks into configuration and state folder.
    pub fn read(config: &Config) -> Result<Self, HomeError> {
        let enrolled = Enrolled::read(&config.state_dir)?;
        let means = config.enrollment.as_ref();
        let path = means.and_then(|means| means.bundle.as_deref());
        let bundle = match path.map(load) {
            // A Secret may be removed once it has served.
            Some(Err(HomeError::Bundle(_, OpenError::File(error))))
                if error.is_missing() && enrolled.is_some() =>
            {
                None
            }
            loaded => loaded.transpose()?,
        };
        let handed = bundle.as_ref().zip(path).map(|(opened, path)| handed(opened, path)).transpose()?;
        let member = match (&enrolled, &bundle) {
            (Some(enrolled), _) => enrolled.member,
            (None, Some(opened)) => Member::of(opened.bundle.kind),
            (None, None) if means.is_some() => Member::Further,
            (None, None) => Member::First,
        };
        let (is_enrolled, bundle_until) =
            (enrolled.is_some(), bundle.as_ref().map(|opened| opened.bundle.expires));
        let named = [
            ("the configuration", config.cluster.clone()),
            ("the state folder", enrolled.map(|enrolled| enrolled.cluster)),
            ("the enrollment bundle", bundle.as_ref().map(cluster)),
        ];
        Ok(Self { cluster: one(named)?, member, handed, bundle_until, enrolled: is_enrolled })
    }

    /// The trust bundle that the enrollment bundle brought.
    pub(super) fn handed(&self) -> Option<&TrustBundle> {
        self.handed.as_ref().map(|(bundle, _)| bundle)
    }

    /// Prepares the state folder: finishes what was cut short, makes missing keys, keeps the newest trust bundle.
    pub fn settle(&self, folder: &Path) -> Result<Keys, HomeError> {
        let keys = keys(folder)?;
        let Some((handed, envelope)) = &self.handed else { return Ok(keys) };
        let path = folder.join(TRUST_BUNDLE);
        match kept(&path)? {
            Some(kept) if kept.vendor != handed.vendor => Err(HomeError::OtherVendor),
            Some(kept) if kept.sequence >= handed.sequence => Ok(keys),
            _ => {
                file::write_private(&path, envelope)?;
                Ok(keys)
            }
        }
    }
}

impl Member {
    fn of(kind: TokenKind) -> Self {
        match kind {
            TokenKind::Cluster => Self::First,
            TokenKind::Replica | TokenKind::Unspecified => Self::Further,
        }
    }
}

/// The keys that are in force, also if a change of keys was cut short.
pub(super) fn keys(folder: &Path) -> Result<Keys, HomeError> {
    if let Some(confirmed) = Confirmed::read(folder)? {
        Keys::promote(folder, &confirmed.keys).map_err(HomeError::Keys)?;
    }
    Keys::load_or_create(folder).map_err(HomeError::Keys)
}

/// Reads an enrollment bundle.
pub(super) fn load(path: &Path) -> Result<Opened, HomeError> {
    Bundle::load(path).map_err(|error| HomeError::Bundle(path.to_owned(), error))
}

/// The cluster that a bundle is for.
pub(super) fn cluster(opened: &Opened) -> Cluster {
    Cluster { name: opened.bundle.cluster.clone(), label: opened.bundle.label }
}

/// Its time is looked at where it is used: brokers hand out a newer one.
fn handed(opened: &Opened, path: &Path) -> Result<(TrustBundle, Vec<u8>), HomeError> {
    let envelope = opened.bundle.trust_bundle.encode_to_vec();
    let trust = TrustBundle::open_at_any_time(&envelope, &opened.bundle.vendor_keys);
    trust
        .map(|trust| (trust, envelope))
        .map_err(|error| HomeError::Bundle(path.to_owned(), OpenError::Trust(error)))
}

fn kept(path: &Path) -> Result<Option<TrustBundle>, HomeError> {
    let bytes = match file::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let opened = TrustBundle::open_stored(&bytes);
    opened.map(Some).map_err(|error| HomeError::TrustBundle(path.to_owned(), error))
}

/// The one cluster that all who name one agree on.
fn one<const N: usize>(named: [(&'static str, Option<Cluster>); N]) -> Result<Cluster, HomeError> {
    let mut named = named.into_iter().filter_map(|(place, cluster)| Some((place, cluster?)));
    let (one, first) = named.next().ok_or(HomeError::NoCluster)?;
    match named.find(|(_, cluster)| *cluster != first) {
        Some((other, _)) => Err(HomeError::OtherCluster { one, other }),
        None => Ok(first),
    }
}

/// Where `trust/` keeps the newest.
const TRUST_BUNDLE: &str = "trust-bundle.pb";
