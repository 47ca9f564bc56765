//! The other rooms of a client, remembering what they were handed.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::watch, time::timeout};
use tracing::Span;
use tunnel_protos::{
    Door, RequestId, TargetName,
    approvers::TunnelStatus,
    v1::{Health, ReceivedStatus, SealedOutcome, SealedRequest, TargetHealth},
};
use tunnel_runtime::{drain, shards::Shards, tasks::Task};
use tunnel_transport::{Deadlines, Limits, Stream};

use super::{
    super::{Inbox, Rooms, Sessions, Settings, Tunnels},
    PATIENCE,
    broker::Broker,
};
use crate::{
    gate::grants::{self, Grant, GrantsView, GrantsWriter, Life},
    requests::Admission,
    trust::testing::{Living, Stage},
};

#[derive(Clone)]
struct Memory {
    delivered: Arc<Mutex<Vec<SealedRequest>>>,
    /// While true, no delivery ends: a disk that hangs.
    stuck: watch::Sender<bool>,
    outcomes: watch::Sender<Vec<SealedOutcome>>,
    changes: watch::Sender<u64>,
}

impl Inbox for Memory {
    async fn deliver(&self, sealed: SealedRequest) -> ReceivedStatus {
        self.delivered.lock().push(sealed);
        let mut stuck = self.stuck.subscribe();
        stuck.wait_for(|stuck| !stuck).await.unwrap();
        ReceivedStatus::Taken
    }

    fn outcomes(&self) -> Vec<SealedOutcome> {
        self.outcomes.borrow().clone()
    }

    fn outcome_changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    async fn acknowledged(&self, outcome: SealedOutcome) {
        self.outcomes.send_modify(|outcomes| outcomes.retain(|held| *held != outcome));
    }
}

/// Echoes each session.
#[derive(Clone)]
struct Echo(GrantsView);

impl Sessions for Echo {
    fn knows(&self, door: &Door) -> bool {
        self.0.door(door).is_some()
    }

    async fn serve(&self, _door: Door, _peer: Option<SocketAddr>, stream: Stream, _: drain::Watch) {
        let (mut recv, mut send) = tokio::io::split(stream);
        // The broker of the test looks at what comes back.
        let _ = tokio::io::copy(&mut recv, &mut send).await;
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut send).await;
    }
}

pub(super) struct World {
    memory: Memory,
    grants: GrantsWriter,
    attached: watch::Receiver<usize>,
    status: Box<dyn Fn() -> Vec<TunnelStatus>>,
    pub(super) drain: drain::Drain,
    pub(super) stage: Stage,
    pub(super) living: Living,
    pub(super) admission: watch::Sender<Admission>,
    pub(super) brokers: watch::Sender<Arc<Vec<String>>>,
    running: Option<Task<()>>,
    _shards: Shards,
}

impl World {
    /// Keeps one tunnel to `broker`.
    pub(super) fn start(broker: &Broker) -> Self {
        Self::on(broker, Stage::with(broker.mesh.clone()))
    }

    /// As a customer whose files lie on `stage`.
    pub(super) fn on(broker: &Broker, stage: Stage) -> Self {
        Self::of(broker, stage, Admission::Open)
    }

    /// As one that takes requests, or not.
    pub(super) fn of(broker: &Broker, stage: Stage, admission: Admission) -> Self {
        let (living, admission) = (stage.open(), watch::Sender::new(admission));
        let (outcomes, changes) = (watch::Sender::new(Vec::new()), watch::Sender::new(0));
        let memory =
            Memory { delivered: Arc::default(), stuck: watch::Sender::new(false), outcomes, changes };
        let (grants, view) = grants::channel();
        let brokers = watch::Sender::new(Arc::new(vec![broker.address()]));
        let tunnels = Tunnels::new(settings(brokers.subscribe(), &living, &admission));
        let (attached, status) = (tunnels.attached(), tunnels.status());
        let (drain, watch) = drain::channel();
        let rooms = Rooms {
            inbox: memory.clone(),
            sessions: Echo(view.clone()),
            grants: view,
            health: Arc::new(|| {
                vec![TargetHealth { target: "default".into(), health: Health::Serving.into() }]
            }),
            vendor: stage.link(&living.trust),
        };
        let shards = Shards::start("test", 1).unwrap();
        let running = Some(Task::spawn(Span::none(), tunnels.run(&rooms, &shards, &watch)));
        let status = Box::new(status);
        Self {
            memory,
            grants,
            attached,
            status,
            drain,
            stage,
            living,
            admission,
            brokers,
            running,
            _shards: shards,
        }
    }

    pub(super) fn grant(&self, door: Door) {
        let grant = Grant {
            id: RequestId::random().into(),
            operator: "ann".parse().unwrap(),
            methods: BTreeMap::new(),
            doors: BTreeMap::from([(TargetName::default_target(), door)]),
            raw: false,
            operation: None,
        };
        self.grants.put(grant, Life::Waiting);
    }

    /// The vendor names these brokers from now on.
    pub(super) fn name(&self, addresses: impl IntoIterator<Item = String>) {
        self.brokers.send_replace(Arc::new(addresses.into_iter().collect()));
    }

    pub(super) fn outcome(&self, seed: u8) {
        let outcome = SealedOutcome { enc: vec![seed; 32], ..Default::default() };
        self.memory.outcomes.send_modify(|outcomes| outcomes.push(outcome));
        self.memory.changes.send_modify(|version| *version += 1);
    }

    pub(super) fn hang_the_disk(&self) {
        self.memory.stuck.send_replace(true);
    }

    pub(super) fn delivered(&self) -> Vec<SealedRequest> {
        self.memory.delivered.lock().clone()
    }

    pub(super) fn status(&self) -> Vec<TunnelStatus> {
        (self.status)()
    }

    pub(super) async fn eventually_attached(&self, count: usize) {
        let mut attached = self.attached.clone();
        timeout(PATIENCE, attached.wait_for(|now| *now == count)).await.unwrap().unwrap();
    }

    pub(super) async fn eventually_acknowledged(&self, seed: u8) {
        let mut outcomes = self.memory.outcomes.subscribe();
        let gone = outcomes.wait_for(|held| held.iter().all(|outcome| outcome.enc != [seed; 32]));
        timeout(PATIENCE, gone).await.unwrap().unwrap();
    }

    pub(super) async fn ended(&mut self) {
        timeout(PATIENCE, self.running.take().unwrap()).await.unwrap().unwrap();
    }
}

fn settings(
    brokers: watch::Receiver<Arc<Vec<String>>>,
    living: &Living,
    admission: &watch::Sender<Admission>,
) -> Settings {
    Settings {
        brokers,
        wanted: 2,
        dialing: living.trust.dialing(),
        epoch: 7,
        admission: admission.subscribe(),
        build: "test".into(),
        limits: Limits::default(),
        deadlines: Deadlines::default(),
        grace: PATIENCE,
        longest_pause: Duration::from_secs(1),
        jitter: Duration::from_millis(10),
    }
}
