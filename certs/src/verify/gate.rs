//! Grant certificates at the gate, first "did we issue this", then "is it still good"; and the gate's own, at operators.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, ServerName};
use tunnel_protos::{GrantId, Label, UnixMillis};
use webpki::EndEntityCert;

use super::{Leaf, Serial, SubjectName, Usages, VerifyError, Window, client, only, server};
use crate::{
    identity::{Identity, Role},
    roots::Roots,
};

/// A certificate that our access CA signed in our shape; serial and grant are the caller's to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantCertificate {
    /// The grant it opens.
    pub grant: GrantId,
    /// Known to the grant, if we issued it.
    pub serial: Serial,
    /// First moment.
    pub not_before: UnixMillis,
    /// Last moment, at most that of its CA.
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

    /// Whether our access CA signed exactly this shape, now or once: an expired one passes, a future one does not.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixMillis,
    ) -> Result<GrantCertificate, VerifyError> {
        let der = only(chain)?;
        let leaf = Leaf::read(der)?;
        // The CA's time is that of issuing: an expired CA still tells an old certificate of ours from a forged one.
        let anchor = self.roots.issuer_of(der, &leaf, client(), leaf.not_before)?;
        let grant = self.check_shape(&leaf)?;
        if now < leaf.not_before {
            return Err(VerifyError::NotYetValid);
        }
        Ok(GrantCertificate {
            grant,
            serial: leaf.serial.ok_or(VerifyError::Malformed)?,
            not_before: leaf.not_before,
            not_after: leaf.not_after.min(anchor.not_after),
        })
    }

    fn check_shape(&self, leaf: &Leaf) -> Result<GrantId, VerifyError> {
        let grant = match leaf.identity()? {
            Identity::Grant { label, grant } if label == self.label => grant,
            _ => return Err(VerifyError::WrongRole),
        };
        leaf.check_shape(Usages::of(Role::Grant), LONGEST_GRANT)?;
        Ok(grant)
    }
}

/// Verifies a gate's server certificate against the anchors that an outcome brought.
#[derive(Debug, Clone)]
pub struct GateServerVerifier {
    anchors: Roots,
}

impl GateServerVerifier {
    /// Trusts these access CAs, one or two.
    pub fn new(anchors: Roots) -> Self {
        Self { anchors }
    }

    /// Checks that `chain` is one gate certificate for `name`, valid at `now`.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixMillis,
    ) -> Result<(), VerifyError> {
        let der = only(chain)?;
        let leaf = Leaf::read(der)?;
        let anchor = self.anchors.issuer_of(der, &leaf, server(), now)?;
        if !matches!(leaf.names[..], [SubjectName::Dns(_)]) {
            return Err(VerifyError::Names);
        }
        let certificate = EndEntityCert::try_from(der).map_err(|_| VerifyError::Malformed)?;
        certificate.verify_is_valid_for_subject_name(name).map_err(|_| VerifyError::Names)?;
        leaf.check_shape(Usages::SERVER, LONGEST_GATE_SERVER)?;
        Window::of(&leaf, anchor).check(now)
    }
}

/// 15 minutes, and the minute by which it begins earlier.
const LONGEST_GRANT: Duration = Duration::from_secs(16 * 60);
/// 24 hours, and the minute by which it begins earlier.
const LONGEST_GATE_SERVER: Duration = Duration::from_secs(24 * 3600 + 60);
