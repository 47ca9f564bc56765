//! The customer's commands about trust: who is trusted, a bundle from a file, a root's end, another access CA.

use tunnel_protos::{
    PersonText,
    approvers::{AccessCaView, TrustView},
};

use super::{AccessCa, BundleError, RemoveError, RotateError, Source, Trust};
use crate::{
    approvers::{MembershipDesk, MembershipError, Who},
    audit::By,
    clock::Clock,
};

/// Answers on the approvers' socket.
#[derive(Debug, Clone)]
pub struct TrustDesk {
    trust: Trust,
    access: AccessCa,
    clock: Clock,
}

impl TrustDesk {
    /// A desk over what lives.
    pub const fn new(trust: Trust, access: AccessCa, clock: Clock) -> Self {
        Self { trust, access, clock }
    }
}

#[tonic::async_trait]
impl MembershipDesk for TrustDesk {
    fn trust(&self) -> TrustView {
        self.trust.view()
    }

    async fn import_trust(&self, bundle: Vec<u8>, by: Who) -> Result<(), MembershipError> {
        let from = Source::Person(person(&by, String::new()));
        self.trust.offer(bundle, from).await.map_err(MembershipError::from)
    }

    async fn remove_root(&self, fingerprint: &str, note: PersonText, by: Who) -> Result<(), MembershipError> {
        let by = person(&by, note.to_string());
        self.trust.remove_root(fingerprint, by).await.map_err(MembershipError::from)
    }

    async fn rotate_access_ca(&self, if_due: bool, by: Who) -> Result<AccessCaView, MembershipError> {
        let now = self.clock.now();
        let by = person(&by, String::new());
        let rotated = self.trust.rotate_access(&self.access, if_due, now, by).await?;
        Ok(self.access.view(rotated, now))
    }
}

fn person(by: &Who, note: String) -> By {
    By { by: by.to_string(), note, approval: Vec::new() }
}

impl From<BundleError> for MembershipError {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::Refused(_) | BundleError::Changed(_) | BundleError::Tls(_) => {
                Self::Refused(error.into())
            }
            BundleError::Audit(_) | BundleError::Store(_) | BundleError::File(_) | BundleError::Late => {
                Self::NotStored(error.into())
            }
        }
    }
}

impl From<RemoveError> for MembershipError {
    fn from(error: RemoveError) -> Self {
        match error {
            RemoveError::Malformed | RemoveError::Several => Self::Malformed(error.into()),
            RemoveError::Unknown => Self::Unknown(error.into()),
            RemoveError::Store(_) | RemoveError::Late => Self::NotStored(error.into()),
        }
    }
}

impl From<RotateError> for MembershipError {
    fn from(error: RotateError) -> Self {
        match error {
            RotateError::Overlap(_) => Self::Refused(error.into()),
            RotateError::Audit(_) | RotateError::Make(_) | RotateError::Late => Self::NotStored(error.into()),
        }
    }
}
