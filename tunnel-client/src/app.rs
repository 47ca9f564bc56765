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
    time::{Duration, SystemTime},
};

use tokio::{net::UnixListener, sync::watch};
use tracing::{info_span, warn};
use tunnel_protos::{ClusterName, TargetName, UnixMillis, v1::TargetHealth};
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
    audit::Audit,
    engine::Engine,
    gate::{self, Gate, grants::GrantsView},
    metrics::Expiries,
    policy::{PolicyFile, PolicyState},
    requests::{Clerk, Requests},
    store::sqlite::SqliteStore,
    tunnels::{Rooms, Tunnels},
};

/// A client that is bound and does not serve yet.
pub struct Client {
    requests: Requests,
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
    audit: Audit,
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
        tasks.spawn(info_span!("policy"), self.policy_file.watch());
        tasks.spawn(info_span!("gate"), self.gate.renew());
        tasks.spawn(info_span!("ready"), ready(self.tunnels.attached(), self.attached));
        let engine = self.engine;
        tasks.spawn(info_span!("engine"), async move { engine.watch_health().await });
        tasks.spawn(info_span!("approvers"), approvers::serve(self.listener, desk, drain.clone()));
        tasks.supervise(self.tunnels.run(&rooms, &self.shards, &drain)).await;
        self.readiness.drain();
        // Their handles go with them, which ends the clerk; it closes the store.
        drop((rooms, tasks, self.requests));
        if !matches!(tokio::time::timeout(CLOSE, clerk).await, Ok(Ok(()))) {
            warn!("Store not closed in order");
        }
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
            engine: self.engine.clone(),
            audit: self.audit.clone(),
            clock: gate::Clock::new(move || clock.now()),
            drain: drain.clone(),
            longest_call: None,
        })
    }
}

fn target_health(engine: &Engine, name: &TargetName) -> TargetHealth {
    TargetHealth { target: name.to_string(), health: engine.health(name).into() }
}

fn warn_of_expiry(expiries: &Expiries) {
    let now = UnixMillis::from_system(SystemTime::now());
    let soon = |end: UnixMillis, warning: Duration| end.since(now) < warning;
    if soon(expiries.trust_bundle, TRUST_BUNDLE_WARNING) {
        warn!("Trust bundle expires soon; ask the vendor for a newer one");
    }
    if soon(expiries.access_ca, ACCESS_CA_WARNING) {
        warn!("Access CA expires soon");
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
