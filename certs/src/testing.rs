//! Throw-away CAs, and certificates that break one rule each.

use std::{sync::Arc, time::Duration};

use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, PublicKeyData, SanType,
    SerialNumber,
};
use rustls_pki_types::{CertificateDer, ServerName};
use time::OffsetDateTime;
use tunnel_protos::{
    Door, DoorName, GrantId, Label, OperatorName, RequestId, Suffix, TokenId, UnixMillis, VendorName,
    v1::TokenKind,
};

use crate::{
    credential::Credential,
    crypto,
    enrollment::{Bundle, Secret},
    identity::Identity,
    issue::{Authority, CaKind, GrantTerms, IssuedGrant, RcgenSigner},
    key::{Algorithm, PublicKey, Signer, SigningKey},
    roots::Roots,
    statement::trust_bundle::TrustBundle,
    verify::{GrantVerifier, MeshVerifier, OperatorVerifier},
};

/// 2026-01-01T00:00:00Z, a whole second.
pub(crate) const NOW: UnixMillis = UnixMillis(1_767_225_600_000);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn vendor() -> VendorName {
    "initech".parse().unwrap()
}

pub(crate) fn alice() -> OperatorName {
    "alice".parse().unwrap()
}

pub(crate) fn label() -> Label {
    Label::from_random([11; 17])
}

pub(crate) fn suffix() -> Suffix {
    "tunnel.example".parse().unwrap()
}

/// The server name of a door.
pub(crate) fn door() -> ServerName<'static> {
    let door = DoorName { door: Door::from_random([5; 17]), label: label() };
    door.host(&suffix()).try_into().unwrap()
}

pub(crate) fn p256() -> SigningKey {
    SigningKey::generate(Algorithm::P256).unwrap()
}

pub(crate) fn ed25519() -> SigningKey {
    SigningKey::generate(Algorithm::Ed25519).unwrap()
}

pub(crate) fn new_grant() -> GrantId {
    RequestId::random().into()
}

/// A CA and its key, to sign what an [`Authority`] never would.
pub(crate) struct Ca {
    pub(crate) authority: Authority,
    pub(crate) key: Arc<SigningKey>,
}

impl Ca {
    pub(crate) fn new(kind: CaKind) -> Self {
        Self::made_at(kind, NOW.minus(DAY))
    }

    pub(crate) fn made_at(kind: CaKind, at: UnixMillis) -> Self {
        let key = Arc::new(p256());
        let authority = Authority::create(kind, "initech", Arc::clone(&key) as _, at).unwrap();
        Self { authority, key }
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::new(vec![self.authority.certificate().clone()]).unwrap()
    }

    /// Signs anything, for any key.
    pub(crate) fn sign(
        &self,
        parameters: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> CertificateDer<'static> {
        let signer: Arc<dyn Signer> = Arc::clone(&self.key) as _;
        let issuer = Issuer::from_ca_cert_der(self.authority.certificate(), RcgenSigner(signer)).unwrap();
        parameters.signed_by(key, &issuer).unwrap().der().clone()
    }

    /// Signs for a fresh P-256 key.
    pub(crate) fn forge(&self, parameters: &CertificateParams) -> CertificateDer<'static> {
        self.sign(parameters, &rcgen::KeyPair::generate().unwrap())
    }

    pub(crate) fn credential(&self, parameters: &CertificateParams) -> Credential {
        let key = Arc::new(p256());
        let signer: Arc<dyn Signer> = Arc::clone(&key) as _;
        Credential::new(vec![self.sign(parameters, &RcgenSigner(signer))], key).unwrap()
    }

    pub(crate) fn grant(&self, grant: GrantId, now: UnixMillis) -> IssuedGrant {
        self.grant_for(&p256(), grant, now)
    }

    pub(crate) fn grant_for(&self, key: &SigningKey, grant: GrantId, now: UnixMillis) -> IssuedGrant {
        let terms = GrantTerms { label: label(), grant, ttl: 15 * MINUTE, grant_end: now.plus(HOUR) };
        self.authority.issue_grant(&key.csr().unwrap(), &terms, now).unwrap()
    }

    pub(crate) fn operator(&self, key: &PublicKey, now: UnixMillis) -> CertificateDer<'static> {
        self.authority.issue_operator(key, &vendor(), &alice(), 8 * HOUR, now).unwrap()
    }

    pub(crate) fn grants(&self) -> GrantVerifier {
        GrantVerifier::new(label(), self.roots())
    }

    pub(crate) fn operators(&self) -> OperatorVerifier {
        OperatorVerifier::new(vendor(), self.roots())
    }

    pub(crate) fn mesh(&self) -> MeshVerifier {
        MeshVerifier::new(vendor(), self.roots())
    }
}

/// One identity of each role.
pub(crate) fn identities() -> [Identity; 4] {
    [
        Identity::Broker { vendor: vendor(), id: "b1".parse().unwrap() },
        Identity::Replica { vendor: vendor(), label: label(), id: "r1".parse().unwrap() },
        Identity::Operator { vendor: vendor(), name: alice() },
        Identity::Grant { label: label(), grant: new_grant() },
    ]
}

/// What our CAs would sign for `identity`, 10 minutes long; tests break one thing of it.
pub(crate) fn shape(identity: &Identity) -> CertificateParams {
    let mut parameters = bare(NOW.minus(MINUTE), NOW.plus(10 * MINUTE));
    parameters.subject_alt_names = vec![uri(&identity.to_string())];
    parameters.extended_key_usages = match identity {
        Identity::Broker { .. } => {
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
        }
        _ => vec![ExtendedKeyUsagePurpose::ClientAuth],
    };
    parameters
}

/// What our access CA would sign for a gate.
pub(crate) fn gate_shape() -> CertificateParams {
    let mut parameters = bare(NOW.minus(MINUTE), NOW.plus(DAY));
    parameters.subject_alt_names = vec![dns(&format!("*.{}.{}", label(), suffix()))];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters
}

fn bare(from: UnixMillis, until: UnixMillis) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.not_before = date(from);
    parameters.not_after = date(until);
    parameters.serial_number = Some(SerialNumber::from_slice(&crypto::random::<16>()));
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

pub(crate) fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

pub(crate) fn date(at: UnixMillis) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap()
}

/// A trust bundle of ours, signed by `key`.
pub(crate) fn trust_bundle(key: &SigningKey) -> TrustBundle {
    TrustBundle {
        vendor: vendor(),
        suffix: suffix(),
        sequence: 7,
        expires: NOW.plus(30 * DAY),
        vendor_keys: vec![key.public().clone()],
        mesh_roots: Ca::new(CaKind::Mesh).roots(),
        operator_roots: Ca::new(CaKind::Operator).roots(),
        release_keys: vec![],
        release_threshold: 0,
        broker_addresses: vec!["b1.initech.example:443".into()],
        allowed_private_addresses: vec![],
    }
}

/// An enrollment bundle for our cluster.
pub(crate) fn enrollment(key: &SigningKey) -> Bundle {
    Bundle {
        vendor: vendor(),
        suffix: suffix(),
        broker_addresses: vec!["b1.initech.example:443".into(), "[2001:db8::1]:443".into()],
        vendor_keys: vec![key.public().clone()],
        trust_bundle: trust_bundle(key).make(key).unwrap(),
        cluster: "acme/prod".parse().unwrap(),
        label: label(),
        kind: TokenKind::Cluster,
        token: TokenId::from_random([3; 16]),
        secret: Secret::from_bytes([9; 32]),
        expires: NOW.plus(Bundle::DEFAULT_LIFE),
    }
}
