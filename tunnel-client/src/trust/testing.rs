//! A vendor with its CAs, and a customer who trusts it.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use prost::Message;
use rustls_pki_types::CertificateDer;
use tempfile::TempDir;
use tokio::sync::watch;
use tracing::Span;
use tunnel_certs::{
    credential::certificate_to_pem,
    issue::{Authority, CaKind},
    key::{Algorithm, SealingKey, Signer, SigningKey},
    roots::Roots,
    statement::trust_bundle::TrustBundle,
};
use tunnel_protos::{Label, UnixMillis, VendorName};
use tunnel_runtime::tasks::Task;

use super::{Link, LoadError, Pace, Sources, Trust};
use crate::{
    audit::Audit,
    clock,
    config::{Cluster, TrustConfig},
    enrollment::{self, Entries, Facts, Member, Phase, Progress},
    keys::Keys,
};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Hasty, so that tests are.
pub(crate) const PACE: Pace = Pace {
    first: Duration::from_millis(200),
    longest: Duration::from_millis(400),
    jitter: Duration::from_millis(10),
};

/// Files and keys of both sides.
pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) vendor_key: SigningKey,
    pub(crate) mesh: Arc<Authority>,
    pub(crate) operator: Authority,
    /// The replica's.
    pub(crate) key: Arc<SigningKey>,
    pub(crate) cluster_key: Arc<SigningKey>,
}

/// A trust that lives; dropping it ends its keeper.
pub(crate) struct Living {
    pub(crate) trust: Trust,
    _keeper: Task<()>,
}

impl Stage {
    /// A customer with a bundle of sequence 1 and a mesh certificate of an hour.
    pub(crate) fn new() -> Self {
        Self::with(Arc::new(ca(CaKind::Mesh)))
    }

    pub(crate) fn with(mesh: Arc<Authority>) -> Self {
        let stage = Self {
            folder: tempfile::tempdir().unwrap(),
            vendor_key: SigningKey::generate(Algorithm::Ed25519).unwrap(),
            mesh,
            operator: ca(CaKind::Operator),
            key: Arc::new(SigningKey::generate(Algorithm::P256).unwrap()),
            cluster_key: Arc::new(SigningKey::generate(Algorithm::Ed25519).unwrap()),
        };
        fs::create_dir(stage.path("state")).unwrap();
        fs::write(stage.path("vendor.pem"), stage.vendor_key.public().to_pem()).unwrap();
        stage.write_bundle(&stage.bundle(1));
        stage.write_leaf(&stage.leaf(&stage.mesh, HOUR));
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn bundle(&self, sequence: u64) -> TrustBundle {
        TrustBundle {
            vendor: vendor(),
            suffix: "tunnel.example".parse().unwrap(),
            sequence,
            expires: clock::wall().plus(80 * DAY),
            vendor_keys: vec![self.vendor_key.public().clone()],
            mesh_roots: roots(&[&self.mesh]),
            operator_roots: roots(&[&self.operator]),
            release_keys: Vec::new(),
            release_threshold: 0,
            broker_addresses: vec!["127.0.0.1:9".to_owned()],
            allowed_private_addresses: Vec::new(),
        }
    }

    pub(crate) fn sign(&self, bundle: &TrustBundle) -> Vec<u8> {
        bundle.make(&self.vendor_key).unwrap().encode_to_vec()
    }

    pub(crate) fn write_bundle(&self, bundle: &TrustBundle) {
        fs::write(self.path("bundle.pb"), self.sign(bundle)).unwrap();
    }

    pub(crate) fn write_leaf(&self, leaf: &[u8]) {
        fs::write(self.path("leaf.pem"), certificate_to_pem(leaf)).unwrap();
    }

    /// A certificate of the replica's own key.
    pub(crate) fn leaf(&self, ca: &Authority, life: Duration) -> CertificateDer<'static> {
        leaf(ca, &self.key, &label(), life)
    }

    /// As [`Stage::leaf`], of an hour of which most is over: another is asked for at once, and this one lasts.
    pub(crate) fn due_leaf(&self) -> CertificateDer<'static> {
        leaf_of(&self.mesh, &self.key, &label(), (clock::wall().minus(HOUR * 3 / 4), HOUR))
    }

    pub(crate) fn sources(&self) -> Sources {
        Sources {
            folder: self.path("state"),
            label: label(),
            files: Some(TrustConfig {
                bundle: self.path("bundle.pb"),
                vendor_keys: vec![self.path("vendor.pem")],
            }),
            mesh_certificate: Some(self.path("leaf.pem")),
            mesh_key: self.key.clone(),
            pace: PACE,
        }
    }

    pub(crate) fn try_open(&self) -> Result<Living, LoadError> {
        let (trust, keeper) = Trust::open(self.sources(), clock::wall())?;
        Ok(Living { trust, _keeper: Task::spawn(Span::none(), keeper.run(Audit::default())) })
    }

    pub(crate) fn open(&self) -> Living {
        self.try_open().unwrap()
    }

    /// Without an office: nobody brings an entry here.
    fn entries(&self, trust: &Trust, member: Member) -> Entries {
        let keys = Keys {
            cluster: self.cluster_key.clone(),
            sealing: Arc::new(SealingKey::generate().unwrap()),
            mesh: self.key.clone(),
        };
        let cluster = Cluster { name: "acme/prod".parse().unwrap(), label: label() };
        let progress = Progress { member, phase: Phase::Certified, words: None, last_error: String::new() };
        let settings = enrollment::Settings {
            folder: self.path("state"),
            cluster,
            configured: None,
            keys,
            belief: trust.belief(),
            progress: watch::channel(progress).1,
            facts: Facts::default(),
            audit: Audit::default(),
        };
        Entries::open(settings, clock::wall()).unwrap().0
    }

    pub(crate) fn link(&self, trust: &Trust) -> Link {
        self.link_of(trust, Member::First)
    }

    pub(crate) fn link_of(&self, trust: &Trust, member: Member) -> Link {
        Link::new(trust.clone(), self.entries(trust, member), label(), &self.key)
    }
}

pub(crate) fn ca(kind: CaKind) -> Authority {
    ca_of(kind, clock::wall())
}

/// A CA that was made then.
pub(crate) fn ca_of(kind: CaKind, made: UnixMillis) -> Authority {
    let key = SigningKey::generate(Algorithm::P256).unwrap();
    Authority::create(kind, "vendor", Arc::new(key), made).unwrap()
}

pub(crate) fn roots(cas: &[&Authority]) -> Roots {
    Roots::new(cas.iter().map(|ca| ca.certificate().clone()).collect()).unwrap()
}

pub(crate) fn leaf(
    ca: &Authority,
    key: &SigningKey,
    label: &Label,
    life: Duration,
) -> CertificateDer<'static> {
    leaf_of(ca, key, label, (clock::wall(), life))
}

/// A certificate that was made then, and lives from there.
pub(crate) fn leaf_of(
    ca: &Authority,
    key: &SigningKey,
    label: &Label,
    (made, life): (UnixMillis, Duration),
) -> CertificateDer<'static> {
    let id = "r1".parse().unwrap();
    ca.issue_replica(key.public(), &vendor(), label, &id, life, made).unwrap()
}

pub(crate) fn vendor() -> VendorName {
    "vendor".parse().unwrap()
}

pub(crate) fn label() -> Label {
    Label::from_random([3; 17])
}
