//! A throw-away vendor: its keys and CAs, and the files it hands out. Made at run time, never checked in.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use prost::Message;
use rustls_pki_types::CertificateDer;
use tunnel_certs::{
    credential::{Credential, certificate_to_pem},
    file,
    issue::{Authority, CaKind},
    key::{Algorithm, PublicKey, Signer, SigningKey},
    roots::Roots,
    statement::{inventory, registration, trust_bundle::TrustBundle},
};
use tunnel_protos::{BrokerId, ClusterName, Label, OperatorName, ReplicaId, Suffix, UnixMillis, VendorName};

use super::{api_ca::ApiAuthority, release::ReleaseKeys};

/// The certificate and key files of one party.
#[derive(Debug, Clone)]
pub struct Files {
    /// Certificate chain (PEM).
    pub certificate: PathBuf,
    /// Private key (PEM, 0600).
    pub key: PathBuf,
}

/// Everything that the vendor's people hold, in one folder.
pub struct Vendor {
    folder: PathBuf,
    name: VendorName,
    suffix: Suffix,
    key: SigningKey,
    mesh: Authority,
    mesh_key: Arc<SigningKey>,
    operators: Authority,
    releases: ReleaseKeys,
    api: ApiAuthority,
    /// Of trust bundles and inventory entries.
    sequence: u64,
}

impl Vendor {
    /// Makes vendor key and CAs below `folder`.
    pub fn create(folder: &Path) -> Result<Self> {
        let authority = |kind, key: &Arc<SigningKey>| {
            Authority::create(kind, "vendor", Arc::<SigningKey>::clone(key), now().minus(BACKDATE))
        };
        let [mesh_key, operators_key] =
            [SigningKey::generate(Algorithm::P256)?, SigningKey::generate(Algorithm::P256)?].map(Arc::new);
        std::fs::create_dir_all(folder)?;
        let key = SigningKey::generate(Algorithm::Ed25519)?;
        file::write(&folder.join("vendor.pub"), key.public().to_pem().as_bytes())?;
        Ok(Self {
            folder: folder.to_owned(),
            name: "vendor".parse()?,
            suffix: "tunnel.example".parse()?,
            key,
            mesh: authority(CaKind::Mesh, &mesh_key)?,
            operators: authority(CaKind::Operator, &operators_key)?,
            mesh_key,
            releases: ReleaseKeys::generate()?,
            api: ApiAuthority::create(&folder.join("api-ca.pem"))?,
            sequence: 1,
        })
    }

    /// The vendor's name in identities.
    pub fn name(&self) -> &VendorName {
        &self.name
    }

    /// Where doors and the API live.
    pub fn suffix(&self) -> &Suffix {
        &self.suffix
    }

    /// The mesh CA, for tests that issue what the vendor would not.
    pub fn mesh(&self) -> &Authority {
        &self.mesh
    }

    /// The mesh CA's key.
    pub fn mesh_key(&self) -> &SigningKey {
        &self.mesh_key
    }

    /// The mesh CA as files, for a broker that enrolls.
    pub fn mesh_ca_files(&self) -> Result<Files> {
        let files = self.files("mesh-ca");
        file::write(&files.certificate, certificate_to_pem(self.mesh.certificate()).as_bytes())?;
        file::write_private(&files.key, self.mesh_key.to_pem().as_bytes())?;
        Ok(files)
    }

    /// The operator CA, for tests that issue what the vendor would not.
    pub fn operators(&self) -> &Authority {
        &self.operators
    }

    /// The vendor's offline key.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Who signs releases.
    pub fn releases(&self) -> &ReleaseKeys {
        &self.releases
    }

    /// File of the vendor's public key, which customers and operators pin.
    pub fn key_file(&self) -> PathBuf {
        self.folder.join("vendor.pub")
    }

    /// The offline key as a file, for the commands that sign by it.
    pub fn private_key_file(&self) -> Result<PathBuf> {
        let path = self.folder.join("vendor.key");
        if !path.exists() {
            file::write_private(&path, self.key.to_pem().as_bytes())?;
        }
        Ok(path)
    }

    /// Makes another offline key in place of a stolen one; what it signs is newer than all that the old one did.
    pub fn replace_key(&mut self) -> Result<()> {
        self.key = SigningKey::generate(Algorithm::Ed25519)?;
        self.sequence += 1;
        let _unless_never_written = std::fs::remove_file(self.folder.join("vendor.key"));
        Ok(file::write(&self.key_file(), self.key.public().to_pem().as_bytes())?)
    }

    /// Makes another operator CA, which certifies from now on; its certificate's file.
    pub fn next_operator_ca(&mut self) -> Result<PathBuf> {
        let key = Arc::new(SigningKey::generate(Algorithm::P256)?);
        self.operators = Authority::create(CaKind::Operator, "vendor", key, now().minus(BACKDATE))?;
        let path = self.folder.join("operator-ca-2.pem");
        file::write(&path, certificate_to_pem(self.operators.certificate()).as_bytes())?;
        Ok(path)
    }

    /// File of the API's CA certificate.
    pub fn api_ca_file(&self) -> PathBuf {
        self.folder.join("api-ca.pem")
    }

    /// Signs a trust bundle that names `brokers` (`host:port`), and writes it to `trust-bundle.pb`.
    pub fn trust_bundle(&self, brokers: &[String]) -> Result<PathBuf> {
        let bundle = TrustBundle {
            vendor: self.name.clone(),
            suffix: self.suffix.clone(),
            sequence: self.sequence,
            expires: now().plus(DAY * 60),
            vendor_keys: vec![self.key.public().clone()],
            mesh_roots: roots(&self.mesh)?,
            operator_roots: roots(&self.operators)?,
            release_keys: self.releases.public(),
            release_threshold: ReleaseKeys::THRESHOLD,
            broker_addresses: brokers.to_vec(),
            allowed_private_addresses: vec!["127.0.0.0/8".to_owned(), "10.71.0.0/16".to_owned()],
        };
        let path = self.folder.join("trust-bundle.pb");
        file::write(&path, &bundle.make(&self.key)?.encode_to_vec())?;
        Ok(path)
    }

    /// A broker's mesh certificate and key.
    pub fn broker(&self, id: &BrokerId) -> Result<Files> {
        self.issue(&format!("broker-{id}"), |key| {
            Ok(self.mesh.issue_broker(key, &self.name, id, DAY, now())?)
        })
    }

    /// A replica's mesh certificate for a key that never left the customer, written to `path`.
    pub fn replica(&self, key: &PublicKey, label: &Label, id: &ReplicaId, path: &Path) -> Result<()> {
        let certificate = self.mesh.issue_replica(key, &self.name, label, id, DAY, now())?;
        Ok(file::write(path, certificate_to_pem(&certificate).as_bytes())?)
    }

    /// A replica's mesh certificate with a key of its own, as whoever has the mesh CA can make it.
    pub fn mesh_replica(&self, label: &Label, id: &ReplicaId) -> Result<Credential> {
        let key = Arc::new(SigningKey::generate(Algorithm::P256)?);
        let certificate = self.mesh.issue_replica(key.public(), &self.name, label, id, DAY, now())?;
        Ok(Credential::new(vec![certificate], key)?)
    }

    /// An operator's identity.
    pub fn operator(&self, name: &OperatorName) -> Result<Files> {
        self.operator_at(name, now())
    }

    /// An operator's identity as issued at another time, for one hour.
    pub fn operator_at(&self, name: &OperatorName, time: UnixMillis) -> Result<Files> {
        self.issue(&format!("operator-{name}"), |key| {
            Ok(self.operators.issue_operator(key, &self.name, name, HOUR, time)?)
        })
    }

    /// The operators' API's server certificate.
    pub fn api(&self) -> Result<Files> {
        self.web(&self.suffix.api())
    }

    /// An ordinary certificate for a DNS name, for servers and their callers, of the API's CA.
    pub fn web(&self, name: &str) -> Result<Files> {
        let files = self.files(name);
        self.api.issue(name, &files)?;
        Ok(files)
    }

    /// Signs the inventory entry of a registration and writes it to `path`.
    pub fn entry(&self, cluster: &ClusterName, opened: &registration::Opened, path: &Path) -> Result<()> {
        let entry = inventory::Entry {
            cluster: cluster.clone(),
            label: opened.registration.label,
            cluster_key: opened.registration.cluster_key.clone(),
            sealing_key: opened.registration.sealing_key,
            sequence: self.sequence,
            expires: now().plus(DAY * 90),
        };
        Ok(file::write(path, &entry.make(&self.key)?.encode_to_vec())?)
    }

    /// Makes a key, has it certified, and writes both; repeated names replace the certificate and take a new key.
    fn issue(
        &self,
        name: &str,
        certify: impl FnOnce(&PublicKey) -> Result<CertificateDer<'static>>,
    ) -> Result<Files> {
        let files = self.files(name);
        let key = SigningKey::generate(Algorithm::P256)?;
        let certificate = certify(key.public())?;
        file::write(&files.certificate, certificate_to_pem(&certificate).as_bytes())?;
        file::write_private(&files.key, key.to_pem().as_bytes())?;
        Ok(files)
    }

    fn files(&self, name: &str) -> Files {
        Files {
            certificate: self.folder.join(format!("{name}.pem")),
            key: self.folder.join(format!("{name}.key")),
        }
    }
}

/// Now, by the system's clock.
pub fn now() -> UnixMillis {
    UnixMillis::from_system(SystemTime::now())
}

fn roots(authority: &Authority) -> Result<Roots> {
    Ok(Roots::new(vec![authority.certificate().clone()])?)
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// CAs are older than anything they sign, also what tests sign in the past.
const BACKDATE: Duration = Duration::from_secs(30 * 24 * 3600);
