//! What is believed at one moment, and what follows from it. Pure.

use std::collections::BTreeSet;

use rustls_pki_types::CertificateDer;
use tunnel_certs::{
    credential::{Credential, CredentialError},
    identity::{Identity, Role},
    roots::Roots,
    statement::trust_bundle::TrustBundle,
    tls::{self, TlsError},
    verify::{MeshVerifier, OperatorVerifier, Summary, VerifyError},
};
use tunnel_protos::{Label, ReplicaId, UnixMillis, VendorName, v1::RotationPhase};
use tunnel_transport::quic::{ALPN, ClientTls};

use super::Fingerprint;
use crate::{requests::Operators, tunnels::Dialing};

/// The vendor, as far as it is proven, and this replica's own certificate.
#[derive(Debug, Clone)]
pub struct Belief {
    /// Roots, keys, addresses, suffix.
    pub bundle: TrustBundle,
    /// Roots that the customer does not trust.
    pub removed: BTreeSet<Fingerprint>,
    /// Who this replica is toward brokers; none before it is enrolled.
    pub leaf: Option<Leaf>,
}

/// This replica's mesh certificate with its key.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Certificate and key.
    pub credential: Credential,
    /// The id in it.
    pub replica: ReplicaId,
}

/// Why a certificate was not taken for this replica.
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// Not a certificate for the mesh key.
    #[error("the mesh certificate")]
    Credential(#[source] CredentialError),
    /// Another replica's, cluster's or vendor's.
    #[error("the mesh certificate is not this replica's")]
    Foreign,
    /// Brokers would refuse it.
    #[error("the mesh certificate")]
    Refused(#[source] VerifyError),
    /// Nobody asked for it, or it is no better than the one in force.
    #[error("the mesh certificate in force is as good")]
    Unwanted,
    /// TLS cannot be built of it.
    #[error("the TLS toward brokers")]
    Tls(#[source] TlsError),
    /// A restart would forget it.
    #[error("the mesh certificate cannot be stored")]
    Store(#[source] tunnel_certs::file::FileError),
    /// Nobody answers.
    #[error("not taken in time")]
    Late,
}

impl Leaf {
    /// A replica's certificate of this vendor and cluster; none if it says somebody else.
    pub(super) fn of(credential: Credential, vendor: &VendorName, label: &Label) -> Option<Self> {
        match credential.identity().ok()? {
            Identity::Replica { vendor: whose, label: cluster, id }
                if whose == *vendor && cluster == *label =>
            {
                Some(Self { credential, replica: id })
            }
            _ => None,
        }
    }

    /// Its last moment.
    pub fn not_after(&self) -> UnixMillis {
        self.credential.validity().1
    }

    /// What names it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.credential.certificate())
    }
}

impl Belief {
    /// Whether a root is trusted.
    pub fn trusts(&self, root: &CertificateDer<'_>) -> bool {
        !self.removed.contains(&Fingerprint::of(root))
    }

    /// Roots of brokers and replicas.
    pub fn mesh_roots(&self) -> Roots {
        self.bundle.mesh_roots.only(|root| self.trusts(root))
    }

    /// Roots of operators.
    pub fn operator_roots(&self) -> Roots {
        self.bundle.operator_roots.only(|root| self.trusts(root))
    }

    /// Verifies brokers, and our own certificate as brokers do.
    pub fn mesh(&self) -> MeshVerifier {
        MeshVerifier::new(self.bundle.vendor.clone(), self.mesh_roots())
    }

    /// Verifies operators, until the bundle's end.
    pub fn operators(&self) -> Operators {
        let verifier = OperatorVerifier::new(self.bundle.vendor.clone(), self.operator_roots());
        Operators { verifier, until: self.bundle.expires }
    }

    /// How brokers are dialed; none without a certificate.
    pub fn dialing(&self) -> Result<Option<Dialing>, TlsError> {
        let Some(leaf) = &self.leaf else { return Ok(None) };
        let verifier = self.mesh();
        let config = tls::mesh_client(&leaf.credential, verifier.clone(), &[ALPN])?;
        let tls = ClientTls { config, verifier };
        Ok(Some(Dialing { tls, until: leaf.not_after(), leaf: leaf.fingerprint() }))
    }

    /// Whether brokers that trust what we trust take this certificate of ours.
    pub fn check(&self, leaf: &Leaf, now: UnixMillis) -> Result<(), VerifyError> {
        let chain = std::slice::from_ref(leaf.credential.certificate());
        self.mesh().verify(chain, Role::Replica, now).map(drop)
    }

    /// The mesh root that signed `leaf`.
    pub fn issuer(&self, leaf: &Leaf) -> Option<Fingerprint> {
        let (begin, _) = leaf.credential.validity();
        let chain = std::slice::from_ref(leaf.credential.certificate());
        let signed = |root: &&CertificateDer<'static>| {
            let only = self.bundle.mesh_roots.only(|other| other == *root);
            let verifier = MeshVerifier::new(self.bundle.vendor.clone(), only);
            verifier.verify(chain, Role::Replica, begin).is_ok()
        };
        let roots = self.mesh_roots();
        roots.certificates().iter().find(signed).map(|root| Fingerprint::of(root))
    }

    /// The root under which certificates are to be renewed at once in `phase`.
    pub fn root_of(&self, phase: RotationPhase) -> Option<Fingerprint> {
        let roots = self.mesh_by_age();
        match phase {
            // Who comes back late, in the broker's turn, has missed its own.
            RotationPhase::UpdateReplicas | RotationPhase::UpdateBrokers => roots.last().copied(),
            RotationPhase::Rollback => roots.first().copied(),
            RotationPhase::Unspecified | RotationPhase::Standby | RotationPhase::Init => None,
        }
    }

    /// Whether this replica is through with `phase`, by a tunnel that shows the certificate `shown`.
    pub fn reached(&self, phase: RotationPhase, leaf: &Leaf, shown: &Fingerprint) -> bool {
        let roots = self.mesh_by_age();
        let under = |root: Option<&Fingerprint>| {
            root.is_some() && leaf.fingerprint() == *shown && self.issuer(leaf).as_ref() == root
        };
        match phase {
            RotationPhase::Init => roots.len() > 1,
            // The broker's turn changes nothing here, but nobody may be left behind when the old root goes.
            RotationPhase::UpdateReplicas | RotationPhase::UpdateBrokers => under(roots.last()),
            RotationPhase::Standby => roots.len() == 1 && under(roots.last()),
            RotationPhase::Rollback => under(roots.first()),
            RotationPhase::Unspecified => false,
        }
    }

    /// Mesh roots that are trusted, oldest first.
    pub fn mesh_by_age(&self) -> Vec<Fingerprint> {
        let begin =
            |der: &CertificateDer<'_>| Summary::read(der).map_or(UnixMillis(0), |read| read.not_before);
        let roots = self.mesh_roots();
        let mut roots: Vec<_> =
            roots.certificates().iter().map(|der| (begin(der), Fingerprint::of(der))).collect();
        roots.sort_unstable();
        roots.into_iter().map(|(_, fingerprint)| fingerprint).collect()
    }
}
