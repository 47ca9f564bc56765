//! Operators' identities: at the broker's API, and behind the signature of a request.

use rustls_pki_types::CertificateDer;
use tunnel_protos::{OperatorName, UnixMillis, VendorName};

use super::{Leaf, Usages, VerifyError, Window, client, only};
use crate::{
    identity::{Identity, Role},
    issue::MAX_OPERATOR_LIFE,
    key::PublicKey,
    roots::Roots,
};

/// An operator's identity that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorCertificate {
    /// Who.
    pub operator: OperatorName,
    /// First moment, not before that of its CA.
    pub not_before: UnixMillis,
    /// Last moment, at most that of its CA.
    pub not_after: UnixMillis,
    /// Verifies the operator's requests.
    pub key: PublicKey,
}

/// Verifies operators of one vendor.
#[derive(Debug, Clone)]
pub struct OperatorVerifier {
    vendor: VendorName,
    roots: Roots,
}

impl OperatorVerifier {
    /// Trusts these operator roots for this vendor's operators.
    pub fn new(vendor: VendorName, roots: Roots) -> Self {
        Self { vendor, roots }
    }

    /// Checks that `chain` is one operator certificate of at most 12 h, valid at `at`.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        at: UnixMillis,
    ) -> Result<OperatorCertificate, VerifyError> {
        let der = only(chain)?;
        let leaf = Leaf::read(der)?;
        let anchor = self.roots.issuer_of(der, &leaf, client(), at)?;
        let operator = match leaf.identity()? {
            Identity::Operator { vendor, name } if vendor == self.vendor => name,
            _ => return Err(VerifyError::WrongRole),
        };
        leaf.check_shape(Usages::of(Role::Operator), MAX_OPERATOR_LIFE)?;
        let Window { not_before, not_after } = Window::of(&leaf, anchor);
        Window { not_before, not_after }.check(at)?;
        Ok(OperatorCertificate { operator, not_before, not_after, key: leaf.p256()?.clone() })
    }
}
