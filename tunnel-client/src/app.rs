//! The whole client: files read and sockets bound at build, served until drained; runs in any process.
//!
//! Invariant: every task is owned by [`Client::serve`], and a panic in one ends it.

mod build;
mod desk;
mod identity;
mod status;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{net::UnixListener, sync::watch};
use tracing::{info_span, warn};
use tunnel_protos::{ClusterName, Label, TargetName, UnixMillis, v1::TargetHealth};
use tunnel_runtime::{
    drain::Watch,
    ready::{Latch, Readiness},
    shards::Shards,
    tasks::{Task, Tasks},
};

pub use self::{build::BuildError, identity::IdentityError};

use self::{desk::AppDesk, identity::GateIdentity, status::Glance};
use crate::{
    approvers,
    audit::{self, Audit, Event},
    clock,
    engine::Engine,
    gate::{self, Gate, grants::GrantsView},
    metrics::Expiries,
    notify::Webhook,
    policy::{Policy, PolicyFile, PolicyState},
    requests::{Clerk, Requests},
    store::sqlite::SqliteStore,
    tunnels::{Rooms, Tunnels},
};

/// A client that is bound and does not serve yet.
pub struct Client {
    requests: Requests,
    webhook: Option<Webhook>,
    clerk: Clerk<SqliteStore>,
    policy_file: PolicyFile,
    engine: Engine,
    gate: GateIdentity,
    tunnels: Tunnels,
    shards: Shards,
    listener: UnixListener,
    socket: PathBuf,
    view: GrantsView,
    policy: PolicyState,
    glance: Glance,
    expiries: Expiries,
    readiness: Readiness,
    attached: Latch,
    cluster: ClusterName,
    label: Label,
    sessions: gate::Sessions,
    newcomers: usize,
    audit: Audit,
    log: audit::Log,
}

impl Client {
    /// Where the approvers' socket is bound.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether it is ready, for the admin port.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Serves until drained: tunnels first, then what they need.
    pub async fn serve(self, drain: Watch) {
        self.expiries.record();
        warn_of_expiry(&self.expiries);
        let tasks = Tasks::new();
        let (rooms, desk) = (self.rooms(&drain), self.desk());
        let clerk = Task::spawn(info_span!("requests"), self.clerk.run(drain.clone()));
        if let Some(webhook) = self.webhook {
            tasks.spawn(info_span!("webhook"), webhook.run(self.requests.clone(), drain.clone()));
        }
        tasks.spawn(info_span!("policy"), self.policy_file.watch());
        tasks.spawn(info_span!("audit"), record_policies(self.audit, self.policy.policy));
        tasks.spawn(info_span!("gate"), self.gate.renew());
        tasks.spawn(info_span!("ready"), ready(self.tunnels.attached(), self.attached));
        let engine = self.engine;
        tasks.spawn(info_span!("engine"), async move { engine.watch_health().await });
        tasks.spawn(info_span!("approvers"), approvers::serve(self.listener, desk, None, drain.clone()));
        tasks.supervise(self.tunnels.run(&rooms, &self.shards, &drain)).await;
        self.readiness.drain();
        // Their handles go with them, which ends the clerk; it closes the store.
        drop((rooms, tasks, self.requests));
        if !matches!(tokio::time::timeout(CLOSE, clerk).await, Ok(Ok(()))) {
            warn!("Store not closed in order");
        }
        self.log.close().await;
        // Blocks for moments only: nothing runs there any more.
        self.shards.join(CLOSE);
    }

    fn desk(&self) -> AppDesk {
        AppDesk {
            requests: self.requests.clone(),
            glance: self.glance.clone(),
            engine: self.engine.clone(),
            policy: self.policy.clone(),
            view: self.view.clone(),
            label: self.label,
            sessions: self.sessions.clone(),
            audit: self.audit.clone(),
        }
    }

    fn rooms(&self, drain: &Watch) -> Rooms<Requests, Gate> {
        let engine = self.engine.clone();
        Rooms {
            inbox: self.requests.clone(),
            sessions: self.gate(drain),
            grants: self.view.clone(),
            health: Arc::new(move || engine.targets().map(|name| target_health(&engine, name)).collect()),
        }
    }

    fn gate(&self, drain: &Watch) -> Gate {
        let clock = self.requests.clock();
        Gate::new(gate::Parts {
            cluster: self.cluster.clone(),
            tls: self.gate.subscribe(),
            grants: self.view.clone(),
            policy: self.policy.policy.clone(),
            paused: self.requests.paused(),
            sessions: self.sessions.clone(),
            engine: self.engine.clone(),
            audit: self.audit.clone(),
            clock: gate::Clock::new(move || clock.now()),
            drain: drain.clone(),
            newcomers: self.newcomers,
            longest_call: None,
        })
    }
}

fn target_health(engine: &Engine, name: &TargetName) -> TargetHealth {
    TargetHealth { target: name.to_string(), health: engine.health(name).into() }
}

fn warn_of_expiry(expiries: &Expiries) {
    let now = clock::wall();
    let soon = |end: UnixMillis, warning: Duration| end.since(now) < warning;
    if soon(expiries.trust_bundle, TRUST_BUNDLE_WARNING) {
        warn!("Trust bundle expires soon; ask the vendor for a newer one");
    }
    if soon(expiries.access_ca, ACCESS_CA_WARNING) {
        warn!("Access CA expires soon");
    }
}

/// Tells the audit log of each policy that is in force.
async fn record_policies(audit: Audit, mut policy: watch::Receiver<Arc<Policy>>) {
    loop {
        let digest = policy.borrow_and_update().digest().to_owned();
        audit.note(Event::Policy { digest });
        // An error says that the policy's file is not followed any more, so nothing can change.
        if policy.changed().await.is_err() {
            return;
        }
    }
}

/// Ready from the first tunnel on.
async fn ready(mut attached: watch::Receiver<usize>, latch: Latch) {
    // An error says that the tunnels are gone, and the process with them.
    if attached.wait_for(|count| *count > 0).await.is_ok() {
        latch.release();
    }
}

/// A bundle lives 90 days and is renewed at 60.
const TRUST_BUNDLE_WARNING: Duration = Duration::from_secs(30 * 24 * 3600);
/// A twelfth of its life.
const ACCESS_CA_WARNING: Duration = Duration::from_secs(30 * 24 * 3600);
/// Sessions are over by then; this is for the store alone.
const CLOSE: Duration = Duration::from_secs(6);

#[cfg(test)]
mod tests;
