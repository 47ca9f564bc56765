//! Operators' identities: at the broker's API, and behind the signature of a request.

use rustls_pki_types::CertificateDer;
use tunnel_protos::{OperatorName, UnixMillis, VendorName};

use super::VerifyError;
use crate::{key::PublicKey, roots::Roots};

/// An operator's identity that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorCertificate {
    /// Who.
    pub operator: OperatorName,
    /// First moment.
    pub not_before: UnixMillis,
    /// Last moment.
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
        todo!()
    }
}
