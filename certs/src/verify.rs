//! Which certificates are believed where: by signature, shape, role and time, all checked here.
//!
//! Every place takes exactly one certificate and no intermediates, and names the one role that it accepts.

mod gate;
mod leaf;
mod mesh;
mod operator;
mod summary;

use rustls_pki_types::CertificateDer;
use tunnel_protos::UnixMillis;
use webpki::KeyUsage;

use crate::roots::Anchor;

pub(crate) use self::leaf::{Leaf, SubjectName, Usages};
pub use self::{
    gate::{GateServerVerifier, GrantCertificate, GrantVerifier},
    leaf::Serial,
    mesh::{FormerPeer, MeshVerifier, REISSUE_GRACE, VerifiedPeer},
    operator::{OperatorCertificate, OperatorVerifier},
    summary::Summary,
};

/// Why a certificate was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Not X.509 as we write it.
    #[error("malformed certificate")]
    Malformed,
    /// None, or intermediates with it.
    #[error("exactly one certificate is accepted, {0} came")]
    Count(usize),
    /// Not signed by the CA of this place.
    #[error("not signed by a CA that is trusted here")]
    UnknownIssuer,
    /// The CA's own time is over or has not come.
    #[error("the CA's certificate is not valid at this time")]
    CaExpired,
    /// Not valid yet.
    #[error("the certificate is not valid yet; are the clocks right?")]
    NotYetValid,
    /// Not valid any more.
    #[error("the certificate has expired")]
    Expired,
    /// A life longer than the role's.
    #[error("the certificate's life is longer than its role allows")]
    TooLong,
    /// Other names than exactly the one that the role has.
    #[error("the certificate has other names than one identity")]
    Names,
    /// An identity of another role, vendor or cluster.
    #[error("the certificate's identity is not accepted here")]
    WrongRole,
    /// Usages other than exactly the role's.
    #[error("the certificate's key usage is not that of its role")]
    Usage,
    /// A CA where a leaf belongs.
    #[error("a CA certificate is no identity")]
    IsCa,
    /// A key other than P-256.
    #[error("the certificate's key is not P-256")]
    Key,
    /// Signed by our CA and well shaped, but we never issued this serial.
    #[error("a certificate that was never issued")]
    UnknownSerial,
}

/// The only certificate of a chain.
pub(crate) fn only<'c, 'd>(chain: &'c [CertificateDer<'d>]) -> Result<&'c CertificateDer<'d>, VerifyError> {
    match chain {
        [only] => Ok(only),
        _ => Err(VerifyError::Count(chain.len())),
    }
}

/// The first and last moment at which both a leaf and its CA are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) not_before: UnixMillis,
    pub(crate) not_after: UnixMillis,
}

impl Window {
    fn of(leaf: &Leaf, anchor: &Anchor) -> Self {
        Self {
            not_before: leaf.not_before.max(anchor.not_before),
            not_after: leaf.not_after.min(anchor.not_after),
        }
    }

    pub(crate) fn check(self, at: UnixMillis) -> Result<(), VerifyError> {
        if at < self.not_before {
            Err(VerifyError::NotYetValid)
        } else if at > self.not_after {
            Err(VerifyError::Expired)
        } else {
            Ok(())
        }
    }
}

/// Every certificate with a URI may act as a client; exact usages are checked by [`Leaf::check_shape`].
pub(crate) fn client() -> KeyUsage {
    KeyUsage::client_auth()
}

fn server() -> KeyUsage {
    KeyUsage::server_auth()
}

#[cfg(test)]
mod tests;
