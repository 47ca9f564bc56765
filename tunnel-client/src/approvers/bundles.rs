//! The service `Bundles`: operations that run, and the debug bundles that they made, which lie here until they are let go.
//!
//! Whoever can open the socket may look, stop and delete; that a bundle leaves takes an approver, who names its digest.

mod service;

use std::pin::Pin;

use futures_util::Stream;
use tunnel_protos::{PersonText, RequestId, approvers as api};

use super::{
    errors::BundleError,
    who::{Approver, Who},
};

pub(super) use self::service::Service;

/// One file of a bundle, in parts of at most 64 KiB; an error ends it.
pub type FileParts = Pin<Box<dyn Stream<Item = Result<Vec<u8>, BundleError>> + Send>>;

/// Where commands about bundles land; `operations/debug` does them.
#[tonic::async_trait]
pub trait BundlesDesk: Send + Sync + 'static {
    /// Bundles that lie here, newest first.
    fn list(&self) -> Vec<api::BundleView>;

    /// One file of a bundle, exactly as it would leave.
    async fn read(&self, id: RequestId, path: String) -> Result<FileParts, BundleError>;

    /// Lets the bundle with this digest leave; one that was let go stays so.
    async fn release(
        &self,
        id: RequestId,
        bundle: [u8; 32],
        note: PersonText,
        by: Approver,
    ) -> Result<(), BundleError>;

    /// Deletes a bundle, whether it left or not.
    async fn delete(&self, id: RequestId, by: Who) -> Result<(), BundleError>;
}
