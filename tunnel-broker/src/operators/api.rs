//! What operators can call. Every call names its caller from the connection's certificate, never from the message.

use std::{pin::Pin, sync::Arc};

use futures_util::Stream;
use parking_lot::Mutex;
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use tunnel_protos::{
    ClusterName, EnvelopeId, OperatorName, Suffix,
    operators::{
        Cluster, GetClusterRequest, ListClustersReply, ListClustersRequest, SubmitReply, SubmitRequest,
        WatchRequestEvent, WatchRequestRequest, WhoAmIReply, WhoAmIRequest, operators_server::Operators,
    },
};
use tunnel_runtime::drain;

use super::{
    Visible,
    place::Place,
    quota::{self, Quotas},
    server::Caller,
    status::CallError,
    watching::events,
};
use crate::{
    clock,
    config::OperatorLimits,
    entries::{Entry, Inventory},
    mailbox::{Mailbox, SubmitError, sealed},
    metrics::{self, Queue},
    trust::Trust,
    tunnels::Tunnels,
};

/// The service.
#[derive(Debug)]
pub(crate) struct Api {
    trust: Arc<Trust>,
    suffix: Suffix,
    visible: Visible,
    inventory: Arc<Inventory>,
    tunnels: Arc<Tunnels>,
    mailbox: Arc<Mailbox>,
    quotas: Arc<Mutex<Quotas>>,
    drain: drain::Watch,
}

/// What the service is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) trust: Arc<Trust>,
    pub(crate) suffix: Suffix,
    pub(crate) visible: Visible,
    pub(crate) inventory: Arc<Inventory>,
    pub(crate) tunnels: Arc<Tunnels>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) drain: drain::Watch,
}

impl Api {
    /// The service over `parts`.
    pub(crate) fn new(parts: Parts, limits: &OperatorLimits) -> Self {
        let quotas = Arc::new(Mutex::new(Quotas::new(limits.clone())));
        let Parts { trust, suffix, visible, inventory, tunnels, mailbox, drain } = parts;
        Self { trust, suffix, visible, inventory, tunnels, mailbox, quotas, drain }
    }

    /// What each operator uses of the API, connections included.
    pub(super) fn quotas(&self) -> Arc<Mutex<Quotas>> {
        Arc::clone(&self.quotas)
    }

    fn cluster(&self, entry: &Entry) -> Cluster {
        let overview = self.tunnels.overview(entry.label);
        Cluster {
            cluster: entry.cluster.to_string(),
            label: entry.label.to_string(),
            entry: Some(entry.envelope.clone()),
            tunnels: overview.tunnels,
            targets: overview.targets,
            last_seen_ms: overview.last_seen.0,
        }
    }

    fn list(
        &self,
        operator: &OperatorName,
        page: &ListClustersRequest,
    ) -> Result<ListClustersReply, CallError> {
        let after = match page.page_token.as_str() {
            "" => None,
            token => Some(token.parse::<ClusterName>().map_err(|_| CallError::ClusterName)?),
        };
        let size = match page.page_size {
            0 => MAX_PAGE,
            asked => MAX_PAGE.min(asked as usize),
        };
        let entries = self.inventory.entries();
        let mut seen =
            entries.after(after.as_ref()).filter(|entry| self.visible.sees(operator, &entry.cluster));
        let clusters: Vec<_> = seen.by_ref().take(size).map(|entry| self.cluster(entry)).collect();
        let more = seen.next().and(clusters.last());
        let next_page_token = more.map(|last| last.cluster.clone()).unwrap_or_default();
        Ok(ListClustersReply { clusters, next_page_token })
    }

    fn find(&self, operator: &OperatorName, cluster: &str) -> Result<Cluster, CallError> {
        let name: ClusterName = cluster.parse().map_err(|_| CallError::ClusterName)?;
        let entries = self.inventory.entries();
        let entry = entries.named(&name).filter(|entry| self.visible.sees(operator, &entry.cluster));
        entry.map(|entry| self.cluster(entry)).ok_or(CallError::NoCluster)
    }

    async fn take(&self, operator: &OperatorName, request: SubmitRequest) -> Result<SubmitReply, CallError> {
        if !self.quotas.lock().submit(operator, Instant::now()) {
            metrics::refused(Queue::Submits);
            return Err(CallError::TooFast);
        }
        let request = request.request.ok_or(CallError::NoRequest)?;
        let request = sealed::Request::try_from(request).map_err(CallError::Shape)?;
        let entries = self.inventory.entries();
        if !entries.labeled(request.label).is_some_and(|entry| self.visible.sees(operator, &entry.cluster)) {
            return Err(CallError::NoCluster);
        }
        let submitted = self.mailbox.submit(operator, &request, clock::now()).await;
        let delivery = submitted.inspect_err(count_full).map_err(CallError::Submit)?;
        Ok(SubmitReply { envelope_id: request.id.as_bytes().to_vec(), delivery: delivery.into() })
    }

    async fn watch(
        &self,
        operator: &OperatorName,
        id: &[u8],
    ) -> Result<impl Stream<Item = Result<WatchRequestEvent, Status>> + Send + use<>, CallError> {
        let id = EnvelopeId::try_from(id).map_err(|_| CallError::EnvelopeId)?;
        let Some(place) = Place::take(&self.quotas, operator, quota::Place::Watch) else {
            metrics::refused(Queue::Watches);
            return Err(CallError::TooManyWatches);
        };
        let watch = self.mailbox.watch(operator, id).await.map_err(CallError::Watch)?;
        Ok(events(watch, place, self.drain.clone()))
    }
}

/// Events of one watch.
type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchRequestEvent, Status>> + Send>>;

#[tonic::async_trait]
impl Operators for Api {
    type WatchRequestStream = WatchStream;

    async fn who_am_i(&self, request: Request<WhoAmIRequest>) -> Result<Response<WhoAmIReply>, Status> {
        let operator = Caller::of(&request)?.to_string();
        let (own, suffix) = (self.trust.own_now(), self.suffix.to_string());
        let broker_id = own.broker_id.to_string();
        Ok(Response::new(WhoAmIReply { operator, broker_id, suffix }))
    }

    async fn list_clusters(
        &self,
        request: Request<ListClustersRequest>,
    ) -> Result<Response<ListClustersReply>, Status> {
        let operator = Caller::of(&request)?;
        Ok(Response::new(self.list(&operator, request.get_ref())?))
    }

    async fn get_cluster(&self, request: Request<GetClusterRequest>) -> Result<Response<Cluster>, Status> {
        let operator = Caller::of(&request)?;
        Ok(Response::new(self.find(&operator, &request.get_ref().cluster)?))
    }

    async fn submit(&self, request: Request<SubmitRequest>) -> Result<Response<SubmitReply>, Status> {
        let operator = Caller::of(&request)?;
        let submitted = self.take(&operator, request.into_inner()).await;
        metrics::request(submitted.as_ref().map_or("refused", |_| "taken"));
        Ok(Response::new(submitted?))
    }

    async fn watch_request(
        &self,
        request: Request<WatchRequestRequest>,
    ) -> Result<Response<WatchStream>, Status> {
        let operator = Caller::of(&request)?;
        let events = self.watch(&operator, &request.get_ref().envelope_id).await?;
        Ok(Response::new(Box::pin(events)))
    }
}

fn count_full(error: &SubmitError) {
    if matches!(error, SubmitError::Full) {
        metrics::refused(Queue::Mailbox);
    }
}

/// An entry has about 400 bytes.
const MAX_PAGE: usize = 1_000;
