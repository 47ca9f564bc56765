//! Which certificates are believed where: by signature, shape, role and time, all checked here.

mod gate;
mod leaf;
mod mesh;
mod operator;

pub use self::{
    gate::{GrantCertificate, GrantVerifier},
    leaf::Serial,
    mesh::{MeshVerifier, VerifiedPeer},
    operator::{OperatorCertificate, OperatorVerifier},
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
    #[error("the certificate is not valid yet")]
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
    /// Extended key usage other than exactly the role's.
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
