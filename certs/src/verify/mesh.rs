//! Brokers and replicas, verified by URI instead of DNS name.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tunnel_protos::{UnixMillis, VendorName};

use super::{Leaf, Usages, VerifyError, Window, client, only};
use crate::{
    identity::{Identity, Role},
    issue::MAX_MESH_LIFE,
    key::PublicKey,
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

/// A peer whose certificate holds or held, and the key that must now be proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerPeer {
    /// Who it was.
    pub identity: Identity,
    /// Last moment of its certificate.
    pub not_after: UnixMillis,
    /// The certificate's key; showing the certificate proves nothing.
    pub key: PublicKey,
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
        let (identity, window, _) = self.check(chain, role, now)?;
        window.check(now)?;
        Ok(VerifiedPeer { identity, not_after: window.not_after })
    }

    /// The same for a certificate that may have ended up to `grace` ago; its CA must be trusted and valid now.
    ///
    /// For [`crate::reissue`] only: the caller demands a proof of the key before it believes the identity.
    pub fn verify_expired(
        &self,
        chain: &[CertificateDer<'_>],
        role: Role,
        now: UnixMillis,
        grace: Duration,
    ) -> Result<FormerPeer, VerifyError> {
        let (identity, window, key) = self.check(chain, role, now)?;
        let longer = Window { not_after: window.not_after.plus(grace), ..window };
        longer.check(now)?;
        Ok(FormerPeer { identity, not_after: window.not_after, key })
    }

    /// What a certificate of whatever CA says, if its shape is `role`'s: no more than a claim.
    ///
    /// For [`crate::reissue`] only: the caller must know the key by itself, and demand a proof of it.
    pub fn claimed(&self, chain: &[CertificateDer<'_>], role: Role) -> Result<FormerPeer, VerifyError> {
        let leaf = Leaf::read(only(chain)?)?;
        let identity = self.identity(&leaf, role)?;
        Ok(FormerPeer { identity, not_after: leaf.not_after, key: leaf.p256()?.clone() })
    }

    /// All but the leaf's own time.
    fn check(
        &self,
        chain: &[CertificateDer<'_>],
        role: Role,
        now: UnixMillis,
    ) -> Result<(Identity, Window, PublicKey), VerifyError> {
        let der = only(chain)?;
        let leaf = Leaf::read(der)?;
        let anchor = self.roots.issuer_of(der, &leaf, client(), now)?;
        let identity = self.identity(&leaf, role)?;
        Ok((identity, Window::of(&leaf, anchor), leaf.p256()?.clone()))
    }

    /// Of a leaf that has the role's shape.
    fn identity(&self, leaf: &Leaf, role: Role) -> Result<Identity, VerifyError> {
        let identity = leaf.identity()?;
        if identity.role() != role || !self.is_ours(&identity) {
            return Err(VerifyError::WrongRole);
        }
        leaf.check_shape(Usages::of(role), MAX_MESH_LIFE)?;
        Ok(identity)
    }

    fn is_ours(&self, identity: &Identity) -> bool {
        match identity {
            Identity::Broker { vendor, .. } | Identity::Replica { vendor, .. } => *vendor == self.vendor,
            Identity::Operator { .. } | Identity::Grant { .. } => false,
        }
    }
}

/// How long after its end a replica's certificate still names its key for a new one.
pub const REISSUE_GRACE: Duration = Duration::from_secs(30 * 24 * 3600);
