//! Mesh leaves that renew themselves: 24 hours, from a request of which only the public key is believed.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tunnel_protos::{BrokerId, Label, ReplicaId, UnixMillis, VendorName};

use super::{Authority, IssueError, leaf::BACKDATED};
use crate::{csr, identity::Identity};

/// Life of a mesh leaf that is renewed over the tunnel, or by the broker for itself.
pub const MESH_LEAF_LIFE: Duration = Duration::from_secs(24 * 3600);

/// A mesh leaf, and when it ends.
#[derive(Debug, Clone)]
pub struct IssuedLeaf {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// One minute before now, for clocks that are behind.
    pub not_before: UnixMillis,
    /// The end, whole seconds; earlier than a day ahead if the CA ends before.
    pub not_after: UnixMillis,
}

impl Authority {
    /// Certifies the key of `csr` (PKCS#10, DER) for a replica; all else in the request is ignored.
    pub fn certify_replica(
        &self,
        csr: &[u8],
        vendor: &VendorName,
        label: &Label,
        id: &ReplicaId,
        now: UnixMillis,
    ) -> Result<IssuedLeaf, IssueError> {
        let identity = Identity::Replica { vendor: vendor.clone(), label: *label, id: id.clone() };
        self.certify(csr, &identity, now)
    }

    /// Certifies the key of `csr` (PKCS#10, DER) for a broker; all else in the request is ignored.
    pub fn certify_broker(
        &self,
        csr: &[u8],
        vendor: &VendorName,
        id: &BrokerId,
        now: UnixMillis,
    ) -> Result<IssuedLeaf, IssueError> {
        self.certify(csr, &Identity::Broker { vendor: vendor.clone(), id: id.clone() }, now)
    }

    fn certify(&self, csr: &[u8], identity: &Identity, now: UnixMillis) -> Result<IssuedLeaf, IssueError> {
        let key = csr::public_key(csr).map_err(IssueError::Csr)?;
        let window = (now.minus(BACKDATED), now.plus(MESH_LEAF_LIFE));
        let signed = self.sign_identity(&key, identity, window)?;
        Ok(IssuedLeaf {
            certificate: signed.certificate,
            not_before: signed.not_before,
            not_after: signed.not_after,
        })
    }
}
