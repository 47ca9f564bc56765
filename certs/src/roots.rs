//! Trust anchors with their own validity, which webpki ignores and we check.

use rustls_pki_types::CertificateDer;

/// A certificate that cannot be an anchor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    /// No certificate at all.
    #[error("no CA certificate")]
    Empty,
    /// Not a certificate.
    #[error("malformed CA certificate")]
    Malformed,
    /// A certificate that may not sign others.
    #[error("not a CA certificate")]
    NotCa,
}

/// One or more CA certificates of one kind (mesh, operator or access).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    ders: Vec<CertificateDer<'static>>,
}

impl Roots {
    /// Takes CA certificates, at least one.
    pub fn new(ders: Vec<CertificateDer<'static>>) -> Result<Self, RootsError> {
        todo!()
    }

    /// The CA certificates.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.ders
    }
}
