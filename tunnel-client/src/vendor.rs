//! What the vendor handed over as files, checked against the pinned vendor keys before anything is believed.

use std::path::{Path, PathBuf};

use tunnel_certs::{
    credential::{Credential, CredentialError},
    file::{self, FileError},
    identity::Identity,
    key::{PublicKey, PublicKeyError, Signer},
    statement::{inventory, trust_bundle},
    verify::{MeshVerifier, OperatorVerifier},
};
use tunnel_protos::{ReplicaId, UnixMillis};
use tunnel_runtime::chain;

use crate::{
    config::{Cluster, Config, TrustConfig},
    keys::Keys,
    requests::Admission,
};

/// The vendor, as far as it is proven.
#[derive(Debug)]
pub struct Vendor {
    /// Roots, addresses, suffix.
    pub bundle: trust_bundle::TrustBundle,
    /// Who this replica is toward brokers.
    pub mesh: Credential,
    /// Its id.
    pub replica: ReplicaId,
    /// Whether an entry with our own keys is there, and until when.
    pub entry: Result<UnixMillis, String>,
}

/// Why the vendor's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VendorError {
    /// A file that the configuration does not name.
    #[error("`{0}` is not set")]
    Missing(&'static str),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not a public key.
    #[error("the vendor key {0}")]
    Key(PathBuf, #[source] PublicKeyError),
    /// Not a trust bundle of this vendor.
    #[error("the trust bundle {0}")]
    TrustBundle(PathBuf, #[source] trust_bundle::OpenError),
    /// Not a certificate for the mesh key.
    #[error("the mesh certificate {0} (`tunnel-certs issue replica` makes it from the registration)")]
    MeshCertificate(PathBuf, #[source] CredentialError),
    /// A certificate for somebody else.
    #[error("the mesh certificate {0} is not a replica's of this cluster and vendor")]
    ForeignIdentity(PathBuf),
}

impl Vendor {
    /// Reads and checks all files; a missing or foreign inventory entry only keeps requests from being taken.
    pub fn load(
        config: &Config,
        cluster: &Cluster,
        keys: &Keys,
        now: UnixMillis,
    ) -> Result<Self, VendorError> {
        let file = config.mesh_certificate.as_ref().ok_or(VendorError::Missing("mesh.certificate"))?;
        let bundle = bundle(config.trust.as_ref().ok_or(VendorError::Missing("trust"))?, now)?;
        let mesh = Credential::load(file, &Keys::mesh_path(&config.state_dir))
            .map_err(|error| VendorError::MeshCertificate(file.clone(), error))?;
        let replica =
            replica(&mesh, &bundle, cluster).ok_or_else(|| VendorError::ForeignIdentity(file.clone()))?;
        let entry = entry(config, cluster, &bundle, keys, now);
        Ok(Self { bundle, mesh, replica, entry })
    }

    /// Whether requests are taken.
    pub fn admission(&self) -> Admission {
        match &self.entry {
            Ok(_) => Admission::Open { until: self.bundle.expires },
            Err(why) => Admission::Refusing(why.clone()),
        }
    }

    /// Verifies operators.
    pub fn operators(&self) -> OperatorVerifier {
        OperatorVerifier::new(self.bundle.vendor.clone(), self.bundle.operator_roots.clone())
    }

    /// Verifies brokers.
    pub fn brokers(&self) -> MeshVerifier {
        MeshVerifier::new(self.bundle.vendor.clone(), self.bundle.mesh_roots.clone())
    }
}

fn bundle(files: &TrustConfig, now: UnixMillis) -> Result<trust_bundle::TrustBundle, VendorError> {
    let keys = files.vendor_keys.iter().map(|path| vendor_key(path)).collect::<Result<Vec<_>, _>>()?;
    let bytes = file::read(&files.bundle)?;
    let opened = trust_bundle::TrustBundle::open(&bytes, &keys, now);
    opened.map_err(|error| VendorError::TrustBundle(files.bundle.clone(), error))
}

fn vendor_key(path: &Path) -> Result<PublicKey, VendorError> {
    let pem = file::read(path)?;
    PublicKey::from_pem(&String::from_utf8_lossy(&pem))
        .map_err(|error| VendorError::Key(path.to_owned(), error))
}

fn replica(mesh: &Credential, bundle: &trust_bundle::TrustBundle, cluster: &Cluster) -> Option<ReplicaId> {
    match mesh.identity().ok()? {
        Identity::Replica { vendor, label, id } if vendor == bundle.vendor && label == cluster.label => {
            Some(id)
        }
        _ => None,
    }
}

/// When the entry with our own keys expires, or why there is none.
fn entry(
    config: &Config,
    cluster: &Cluster,
    bundle: &trust_bundle::TrustBundle,
    keys: &Keys,
    now: UnixMillis,
) -> Result<UnixMillis, String> {
    let path = config.inventory_entry.as_ref().ok_or("`inventoryEntry` is not set")?;
    let bytes = file::read(path).map_err(|error| chain(&error).to_string())?;
    let opened =
        inventory::open(&bytes, &bundle.vendor_keys, now).map_err(|error| chain(&error).to_string())?;
    let entry = opened.entry;
    if entry.label != cluster.label || entry.cluster != cluster.name {
        return Err("the inventory entry is another cluster's".to_owned());
    }
    let own = entry.cluster_key == *keys.cluster.public() && entry.sealing_key == *keys.sealing.public();
    if own { Ok(entry.expires) } else { Err("the inventory entry holds other keys than ours".to_owned()) }
}
