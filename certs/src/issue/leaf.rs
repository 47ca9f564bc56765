//! Certificates of brokers, replicas, operators and gate servers.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tunnel_protos::{BrokerId, Label, OperatorName, ReplicaId, Suffix, UnixMillis, VendorName};

use super::Authority;
use crate::{
    credential::Credential,
    csr::CsrError,
    key::{PublicKey, SignError},
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
    #[error("a {role} certificate lives at most {} s", limit.as_secs())]
    TooLong {
        /// The role.
        role: &'static str,
        /// Its longest life.
        limit: Duration,
    },
    /// The grant, or the CA, is over.
    #[error("nothing is left to certify: {0} has ended")]
    Over(&'static str),
    /// Only P-256 keys are certified.
    #[error("only P-256 keys are certified")]
    Key,
    /// The CA's key refused to sign.
    #[error("the CA could not sign")]
    Sign(#[source] SignError),
    /// The certificate could not be built.
    #[error("cannot build the certificate: {0}")]
    Build(String),
}

/// Longest life of a mesh leaf while there is no enrollment to renew it.
pub const MAX_MESH_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Longest life of an operator's identity: one shift.
pub const MAX_OPERATOR_LIFE: Duration = Duration::from_secs(12 * 3600);
/// Life of a gate's server certificate, whose key lives in memory only.
pub const GATE_SERVER_LIFE: Duration = Duration::from_secs(24 * 3600);

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
        todo!()
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
        todo!()
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
        todo!()
    }

    /// A gate's server certificate for `*.<label>.<suffix>` (serverAuth) with a fresh key, 24 h.
    pub fn issue_gate_server(
        &self,
        label: &Label,
        suffix: &Suffix,
        now: UnixMillis,
    ) -> Result<Credential, IssueError> {
        todo!()
    }
}
