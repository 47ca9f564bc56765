//! The whole client: files read and sockets bound at build, served until drained; runs in any process.
//!
//! Invariant: every task is owned by [`Client::serve`], and a panic in one ends it.

mod build;
mod desk;
mod identity;
mod operating;
mod status;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{net::UnixListener, sync::watch, time::interval};
use tracing::{info_span, warn};
use tunnel_certs::key::SigningKey;
use tunnel_protos::{ClusterName, Label, TargetName, v1::TargetHealth};
use tunnel_runtime::{
    drain::Watch,
    grpc::GrpcServer,
    ready::{Latch, Readiness},
    shards::Shards,
    tasks::{Task, Tasks},
};

pub use self::{build::BuildError, identity::IdentityError};

use self::{desk::AppDesk, identity::GateIdentity, status::Glance};
use crate::{
    approvers::{self, Offices},
    audit::{self, Audit, Event},
    clock::Clock,
    engine::{self, Engine, EngineState, ProfileFile},
    enrollment::{Enrollment, Entries, Office},
    gate::{self, Gate, grants::GrantsView},
    notify::Webhook,
    operations::{Operations, debug},
    policy::{Policy, PolicyFile, PolicyState},
    requests::{Clerk, Requests},
    store::sqlite::SqliteStore,
    trust::{AccessCa, Keeper, Link, Trust, TrustDesk},
    tunnels::{Rooms, Tunnels},
};

/// A client that is bound and does not serve yet.
pub struct Client {
    requests: Requests,
    operations: GrpcServer,
    runner: Operations<SqliteStore>,
    bundles: debug::Keeper,
    webhook: Option<Webhook>,
    clerk: Clerk<Arc<SqliteStore>>,
    policy_file: PolicyFile,
    engine: EngineState,
    profile: ProfileFile,
    gate: GateIdentity,
    tunnels: Tunnels,
    shards: Shards,
    listener: UnixListener,
    socket: PathBuf,
    view: GrantsView,
    policy: PolicyState,
    glance: Glance,
    trust: Trust,
    keeper: Keeper,
    access: AccessCa,
    entries: Entries,
    office: Office,
    enrollment: Enrollment,
    mesh_key: Arc<SigningKey>,
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
        let tasks = Tasks::new();
        let (rooms, desk, offices) = (self.rooms(), self.desk(), self.offices());
        let clerk = Task::spawn(info_span!("requests"), self.clerk.run(drain.clone()));
        if let Some(webhook) = self.webhook {
            tasks.spawn(
                info_span!("webhook"),
                webhook.run(self.requests.clone(), self.entries.awaited(), drain.clone()),
            );
        }
        tasks.spawn(info_span!("operations"), self.runner.run(drain.clone()));
        tasks.spawn(info_span!("policy"), self.policy_file.watch());
        tasks.spawn(info_span!("trust"), self.keeper.run(self.audit.clone()));
        tasks.spawn(info_span!("entries"), self.office.run(self.requests.clock()));
        tasks.spawn(info_span!("enrollment"), self.enrollment.run(drain.clone()));
        let (trust, access) = (self.trust.clone(), self.access.clone());
        tasks.spawn(info_span!("expiry"), warn_of_expiry(trust, access, self.requests.clock()));
        tasks.spawn(info_span!("audit"), record_policies(self.audit, self.policy.policy));
        tasks.spawn(info_span!("gate"), self.gate.renew());
        tasks.spawn(info_span!("ready"), ready(self.tunnels.attached(), self.attached));
        tasks.spawn(info_span!("profile"), self.profile.watch());
        tasks.spawn(info_span!("engine"), engine::watch_health(self.engine.engine));
        tasks.spawn(info_span!("approvers"), approvers::serve(self.listener, desk, offices, drain.clone()));
        tasks.supervise(self.tunnels.run(&rooms, &self.shards, &drain)).await;
        self.readiness.drain();
        // Their handles go with them, which ends the clerk; it closes the store.
        drop((rooms, tasks, self.operations, self.requests, self.trust, self.entries));
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
            trust: self.trust.clone(),
            access: self.access.clone(),
            entries: self.entries.clone(),
        }
    }

    fn offices(&self) -> Offices {
        let (trust, access) = (self.trust.clone(), self.access.clone());
        let trust = TrustDesk::new(trust, access, self.requests.clock());
        Offices {
            trust: Arc::new(trust),
            enrollment: Arc::new(self.entries.clone()),
            bundles: Arc::new(self.bundles.clone()),
        }
    }

    fn rooms(&self) -> Rooms<Requests, Gate, Link> {
        let engine = self.engine.engine.clone();
        Rooms {
            inbox: self.requests.clone(),
            sessions: self.gate(),
            grants: self.view.clone(),
            health: Arc::new(move || target_healths(&engine.borrow().clone())),
            vendor: Link::new(self.trust.clone(), self.entries.clone(), self.label, &self.mesh_key),
        }
    }

    fn gate(&self) -> Gate {
        let clock = self.requests.clock();
        Gate::new(gate::Parts {
            cluster: self.cluster.clone(),
            tls: self.gate.subscribe(),
            grants: self.view.clone(),
            policy: self.policy.policy.clone(),
            paused: self.requests.paused(),
            sessions: self.sessions.clone(),
            engine: self.engine.engine.clone(),
            operations: self.operations.clone(),
            audit: self.audit.clone(),
            clock: gate::Clock::new(move || clock.now()),
            newcomers: self.newcomers,
            longest_call: None,
        })
    }
}

fn target_healths(engine: &Engine) -> Vec<TargetHealth> {
    let health =
        |name: &TargetName| TargetHealth { target: name.to_string(), health: engine.health(name).into() };
    engine.targets().map(health).collect()
}

/// Says once a day what of keys and certificates needs somebody.
async fn warn_of_expiry(trust: Trust, access: AccessCa, clock: Clock) {
    let mut days = interval(DAY);
    loop {
        days.tick().await;
        let now = clock.now();
        for warning in trust.warnings(now).into_iter().chain(access.warning(now)) {
            warn!(warning, "Needs somebody");
        }
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

/// Whoever reads logs once a week sees a month of warnings in time.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Sessions are over by then; this is for the store alone.
const CLOSE: Duration = Duration::from_secs(6);

#[cfg(test)]
mod tests;
