//! The client at a glance: what it was built with, and what the rooms say now.

use std::sync::Arc;

use tokio::sync::watch;
use tunnel_protos::approvers::{PolicyStatus, Status, TunnelStatus, WebhookStatus};

use super::target_healths;

use crate::{
    config::Cluster, engine::Engine, gate::grants::GrantsView, policy::PolicyState, requests::Requests,
};

/// What does not change while the client runs, and where to ask for tunnels.
#[derive(Clone)]
pub(super) struct Glance {
    fixed: Arc<Status>,
    tunnels: Arc<dyn Fn() -> Vec<TunnelStatus> + Send + Sync>,
    webhook: Option<watch::Receiver<WebhookStatus>>,
}

impl Glance {
    pub(super) fn new(
        cluster: &Cluster,
        tunnels: impl Fn() -> Vec<TunnelStatus> + Send + Sync + 'static,
    ) -> Self {
        let fixed = Status {
            cluster: cluster.name.to_string(),
            label: cluster.label.to_string(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            ..Status::default()
        };
        Self { fixed: Arc::new(fixed), tunnels: Arc::new(tunnels), webhook: None }
    }

    pub(super) fn with_webhook(self, webhook: Option<watch::Receiver<WebhookStatus>>) -> Self {
        Self { webhook, ..self }
    }

    pub(super) fn status(
        &self,
        requests: &Requests,
        engine: &Engine,
        policy: &PolicyState,
        view: &GrantsView,
    ) -> Status {
        let (pending, live) = requests.counts();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Status {
            tunnels: (self.tunnels)(),
            webhook: self.webhook.as_ref().map(|state| state.borrow().clone()),
            targets: target_healths(engine),
            policy: Some(PolicyStatus {
                digest: policy.policy.borrow().digest().to_owned(),
                error: policy.error.borrow().clone(),
            }),
            requests_pending: count(pending),
            grants_live: count(live),
            sessions_open: count(view.sessions()),
            pause: requests.pause_view(),
            denied_operators: requests.denied_operators(),
            refusing: requests.refusing().unwrap_or_default(),
            ..(*self.fixed).clone()
        }
    }
}
