//! Where the webhook learns of requests: the seam to `requests/`.

use std::future::Future;

use tokio::sync::watch;
use tunnel_protos::{RequestId, UnixMillis, approvers::RequestView};

use crate::requests::{Glimpse, Requests};

/// Where requests come from, and where it is kept that people were told.
pub trait Source: Clone + Send + Sync + 'static {
    /// Wakes at each change.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Requests that people decide on, oldest first; ended ones too.
    fn glimpses(&self) -> Vec<Glimpse>;

    /// One request as it is now.
    fn view(&self, id: &RequestId) -> Option<RequestView>;

    /// Somebody was told of it.
    fn notified(&self, id: RequestId, who: String, at: UnixMillis) -> impl Future<Output = ()> + Send;
}

impl Source for Requests {
    fn changes(&self) -> watch::Receiver<u64> {
        self.changes()
    }

    fn glimpses(&self) -> Vec<Glimpse> {
        self.glimpses()
    }

    fn view(&self, id: &RequestId) -> Option<RequestView> {
        self.view(id)
    }

    async fn notified(&self, id: RequestId, who: String, at: UnixMillis) {
        self.notified(id, who, at).await;
    }
}
