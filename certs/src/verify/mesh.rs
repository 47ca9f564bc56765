//! Brokers and replicas, verified by URI instead of DNS name.

use rustls_pki_types::CertificateDer;
use tunnel_protos::{UnixMillis, VendorName};

use super::{Leaf, Usages, VerifyError, Window, client, only};
use crate::{
    identity::{Identity, Role},
    issue::MAX_MESH_LIFE,
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
        let der = only(chain)?;
        let leaf = Leaf::read(der)?;
        let anchor = self.roots.issuer_of(der, &leaf, client(), now)?;
        let identity = leaf.identity()?;
        if identity.role() != role || !self.is_ours(&identity) {
            return Err(VerifyError::WrongRole);
        }
        leaf.check_shape(Usages::of(role), MAX_MESH_LIFE)?;
        let window = Window::of(&leaf, anchor);
        window.check(now)?;
        Ok(VerifiedPeer { identity, not_after: window.not_after })
    }

    fn is_ours(&self, identity: &Identity) -> bool {
        match identity {
            Identity::Broker { vendor, .. } | Identity::Replica { vendor, .. } => *vendor == self.vendor,
            Identity::Operator { .. } | Identity::Grant { .. } => false,
        }
    }
}
