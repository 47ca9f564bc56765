//! The service `Membership`: belonging to a vendor. What is about enrollment goes to an [`EnrollmentDesk`], what is
//! about trust to a [`MembershipDesk`].
//!
//! Whoever can open the socket may look, tighten, and start what an approver has to finish; a confirmation takes an
//! approver who was told the words of the inventory entry.

mod service;

use std::sync::Arc;

use tunnel_certs::words::Words;
use tunnel_protos::{Digest, PersonText, approvers as api};

use super::{
    bundles::BundlesDesk,
    errors::{ConfirmError, MembershipError, RotateKeysError},
    who::{Approver, Who},
};

pub(super) use self::service::Service;

/// Where commands about trust land; `trust/` does them.
#[tonic::async_trait]
pub trait MembershipDesk: Send + Sync + 'static {
    /// Whom this client trusts of the vendor.
    fn trust(&self) -> api::TrustView;

    /// Takes an encoded envelope of a trust bundle, if it is newer and proves itself.
    async fn import_trust(&self, bundle: Vec<u8>, by: Who) -> Result<(), MembershipError>;

    /// Stops trusting the one root whose fingerprint begins so, now and later.
    async fn remove_root(&self, fingerprint: &str, note: PersonText, by: Who) -> Result<(), MembershipError>;

    /// Makes a new access CA beside the old one.
    async fn rotate_access_ca(&self, if_due: bool, by: Who) -> Result<api::AccessCaView, MembershipError>;
}

/// Where commands about enrollment land; `enrollment/` does them.
#[tonic::async_trait]
pub trait EnrollmentDesk: Send + Sync + 'static {
    /// Where the enrollment is; never the words of an entry.
    fn view(&self) -> api::EnrollmentView;

    /// Digest of the entry that waits for its words.
    fn waiting(&self) -> Option<Digest>;

    /// Confirms the entry with this digest, if these are its words.
    async fn confirm(
        &self,
        entry: Digest,
        words: Words,
        note: PersonText,
        by: Approver,
    ) -> Result<(), ConfirmError>;

    /// Makes new cluster and sealing keys beside the old ones, or goes on with those that were made.
    async fn rotate_keys(&self, by: Who) -> Result<(), RotateKeysError>;
}

/// The desks of the socket's other services.
#[derive(Clone)]
pub struct Offices {
    /// Trust.
    pub trust: Arc<dyn MembershipDesk>,
    /// Enrollment.
    pub enrollment: Arc<dyn EnrollmentDesk>,
    /// Debug bundles.
    pub bundles: Arc<dyn BundlesDesk>,
}
