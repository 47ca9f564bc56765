//! Grant certificates at the gate: first "did we issue this", then "is it still good".

use rustls_pki_types::CertificateDer;
use tunnel_protos::{GrantId, Label, UnixMillis};

use super::{Serial, VerifyError};
use crate::roots::Roots;

/// A certificate that our access CA signed in our shape; serial and grant are the caller's to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantCertificate {
    /// The grant it opens.
    pub grant: GrantId,
    /// Known to the grant, if we issued it.
    pub serial: Serial,
    /// First moment.
    pub not_before: UnixMillis,
    /// Last moment.
    pub not_after: UnixMillis,
}

impl GrantCertificate {
    /// Whether it is over at `now`: such a certificate completes TLS and gets UNAUTHENTICATED on every call.
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        now > self.not_after
    }
}

/// Verifies grant certificates of one cluster.
#[derive(Debug, Clone)]
pub struct GrantVerifier {
    label: Label,
    roots: Roots,
}

impl GrantVerifier {
    /// Trusts the current access CA and, while rotating, the previous one.
    pub fn new(label: Label, roots: Roots) -> Self {
        Self { label, roots }
    }

    /// Whether our access CA signed exactly this shape, now or once (an expired one passes).
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixMillis,
    ) -> Result<GrantCertificate, VerifyError> {
        todo!()
    }
}
