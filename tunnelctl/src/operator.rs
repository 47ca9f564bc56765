//! The operator's identity: a certificate of at most 12 hours and its key, read from files at each use.

use tunnel_certs::{
    credential::{Credential, CredentialError},
    identity::Identity,
};
use tunnel_protos::{OperatorName, UnixMillis, VendorName};

use crate::context::IdentityFiles;

/// Why the identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The files hold no certificate with its key.
    #[error("cannot use the identity in {}", .files.certificate.display())]
    Files {
        /// Where it was looked for.
        files: Box<IdentityFiles>,
        /// Why.
        source: CredentialError,
    },
    /// A certificate of another role.
    #[error("the certificate in {} speaks for {found}, not for an operator", .files.certificate.display())]
    NotOperator {
        /// Where it was looked for.
        files: Box<IdentityFiles>,
        /// Whom it speaks for.
        found: Identity,
    },
    /// The certificate's time is over.
    #[error(
        "your operator certificate expired at {0}: get a new one from your identity team, to the same file"
    )]
    Expired(UnixMillis),
    /// The certificate's time has not come.
    #[error("your operator certificate is valid from {0} on: check this machine's clock")]
    NotYetValid(UnixMillis),
}

/// An operator identity that can sign now.
#[derive(Debug, Clone)]
pub struct Operator {
    /// Certificate and key.
    pub credential: Credential,
    /// Who.
    pub name: OperatorName,
    /// Whose operator.
    pub vendor: VendorName,
    /// The certificate's last moment; no request outlives it.
    pub not_after: UnixMillis,
}

impl Operator {
    /// Reads the identity, refusing one that is not an operator's or not valid `now`.
    pub fn load(files: &IdentityFiles, now: UnixMillis) -> Result<Self, Error> {
        let unusable = |source| Error::Files { files: Box::new(files.clone()), source };
        let credential = Credential::load(&files.certificate, &files.key).map_err(unusable)?;
        let (not_before, not_after) = credential.validity();
        check_validity(not_before, not_after, now)?;
        match credential.identity().map_err(unusable)? {
            Identity::Operator { vendor, name } => Ok(Self { credential, name, vendor, not_after }),
            found => Err(Error::NotOperator { files: Box::new(files.clone()), found }),
        }
    }
}

fn check_validity(not_before: UnixMillis, not_after: UnixMillis, now: UnixMillis) -> Result<(), Error> {
    if now > not_after {
        Err(Error::Expired(not_after))
    } else if now < not_before {
        Err(Error::NotYetValid(not_before))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expired_or_future_certificates_sign_nothing() {
        let at = |now| check_validity(UnixMillis(1000), UnixMillis(2000), UnixMillis(now));
        assert!(matches!(at(2001), Err(Error::Expired(_))));
        assert!(matches!(at(999), Err(Error::NotYetValid(_))));
        assert!(at(1000).is_ok() && at(2000).is_ok());
    }
}
