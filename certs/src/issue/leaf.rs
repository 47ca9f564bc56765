//! Certificates of brokers, replicas and operators.

use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType,
    SerialNumber,
};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use tunnel_protos::{BrokerId, Label, OperatorName, ReplicaId, UnixMillis, VendorName};

use super::{Authority, CaKind, signer::RcgenPublic};
use crate::{
    credential::CredentialError,
    crypto,
    csr::CsrError,
    identity::{Identity, Role},
    key::{Algorithm, KeyError, PublicKey},
    verify::Serial,
};

/// Why a certificate was not issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The request was refused.
    #[error("the certificate request")]
    Csr(#[source] CsrError),
    /// This CA does not sign certificates of that role.
    #[error("this CA does not sign {0} certificates")]
    WrongCa(&'static str),
    /// A life longer than the role may have.
    #[error("{role} certificates live at most {} hours", limit.as_secs() / 3600)]
    TooLong {
        /// The role.
        role: &'static str,
        /// Its longest life.
        limit: Duration,
    },
    /// The grant, or the CA, is over.
    #[error("nothing is left to certify: {0} has ended")]
    Over(&'static str),
    /// A fresh key could not be made.
    #[error("cannot make a key")]
    Generate(#[source] KeyError),
    /// Only P-256 keys are certified.
    #[error("only P-256 keys are certified")]
    Key,
    /// The certificate could not be built or signed.
    #[error("cannot build the certificate")]
    Build(#[source] rcgen::Error),
    /// A fresh key and its certificate do not fit.
    #[error("cannot use the certificate")]
    Credential(#[source] CredentialError),
}

/// Longest life of a mesh leaf, for those that are made by files and that nobody renews.
pub const MAX_MESH_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Longest life of an operator's identity: one shift.
pub const MAX_OPERATOR_LIFE: Duration = Duration::from_secs(12 * 3600);

impl Authority {
    /// A broker's mesh certificate (serverAuth and clientAuth: brokers dial their peers).
    pub fn issue_broker(
        &self,
        key: &PublicKey,
        vendor: &VendorName,
        id: &BrokerId,
        life: Duration,
        now: UnixMillis,
    ) -> Result<CertificateDer<'static>, IssueError> {
        let identity = Identity::Broker { vendor: vendor.clone(), id: id.clone() };
        self.issue_within(key, &identity, life, MAX_MESH_LIFE, now)
    }

    /// A replica's mesh certificate (clientAuth).
    pub fn issue_replica(
        &self,
        key: &PublicKey,
        vendor: &VendorName,
        label: &Label,
        id: &ReplicaId,
        life: Duration,
        now: UnixMillis,
    ) -> Result<CertificateDer<'static>, IssueError> {
        let identity = Identity::Replica { vendor: vendor.clone(), label: *label, id: id.clone() };
        self.issue_within(key, &identity, life, MAX_MESH_LIFE, now)
    }

    /// An operator's identity (clientAuth).
    pub fn issue_operator(
        &self,
        key: &PublicKey,
        vendor: &VendorName,
        name: &OperatorName,
        life: Duration,
        now: UnixMillis,
    ) -> Result<CertificateDer<'static>, IssueError> {
        let identity = Identity::Operator { vendor: vendor.clone(), name: name.clone() };
        self.issue_within(key, &identity, life, MAX_OPERATOR_LIFE, now)
    }

    fn issue_within(
        &self,
        key: &PublicKey,
        identity: &Identity,
        life: Duration,
        limit: Duration,
        now: UnixMillis,
    ) -> Result<CertificateDer<'static>, IssueError> {
        if life > limit {
            return Err(IssueError::TooLong { role: identity.role().name(), limit });
        }
        let not_before = now.minus(BACKDATED);
        // The minute before now counts: verifiers measure from the first moment.
        let until = now.plus(life).min(not_before.plus(limit));
        let issued = self.sign_identity(key, identity, (not_before, until))?;
        Ok(issued.certificate)
    }

    /// Signs a certificate that says `identity` and nothing more, within the CA's own life.
    pub(super) fn sign_identity(
        &self,
        key: &PublicKey,
        identity: &Identity,
        (from, until): (UnixMillis, UnixMillis),
    ) -> Result<Signed, IssueError> {
        let mut parameters = self.leaf_parameters(identity.role().name(), from, until)?;
        let uri = identity.to_string().try_into().map_err(IssueError::Build)?;
        parameters.subject_alt_names = vec![SanType::URI(uri)];
        parameters.distinguished_name.push(DnType::CommonName, identity.common_name());
        parameters.extended_key_usages = match identity.role() {
            Role::Broker => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            Role::Replica | Role::Operator | Role::Grant => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        self.sign(key, parameters)
    }

    /// All that leaves have in common, for a role that this CA may sign.
    pub(super) fn leaf_parameters(
        &self,
        role: &'static str,
        from: UnixMillis,
        until: UnixMillis,
    ) -> Result<CertificateParams, IssueError> {
        if !self.kind().signs(role) {
            return Err(IssueError::WrongCa(role));
        }
        let (from, until) = (from.max(self.not_before), until.min(self.not_after));
        if from >= until {
            return Err(IssueError::Over("the CA"));
        }
        let mut parameters = parameters(from, until).map_err(IssueError::Build)?;
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        Ok(parameters)
    }

    /// Signs what was built for a P-256 key.
    pub(super) fn sign(
        &self,
        key: &PublicKey,
        mut parameters: CertificateParams,
    ) -> Result<Signed, IssueError> {
        if key.algorithm() != Algorithm::P256 {
            return Err(IssueError::Key);
        }
        let serial = crypto::random();
        parameters.serial_number = Some(SerialNumber::from_slice(&serial));
        let certificate = parameters.signed_by(&RcgenPublic(key), &self.issuer).map_err(IssueError::Build)?;
        Ok(Signed {
            certificate: certificate.der().clone(),
            serial: Serial::new(serial),
            not_before: UnixMillis(parameters.not_before.unix_timestamp() * 1000),
            not_after: UnixMillis(parameters.not_after.unix_timestamp() * 1000),
        })
    }
}

/// A certificate, and what its maker must remember of it.
pub(super) struct Signed {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) serial: Serial,
    pub(super) not_before: UnixMillis,
    pub(super) not_after: UnixMillis,
}

impl CaKind {
    /// Keeps a CA from signing what its verifiers would refuse.
    fn signs(self, role: &'static str) -> bool {
        match self {
            Self::Mesh => role == Role::Broker.name() || role == Role::Replica.name(),
            Self::Operator => role == Role::Operator.name(),
            Self::Access => role == Role::Grant.name() || role == GATE_SERVER,
        }
    }
}

/// The bare frame of a certificate: times and key identifier, no names, no usages.
pub(super) fn parameters(from: UnixMillis, until: UnixMillis) -> Result<CertificateParams, rcgen::Error> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.not_before = date(from)?;
    parameters.not_after = date(until)?;
    parameters.use_authority_key_identifier_extension = true;
    Ok(parameters)
}

/// Whole seconds, rounded down.
fn date(at: UnixMillis) -> Result<OffsetDateTime, rcgen::Error> {
    OffsetDateTime::from_unix_timestamp(at.seconds()).map_err(|_| rcgen::Error::Time)
}

/// What the certificate of a gate is called in errors.
pub(super) const GATE_SERVER: &str = "gate server";
/// Certificates begin this much earlier, for clocks that are behind.
pub(super) const BACKDATED: Duration = Duration::from_secs(60);
