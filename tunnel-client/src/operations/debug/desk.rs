//! Bundles as the customer's people see them: looked through, let go or deleted by hand.

use futures_util::StreamExt;
use tunnel_protos::{PersonText, RequestId, approvers::BundleView};

use super::{Keeper, Kept, Refused};
use crate::approvers::{Approver, BundleError, BundlesDesk, FileParts, Who};

#[tonic::async_trait]
impl BundlesDesk for Keeper {
    fn list(&self) -> Vec<BundleView> {
        self.kept().into_iter().map(BundleView::from).collect()
    }

    async fn read(&self, id: RequestId, path: String) -> Result<FileParts, BundleError> {
        let parts = self.file(&id, path).await?.parts();
        Ok(Box::pin(parts.map(|part| part.map_err(|error| BundleError::Refused(error.to_string())))))
    }

    async fn release(
        &self,
        id: RequestId,
        bundle: [u8; 32],
        note: PersonText,
        by: Approver,
    ) -> Result<(), BundleError> {
        Ok(self.let_go(id, bundle, Who::from(by).record(note.as_str())).await?)
    }

    async fn delete(&self, id: RequestId, by: Who) -> Result<(), BundleError> {
        Ok(self.remove(id, by.record("")).await?)
    }
}

impl From<Kept> for BundleView {
    fn from(kept: Kept) -> Self {
        let Kept { id, operator, made_ms, bundle } = kept;
        Self { id: id.to_string(), operator: operator.to_string(), made_ms, bundle: Some(bundle) }
    }
}

impl From<Refused> for BundleError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unknown => Self::Unknown,
            Refused::NoFile => Self::NoFile,
            Refused::Changed => Self::Changed,
            Refused::NotStored => Self::NotStored(refused.into()),
            Refused::Held | Refused::Never | Refused::Offset(_) | Refused::Unreadable | Refused::Busy => {
                Self::Refused(refused.to_string())
            }
        }
    }
}
