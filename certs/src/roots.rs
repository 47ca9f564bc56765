//! Trust anchors with their own validity, which webpki ignores and we check.

use std::fmt;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use tunnel_protos::UnixMillis;
use webpki::{EndEntityCert, KeyUsage};

use crate::{
    crypto::CERTIFICATE_ALGORITHMS,
    verify::{Leaf, VerifyError},
};

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
#[derive(Clone, PartialEq, Eq)]
pub struct Roots {
    ders: Vec<CertificateDer<'static>>,
    anchors: Vec<Anchor>,
}

impl Roots {
    /// Takes CA certificates, at least one.
    pub fn new(ders: Vec<CertificateDer<'static>>) -> Result<Self, RootsError> {
        let anchors: Vec<_> = ders.iter().map(Anchor::read).collect::<Result<_, _>>()?;
        if anchors.is_empty() { Err(RootsError::Empty) } else { Ok(Self { ders, anchors }) }
    }

    /// The CA certificates.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.ders
    }

    /// Those that `wanted` says; with none left, nobody is believed.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&CertificateDer<'static>) -> bool) -> Self {
        let both = self.ders.iter().zip(&self.anchors).filter(|(der, _)| wanted(der));
        let (ders, anchors) = both.map(|(der, anchor)| (der.clone(), anchor.clone())).unzip();
        Self { ders, anchors }
    }

    /// The anchor that signed `der` for `usage`, itself valid at `at`; no path but leaf and anchor is tried.
    ///
    /// The leaf's own time is left to the caller: webpki looks at it before the signature, so that it could not
    /// tell an expired certificate of ours from a forged one.
    pub(crate) fn issuer_of(
        &self,
        der: &CertificateDer<'_>,
        leaf: &Leaf,
        usage: KeyUsage,
        at: UnixMillis,
    ) -> Result<&Anchor, VerifyError> {
        let mut refused = VerifyError::UnknownIssuer;
        for anchor in &self.anchors {
            match anchor.signed(der, leaf, usage) {
                Ok(()) if anchor.is_valid(at) => return Ok(anchor),
                Ok(()) => refused = VerifyError::CaExpired,
                Err(VerifyError::UnknownIssuer) => {}
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let windows = self.anchors.iter().map(|anchor| (anchor.not_before, anchor.not_after));
        f.debug_list().entries(windows).finish()
    }
}

/// One CA.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Anchor {
    trust: TrustAnchor<'static>,
    pub(crate) not_before: UnixMillis,
    pub(crate) not_after: UnixMillis,
}

impl Anchor {
    fn read(der: &CertificateDer<'static>) -> Result<Self, RootsError> {
        let certificate = Leaf::read(der).map_err(|_| RootsError::Malformed)?;
        if !certificate.is_ca {
            return Err(RootsError::NotCa);
        }
        let trust = webpki::anchor_from_trusted_cert(der).map_err(|_| RootsError::Malformed)?;
        Ok(Self {
            trust: trust.to_owned(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
        })
    }

    fn is_valid(&self, at: UnixMillis) -> bool {
        (self.not_before..=self.not_after).contains(&at)
    }

    fn signed(&self, der: &CertificateDer<'_>, leaf: &Leaf, usage: KeyUsage) -> Result<(), VerifyError> {
        let certificate = EndEntityCert::try_from(der).map_err(|_| VerifyError::Malformed)?;
        let seconds = u64::try_from(leaf.not_before.seconds()).unwrap_or(0);
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let anchors = std::slice::from_ref(&self.trust);
        certificate
            .verify_for_usage(CERTIFICATE_ALGORITHMS.all, anchors, &[], time, usage, None, None)
            .map(|_| ())
            .map_err(|error| refusal(&error))
    }
}

/// What webpki's refusal means here; all that is about the path means "not ours".
fn refusal(error: &webpki::Error) -> VerifyError {
    match error {
        webpki::Error::CaUsedAsEndEntity => VerifyError::IsCa,
        webpki::Error::RequiredEkuNotFoundContext(_) => VerifyError::Usage,
        webpki::Error::UnsupportedCriticalExtension | webpki::Error::InvalidCertValidity => {
            VerifyError::Malformed
        }
        _ => VerifyError::UnknownIssuer,
    }
}
