//! A throw-away vendor: keys, CAs and files, made at run time.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use prost::Message;
use tunnel_broker::config::{
    Config, CredentialFiles, EnrollConfig, Limits, ListenConfig, OperatorConfig, Timeouts, TrustConfig,
};
use tunnel_certs::{
    credential::{Credential, certificate_to_pem},
    file,
    issue::{Authority, CaKind, GrantTerms, self_signed_api_server},
    key::{Algorithm, SealingKey, Signer, SigningKey},
    roots::Roots,
    statement::{inventory, trust_bundle::TrustBundle},
    verify::MeshVerifier,
};
use tunnel_protos::{GrantId, Label, RequestId, Suffix, UnixMillis, VendorName, v1::Envelope};
use tunnel_runtime::logs::LogConfig;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Everything that a vendor's people hold.
pub(crate) struct Vendor {
    folder: PathBuf,
    pub(crate) name: VendorName,
    pub(crate) suffix: Suffix,
    pub(crate) key: SigningKey,
    pub(crate) mesh: Authority,
    mesh_key: Arc<SigningKey>,
    pub(crate) operators: Authority,
    pub(crate) api: Credential,
}

impl Vendor {
    pub(crate) fn create(folder: &Path) -> Self {
        let suffix: Suffix = "tunnel.example".parse().unwrap();
        let api = self_signed_api_server(&suffix, &[], DAY, now()).unwrap();
        let mesh_key = fresh();
        let vendor = Self {
            folder: folder.to_owned(),
            name: "vendor".parse().unwrap(),
            suffix,
            key: SigningKey::generate(Algorithm::Ed25519).unwrap(),
            mesh: authority_of(CaKind::Mesh, Arc::clone(&mesh_key)),
            mesh_key,
            operators: authority(CaKind::Operator),
            api,
        };
        vendor.write_files();
        vendor
    }

    fn write_files(&self) {
        self.write("bundle.pb", &self.bundle(1, |_| {}).encode_to_vec());
        self.write("vendor.pub", self.key.public().to_pem().as_bytes());
        self.write_credential("broker", &self.broker());
        self.write_credential("api", &self.api);
        std::fs::create_dir(self.folder.join("entries")).unwrap();
    }

    /// A trust bundle, changed as a test likes.
    pub(crate) fn bundle(&self, sequence: u64, change: impl FnOnce(&mut TrustBundle)) -> Envelope {
        let mut bundle = TrustBundle {
            vendor: self.name.clone(),
            suffix: self.suffix.clone(),
            sequence,
            expires: now().plus(DAY * 60),
            vendor_keys: vec![self.key.public().clone()],
            mesh_roots: roots(&[&self.mesh]),
            operator_roots: roots(&[&self.operators]),
            release_keys: Vec::new(),
            release_threshold: 0,
            broker_addresses: vec!["broker.tunnel.example:443".to_owned()],
            allowed_private_addresses: Vec::new(),
        };
        change(&mut bundle);
        bundle.make(&self.key).unwrap()
    }

    /// A configuration that names this vendor's files.
    pub(crate) fn config(&self) -> Config {
        let everything = OperatorConfig { clusters: vec!["*".parse().unwrap()] };
        let anywhere = "127.0.0.1:0".parse().unwrap();
        Config {
            trust: TrustConfig {
                bundle: self.folder.join("bundle.pb"),
                vendor_keys: vec![self.folder.join("vendor.pub")],
            },
            mesh: Some(self.files("broker")),
            enroll: EnrollConfig::default(),
            api: self.files("api"),
            listen: ListenConfig { quic: anywhere, tcp: anywhere, admin: anywhere },
            state_dir: self.folder.join("state"),
            entries: Some(self.folder.join("entries")),
            operators: BTreeMap::from([("*".to_owned(), everything)]),
            administrators: vec!["root".parse().unwrap()],
            timeouts: Timeouts { probe_interval: Duration::from_millis(200), drain: Duration::from_secs(5) },
            limits: Limits { shards: 2, ..Limits::default() },
            log: LogConfig::default(),
        }
    }

    /// The same for a broker that issues with the mesh CA itself.
    pub(crate) fn issuing(&self, config: &mut Config) {
        let files = self.files("mesh");
        file::write(&files.certificate, certificate_to_pem(self.mesh.certificate()).as_bytes()).unwrap();
        file::write_private(&files.key, self.mesh_key.to_pem().as_bytes()).unwrap();
        config.mesh = None;
        config.enroll.mesh_ca = Some(files);
        config.enroll.broker_id = "b0".parse().unwrap();
    }

    pub(crate) fn broker(&self) -> Credential {
        let key = fresh();
        let id = "b0".parse().unwrap();
        let certificate = self.mesh.issue_broker(key.public(), &self.name, &id, DAY, now()).unwrap();
        Credential::new(vec![certificate], key).unwrap()
    }

    pub(crate) fn replica(&self, label: Label, id: &str) -> Credential {
        self.replica_for(label, id, DAY)
    }

    pub(crate) fn replica_for(&self, label: Label, id: &str, life: Duration) -> Credential {
        let key = fresh();
        let id = id.parse().unwrap();
        let issued = self.mesh.issue_replica(key.public(), &self.name, &label, &id, life, now());
        Credential::new(vec![issued.unwrap()], key).unwrap()
    }

    pub(crate) fn operator(&self, name: &str) -> Credential {
        let key = fresh();
        let name = name.parse().unwrap();
        let issued = self.operators.issue_operator(key.public(), &self.name, &name, DAY / 4, now());
        Credential::new(vec![issued.unwrap()], key).unwrap()
    }

    /// A certificate that opens a gate, and nothing here.
    pub(crate) fn grant(&self, label: Label) -> Credential {
        let key = fresh();
        let grant: GrantId = RequestId::random().into();
        let terms = GrantTerms { label, grant, ttl: DAY, grant_end: now().plus(DAY) };
        let issued = authority(CaKind::Access).issue_grant(&key.csr().unwrap(), &terms, now()).unwrap();
        Credential::new(vec![issued.certificate], key).unwrap()
    }

    pub(crate) fn verifier(&self) -> MeshVerifier {
        MeshVerifier::new(self.name.clone(), roots(&[&self.mesh]))
    }

    /// Puts the entry of a cluster into the folder.
    pub(crate) fn publish(&self, cluster: &str, label: Label) {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let name = format!("entries/{}.pb", cluster.replace('/', "-"));
        self.write(&name, &self.entry(cluster, label, 1, &key).encode_to_vec());
    }

    /// An entry that names the key of its cluster.
    pub(crate) fn entry(
        &self,
        cluster: &str,
        label: Label,
        sequence: u64,
        cluster_key: &SigningKey,
    ) -> Envelope {
        let entry = inventory::Entry {
            cluster: cluster.parse().unwrap(),
            label,
            cluster_key: cluster_key.public().clone(),
            sealing_key: *SealingKey::generate().unwrap().public(),
            sequence,
            expires: now().plus(DAY * 90),
        };
        entry.make(&self.key).unwrap()
    }

    /// Puts a file among the vendor's.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        file::write(&self.folder.join(name), bytes).unwrap();
    }

    /// A text file among the vendor's.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap()
    }

    pub(crate) fn write_credential(&self, name: &str, credential: &Credential) {
        let files = self.files(name);
        file::write(&files.certificate, certificate_to_pem(credential.certificate()).as_bytes()).unwrap();
        // A private file is made once; a replaced one is another file.
        let _ = std::fs::remove_file(&files.key);
        file::write_private(&files.key, credential.key().to_pem().as_bytes()).unwrap();
    }

    fn files(&self, name: &str) -> CredentialFiles {
        CredentialFiles {
            certificate: self.folder.join(format!("{name}.pem")),
            key: self.folder.join(format!("{name}.key")),
        }
    }
}

pub(crate) fn now() -> UnixMillis {
    UnixMillis::from_system(SystemTime::now())
}

pub(crate) fn label(c: char) -> Label {
    format!("k3v7{}", c.to_string().repeat(6)).parse().unwrap()
}

pub(crate) fn authority(kind: CaKind) -> Authority {
    authority_of(kind, fresh())
}

fn authority_of(kind: CaKind, key: Arc<SigningKey>) -> Authority {
    Authority::create(kind, "vendor", key, now().minus(DAY)).unwrap()
}

pub(crate) fn roots(authorities: &[&Authority]) -> Roots {
    Roots::new(authorities.iter().map(|authority| authority.certificate().clone()).collect()).unwrap()
}

fn fresh() -> Arc<SigningKey> {
    Arc::new(SigningKey::generate(Algorithm::P256).unwrap())
}
