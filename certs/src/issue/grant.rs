//! Grant certificates: at most 15 minutes, carrying nothing but the grant's id.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tunnel_protos::{GrantId, Label, UnixMillis};

use super::{
    Authority, IssueError,
    leaf::{BACKDATED, Signed},
};
use crate::{csr, identity::Identity, verify::Serial};

/// Longest life of a grant certificate.
pub const MAX_CERTIFICATE_TTL: Duration = Duration::from_secs(15 * 60);

/// What a grant certificate is bounded by.
#[derive(Debug, Clone, Copy)]
pub struct GrantTerms {
    /// The cluster.
    pub label: Label,
    /// The grant.
    pub grant: GrantId,
    /// The policy's `certificateTtl`; more than 15 minutes counts as 15 minutes.
    pub ttl: Duration,
    /// When the grant ends; the certificate never outlives it.
    pub grant_end: UnixMillis,
}

/// A grant certificate, and what must be stored before it leaves.
#[derive(Debug, Clone)]
pub struct IssuedGrant {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// To be stored in the grant before the certificate leaves.
    pub serial: Serial,
    /// One minute before now, for clocks that are behind.
    pub not_before: UnixMillis,
    /// The end, whole seconds.
    pub not_after: UnixMillis,
}

impl Authority {
    /// Certifies the key of `csr` (PKCS#10, DER) for a grant; all else in the request is ignored.
    pub fn issue_grant(
        &self,
        csr: &[u8],
        terms: &GrantTerms,
        now: UnixMillis,
    ) -> Result<IssuedGrant, IssueError> {
        let key = csr::public_key(csr).map_err(IssueError::Csr)?;
        let until = now.plus(terms.ttl.min(MAX_CERTIFICATE_TTL)).min(terms.grant_end);
        if until <= now {
            return Err(IssueError::Over("the grant"));
        }
        let identity = Identity::Grant { label: terms.label, grant: terms.grant };
        let signed = self.sign_identity(&key, &identity, (now.minus(BACKDATED), until))?;
        let Signed { certificate, serial, not_before, not_after } = signed;
        Ok(IssuedGrant { certificate, serial, not_before, not_after })
    }
}
