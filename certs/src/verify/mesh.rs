//! Brokers and replicas, verified by URI instead of DNS name.

use rustls_pki_types::CertificateDer;
use tunnel_protos::{UnixMillis, VendorName};

use super::VerifyError;
use crate::{
    identity::{Identity, Role},
    roots::Roots,
};

/// A peer whose certificate holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedPeer {
    /// Who it is.
    pub identity: Identity,
    /// Last moment of its certificate: the tunnel ends then.
    pub not_after: UnixMillis,
}

/// Verifies mesh certificates of one vendor.
#[derive(Debug, Clone)]
pub struct MeshVerifier {
    vendor: VendorName,
    roots: Roots,
}

impl MeshVerifier {
    /// Trusts these mesh roots for this vendor's identities.
    pub fn new(vendor: VendorName, roots: Roots) -> Self {
        Self { vendor, roots }
    }

    /// Checks that `chain` is one certificate of `role`, valid at `now`.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        role: Role,
        now: UnixMillis,
    ) -> Result<VerifiedPeer, VerifyError> {
        todo!()
    }
}
