//! What tests of runs share: an engine made of numbers, a store that dies at any write, and plans for both.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use prost::Message;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};
use tracing::Span;
use tunnel_certs::statement::{
    release::Release,
    request::operation::{Operation, Restart, Start, What},
};
use tunnel_protos::{
    Digest, PauseId, RequestId, UnixMillis,
    operations::v1::{Change, Gate, Plan, Precondition, Rollback, Step, Undo},
};
use tunnel_runtime::{drain, tasks::Task};

use super::{
    Order, Planned, Progress, Word,
    board::{Board, Seen},
    driver::{Driver, Means},
    executor::{CallFailed, Executor, Work},
    found::{Found, Node, Shown},
    records::{Kept, Records},
    releases::Releases,
    run::Run,
};
use crate::{
    audit::Audit,
    clock::{Clock, SystemWall},
    engine::CONNECT_DEADLINE,
    requests::Pause,
    store::{Object, Start as StoreStart, Store, StoreError},
};

/// An engine with three nodes of one component, `storage`.
#[derive(Debug, Clone)]
pub(super) struct Plant(Arc<Mutex<Yard>>);

#[derive(Debug)]
pub(super) struct Yard {
    pub(super) nodes: BTreeMap<String, Machine>,
    pub(super) settings: BTreeMap<String, String>,
    /// Looks and calls, in their order.
    pub(super) deeds: Vec<Deed>,
    pub(super) faults: Faults,
    /// What takes effect once its time has come, in this order.
    late: Vec<(Instant, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) release: String,
    pub(super) starts: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    Look,
    Call(String),
}

/// What it does wrong.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    /// Calls with this in their request are refused without effect.
    pub(super) refuses: Option<String>,
    /// Calls with this in their request begin, and end badly.
    pub(super) spoils: Option<String>,
    /// Calls with this in their request take effect, and their answers are lost.
    pub(super) loses: Option<String>,
    /// The answers of calls with this in their request are lost, and they take effect after this time; what is called
    /// meanwhile takes effect after them.
    pub(super) late: Option<(String, Duration)>,
    /// Targets that take no connection; each is given up after 5 s.
    pub(super) dead: usize,
    /// Calls with this in their request are never answered and take no effect.
    pub(super) hangs: Option<String>,
    /// Nodes that are never ready.
    pub(super) broken: BTreeSet<String>,
    /// A release with which no node becomes ready, or `n2 at 2`.
    pub(super) bad_release: Option<String>,
    /// Nodes that would not be ready for their release are not listed.
    pub(super) hides_bad: bool,
    /// Nodes that are not listed.
    pub(super) unlisted: BTreeSet<String>,
    /// Targets that are not well; one that is called like a node is well once that was started anew.
    pub(super) unwell: BTreeSet<String>,
    /// No more nodes than this come up.
    pub(super) most: Option<u64>,
    /// Every other look shows a node that is not ready.
    pub(super) flaps: bool,
    /// Looks are not answered.
    pub(super) mute: bool,
    /// Nobody listens: neither looks nor calls are answered, or take effect.
    pub(super) away: bool,
    /// Looks are answered and no call reaches it.
    pub(super) deaf: bool,
    /// Calls are not answered, and take no effect.
    pub(super) silent: bool,
    /// Looks never end.
    pub(super) stares: bool,
    /// Starts of nodes are not shown.
    pub(super) hides_starts: bool,
    /// Releases of nodes are not shown.
    pub(super) hides_releases: bool,
    /// It says that all went well, and does nothing.
    pub(super) lies: bool,
}

impl Plant {
    pub(super) fn new() -> Self {
        let machine = || Machine { release: "1".to_owned(), starts: 1 };
        let nodes = ["n1", "n2", "n3"].map(|name| (name.to_owned(), machine())).into();
        Self(Arc::new(Mutex::new(Yard {
            nodes,
            settings: [("level".to_owned(), "low".to_owned())].into(),
            deeds: Vec::new(),
            faults: Faults::default(),
            late: Vec::new(),
        })))
    }

    pub(super) fn with(faults: Faults) -> Self {
        let plant = Self::new();
        plant.0.lock().faults = faults;
        plant
    }

    pub(super) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.0.lock().faults);
    }

    /// As somebody else does it.
    pub(super) fn change(&self, node: &str, release: &str) {
        self.0.lock().nodes.get_mut(node).unwrap().release = release.to_owned();
    }

    /// As somebody else does it.
    pub(super) fn add(&self, node: &str) {
        let machine = Machine { release: "1".to_owned(), starts: 1 };
        self.0.lock().nodes.insert(node.to_owned(), machine);
    }

    /// As somebody else does it, or a crash.
    pub(super) fn start_again(&self, node: &str) {
        self.0.lock().nodes.get_mut(node).unwrap().starts += 1;
    }

    pub(super) fn nodes(&self) -> BTreeMap<String, Machine> {
        let mut yard = self.0.lock();
        yard.catch_up();
        yard.nodes.clone()
    }

    pub(super) fn settings(&self) -> BTreeMap<String, String> {
        self.0.lock().settings.clone()
    }

    pub(super) fn releases(&self) -> Vec<String> {
        self.nodes().into_values().map(|machine| machine.release).collect()
    }

    pub(super) fn calls(&self) -> Vec<String> {
        let deeds = self.deeds();
        deeds
            .into_iter()
            .filter_map(|deed| if let Deed::Call(call) = deed { Some(call) } else { None })
            .collect()
    }

    pub(super) fn deeds(&self) -> Vec<Deed> {
        self.0.lock().deeds.clone()
    }

    pub(super) fn found(&self) -> Found {
        let mut yard = self.0.lock();
        yard.catch_up();
        yard.deeds.push(Deed::Look);
        let flap = yard.faults.flaps && yard.deeds.len().is_multiple_of(2);
        let bad = |name: &str, machine: &Machine| {
            let here = format!("{name} at {}", machine.release);
            yard.faults.bad_release.as_ref().is_some_and(|bad| [&machine.release, &here].contains(&bad))
        };
        let listed = |(name, machine): &(&String, &Machine)| {
            let hidden = yard.faults.hides_bad && bad(name, machine);
            !hidden && !yard.faults.unlisted.contains(*name)
        };
        let node = |(name, machine): (&String, &Machine)| Node {
            name: name.clone(),
            ready: !flap && !yard.faults.broken.contains(name) && !bad(name, machine),
            release: (!yard.faults.hides_releases).then(|| machine.release.clone()),
            start: (!yard.faults.hides_starts).then(|| machine.starts.to_string()),
        };
        let first = yard.nodes.values().next().map(|machine| machine.release.clone());
        let whole = yard.nodes.values().all(|machine| Some(&machine.release) == first.as_ref());
        let shown = Shown {
            replicas: u32::try_from(yard.nodes.len()).ok(),
            release: if whole { first } else { Some("1".to_owned()) },
            settings: yard.settings.clone(),
            nodes: yard.nodes.iter().filter(listed).map(node).collect(),
        };
        let why = |target: &String| (target.clone(), format!("The target {target} is not well"));
        let unwell = yard.faults.unwell.iter().filter(|target| !yard.is_mended(target)).map(why).collect();
        Found { components: [("storage".to_owned(), shown)].into(), unwell }
    }
}

impl Yard {
    /// Does what is due, or puts it off until what came before is done.
    fn take(&mut self, json: &str) {
        self.catch_up();
        match self.late.last() {
            Some((due, _)) => self.late.push((*due, json.to_owned())),
            None => self.obey(json),
        }
    }

    fn is_mended(&self, target: &str) -> bool {
        self.nodes.get(target).is_some_and(|machine| machine.starts > 1)
    }

    fn catch_up(&mut self) {
        while self.late.first().is_some_and(|(due, _)| *due <= Instant::now()) {
            let (_, json) = self.late.remove(0);
            self.obey(&json);
        }
    }

    fn obey(&mut self, json: &str) {
        let asked: Value = serde_json::from_str(json).unwrap();
        let text = |name: &str| asked.get(name).and_then(Value::as_str).map(str::to_owned);
        if let (Some(node), Some(release)) = (text("node"), text("release")) {
            let machine = self.nodes.get_mut(&node).unwrap();
            machine.release = release;
            machine.starts += 1;
        } else if let Some(level) = text("level") {
            self.settings.insert("level".to_owned(), level);
        } else if let Some(node) = text("restart") {
            self.nodes.get_mut(&node).unwrap().starts += 1;
        } else if let Some(replicas) = asked.get("replicas").and_then(Value::as_u64) {
            let release = self.nodes.values().next().unwrap().release.clone();
            let nodes = (1..=replicas.min(self.faults.most.unwrap_or(replicas))).map(|n| format!("n{n}"));
            let fresh = |name: String| (name, Machine { release: release.clone(), starts: 1 });
            self.nodes = nodes.map(fresh).collect();
        }
    }
}

fn meant(fault: Option<&String>, json: &str) -> bool {
    fault.is_some_and(|part| json.contains(part.as_str()))
}

impl Executor for Plant {
    async fn look(&self, _: &[String]) -> Result<Found, String> {
        let Faults { mute, stares, away, .. } = self.0.lock().faults.clone();
        if stares {
            std::future::pending::<()>().await;
        }
        if mute || away { Err("Nobody answers".to_owned()) } else { Ok(self.found()) }
    }

    async fn call(&self, work: Work, progress: Progress) -> Result<(), CallFailed> {
        let json = match work {
            Work::Call { json, .. } => json,
            Work::Collect(_) => r#"{"collect":"all"}"#.to_owned(),
        };
        let faults = self.0.lock().faults.clone();
        if faults.away {
            return Err(CallFailed::Unsent("Nobody listens".to_owned()));
        }
        if faults.deaf {
            return Err(CallFailed::Unsent("It cannot be reached".to_owned()));
        }
        self.0.lock().deeds.push(Deed::Call(json.clone()));
        sleep(CONNECT_DEADLINE * u32::try_from(faults.dead).unwrap()).await;
        if meant(faults.hangs.as_ref(), &json) {
            std::future::pending::<()>().await;
        }
        if meant(faults.refuses.as_ref(), &json) {
            return Err(CallFailed::Refused("It does not want to".to_owned()));
        }
        if faults.silent {
            return Err(CallFailed::Lost("No quorum".to_owned()));
        }
        if let Some((_, lasting)) = faults.late.filter(|(part, _)| json.contains(part)) {
            self.0.lock().late.push((Instant::now() + lasting, json));
            return Err(CallFailed::Lost("The connection broke".to_owned()));
        }
        progress.tell(1, 2);
        if !faults.lies {
            self.0.lock().take(&json);
        }
        if meant(faults.spoils.as_ref(), &json) {
            return Err(CallFailed::Ended("The task ended, but not well".to_owned()));
        }
        if meant(faults.loses.as_ref(), &json) {
            return Err(CallFailed::Lost("The connection broke".to_owned()));
        }
        Ok(())
    }
}

/// A store in memory that dies: from its n-th write on, nothing is answered any more.
#[derive(Debug, Default)]
pub(super) struct Memory {
    objects: Mutex<BTreeMap<String, (u64, Vec<u8>)>>,
    writes: Mutex<usize>,
    death: Mutex<Option<Death>>,
    /// From this write on, each is refused.
    sick: Mutex<Option<usize>>,
    /// Told once it is dead.
    dead: watch::Sender<bool>,
}

/// When a store dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Death {
    /// At this write, counted from 0.
    pub(super) at: usize,
    /// The write is on disk, though nobody hears of it.
    pub(super) kept: bool,
}

impl Memory {
    pub(super) fn dies(&self, death: Option<Death>) {
        *self.death.lock() = death;
        *self.writes.lock() = 0;
        self.dead.send_replace(false);
    }

    /// Refuses every write from this one on, or none any more.
    pub(super) fn sickens(&self, at: Option<usize>) {
        *self.sick.lock() = at;
    }

    pub(super) async fn died(&self) {
        let _ = self.dead.subscribe().wait_for(|dead| *dead).await;
    }

    pub(super) fn writes(&self) -> usize {
        *self.writes.lock()
    }

    async fn write(&self, id: &str, expected: u64, body: &[u8]) -> Result<u64, StoreError> {
        let number = {
            let mut writes = self.writes.lock();
            *writes += 1;
            *writes - 1
        };
        if self.sick.lock().is_some_and(|at| number >= at) {
            return Err(StoreError::Locked("sick".into()));
        }
        let death = self.death.lock().filter(|death| number >= death.at);
        if death.is_none_or(|death| death.kept && number == death.at) {
            self.put(id, expected, body)?;
        }
        if death.is_some() {
            self.dead.send_replace(true);
            std::future::pending::<()>().await;
        }
        Ok(expected + 1)
    }

    fn put(&self, id: &str, expected: u64, body: &[u8]) -> Result<(), StoreError> {
        let mut objects = self.objects.lock();
        let found = objects.get(id).map_or(0, |(version, _)| *version);
        if found != expected {
            return Err(if expected == 0 { StoreError::Exists } else { StoreError::Conflict });
        }
        objects.insert(id.to_owned(), (expected + 1, body.to_vec()));
        Ok(())
    }
}

impl Store for Memory {
    async fn start(&self, _: UnixMillis) -> Result<StoreStart, StoreError> {
        Err(StoreError::Conflict)
    }

    async fn create(&self, id: &str, body: &[u8], _: UnixMillis) -> Result<u64, StoreError> {
        self.write(id, 0, body).await
    }

    async fn update(&self, id: &str, body: &[u8], expected: u64, _: UnixMillis) -> Result<u64, StoreError> {
        self.write(id, expected, body).await
    }

    async fn remove(&self, id: &str, _: u64, _: UnixMillis) -> Result<(), StoreError> {
        self.objects.lock().remove(id);
        Ok(())
    }

    async fn reset_time(&self, _: UnixMillis, _: UnixMillis) -> Result<(), StoreError> {
        Ok(())
    }

    async fn get(&self, id: &str) -> Result<Option<Object>, StoreError> {
        let objects = self.objects.lock();
        let object = objects.get(id).map(|(version, body)| Object {
            id: id.to_owned(),
            version: *version,
            body: body.clone(),
        });
        Ok(object)
    }

    async fn list(&self) -> Result<Vec<Object>, StoreError> {
        let objects = self.objects.lock();
        let object = |(id, (version, body)): (&String, &(u64, Vec<u8>))| Object {
            id: id.clone(),
            version: *version,
            body: body.clone(),
        };
        Ok(objects.iter().map(object).collect())
    }

    async fn distrust(&self, now: UnixMillis) -> Result<UnixMillis, StoreError> {
        Ok(now)
    }

    async fn settle(&self, _: UnixMillis) -> Result<(), StoreError> {
        Ok(())
    }

    async fn close(&self) {}
}

/// One client with its engine; what is stored outlives restarts.
pub(super) struct World {
    pub(super) plant: Plant,
    pub(super) store: Arc<Memory>,
    pub(super) board: Board,
    pub(super) words: mpsc::Receiver<Word>,
    /// What the clerk says to whoever asks whether it may begin; nothing while there is none.
    pub(super) verdict: watch::Sender<Verdict>,
    pub(super) paused: watch::Sender<Option<Pause>>,
    pub(super) means: Means<Memory, Plant>,
    pub(super) folder: TempDir,
    _clerk: Task<()>,
    _drain: drain::Drain,
}

impl World {
    pub(super) fn new(plant: Plant) -> Self {
        Self::on(plant, Arc::default(), tempfile::tempdir().unwrap())
    }

    fn on(plant: Plant, store: Arc<Memory>, folder: TempDir) -> Self {
        let (words_in, heard) = mpsc::channel(1024);
        let (verdict, words, clerk) = clerk(heard);
        let (paused, is_paused) = watch::channel(None);
        let (drain, watch) = drain::channel();
        let (board, clock) = (Board::default(), Clock::new(SystemWall, UnixMillis(0)));
        let means = Means {
            records: Records::new(Arc::clone(&store), clock.clone()),
            executor: plant.clone(),
            board: board.clone(),
            words: words_in,
            paused: is_paused,
            releases: Releases::open(folder.path()).unwrap(),
            audit: Audit::default(),
            clock,
            drain: watch,
        };
        Self { plant, store, board, words, verdict, paused, means, folder, _clerk: clerk, _drain: drain }
    }

    /// As after kill -9: everything is gone but the store, the folder and the engine.
    pub(super) fn restart(self) -> Self {
        let Self { plant, store, folder, .. } = self;
        store.dies(None);
        Self::on(plant, store, folder)
    }

    /// A run of `plan` that begins now.
    pub(super) fn begin(&self, plan: &Plan) -> Driver<Memory, Plant> {
        let order = order(plan);
        self.board.enter(order.id, Seen::waiting(&order));
        let run = Run::new(
            (order.id, order.digest, order.operator.clone()),
            (order.planned.bytes.clone(), plan.clone()),
            self.means.clock.now(),
        );
        Driver::new(self.means.clone(), Kept { run, version: 0 })
    }

    /// The run as it is stored, if it is.
    pub(super) async fn stored(&self) -> Option<Kept> {
        self.means.records.load().await.unwrap().pop()
    }

    /// Goes on with what is stored.
    pub(super) async fn resume(&self) -> Driver<Memory, Plant> {
        let kept = self.stored().await.unwrap();
        self.board.enter(kept.run.id, Seen::of(&kept.run));
        Driver::new(self.means.clone(), kept)
    }

    /// Runs `plan` to its end and gives what is stored then.
    pub(super) async fn finish(&self, plan: &Plan) -> Run {
        self.begin(plan).drive().await;
        self.stored().await.unwrap().run
    }
}

/// What a clerk says to a run that would begin.
pub(super) type Verdict = Option<Result<(), String>>;

/// Answers what is asked as a clerk does, and passes on what is told.
pub(super) fn clerk(
    mut words: mpsc::Receiver<Word>,
) -> (watch::Sender<Verdict>, mpsc::Receiver<Word>, Task<()>) {
    let ((verdict, says), (others, told)) = (watch::channel(Some(Ok(()))), mpsc::channel(1024));
    let answer = async move {
        while let Some(word) = words.recv().await {
            match word {
                // Dropped, it is no answer.
                Word::Turn { reply, .. } => drop(says.borrow().clone().map(|said| reply.send(said))),
                word => drop(others.send(word).await),
            }
        }
    };
    (verdict, told, Task::spawn(Span::none(), answer))
}

/// The id of every order of a test.
pub(super) fn id() -> RequestId {
    numbered_id(7)
}

/// One of several, the same in every process of a test.
pub(super) fn numbered_id(number: u8) -> RequestId {
    format!("00000000-0000-4000-8000-0000000000{number:02x}").parse().unwrap()
}

/// One in force.
pub(super) fn pause() -> Option<Pause> {
    let id = PauseId::random();
    Some(Pause { id, since: UnixMillis(0), who: "bob".to_owned(), note: String::new(), stored: true })
}

/// The manifest of release `seq`.0 of storage, of this sequence.
pub(super) fn manifest(seq: u64) -> Release {
    Release {
        product: "shop".parse().unwrap(),
        component: "storage".parse().unwrap(),
        name: format!("{seq}.0").parse().unwrap(),
        seq,
        images: vec![format!("engine=registry.example/shop@sha256:{}", "ab".repeat(32)).parse().unwrap()],
        min_source_seq: 0,
        configuration_schema: 1,
        expires: UnixMillis(2_000_000),
    }
}

pub(super) fn order(plan: &Plan) -> Order {
    let restart = Restart { component: "storage".parse().unwrap(), nodes: Vec::new(), expected_replicas: 3 };
    let what = What::Restart(restart);
    let operation = Operation { what, start: Start::OnApproval, dry_run: false, wanted: Duration::ZERO };
    Order {
        id: id(),
        digest: Digest::new([1; 32]),
        planned: Planned::read(plan.encode_to_vec(), &operation).unwrap(),
        operation,
        operator: "alice".parse().unwrap(),
    }
}

/// A gate that soaks for 3 s and waits for a minute.
fn gate() -> Option<Gate> {
    Some(Gate { title: "All nodes are ready".to_owned(), soak_ms: 3_000, deadline_ms: 60_000 })
}

fn step(title: String, object: &str, json: String, undo: Option<String>) -> Step {
    let undo = undo.map(|request_json| Undo {
        target: "default".to_owned(),
        method: "e.Admin/Do".to_owned(),
        request_json,
        timeout_ms: 10_000,
    });
    Step {
        title,
        object: object.to_owned(),
        target: "default".to_owned(),
        method: "e.Admin/Do".to_owned(),
        request_json: json,
        timeout_ms: 10_000,
        gate: gate(),
        undo,
    }
}

fn base(automatic: bool) -> Plan {
    let nodes = Precondition { what: "nodes of storage".to_owned(), value: "n1, n2, n3".to_owned() };
    Plan {
        version: 1,
        component: "storage".to_owned(),
        executor: "engine".to_owned(),
        preconditions: vec![nodes],
        rollback: Some(Rollback { automatic, to: "release 1".to_owned() }),
        ..Plan::default()
    }
}

/// Node by node from release 1 to 2.
pub(super) fn upgrade() -> Plan {
    let one = |node: &str| {
        let json = |release: &str| format!(r#"{{"node":"{node}","release":"{release}"}}"#);
        step(format!("Bring {node} to 2"), node, json("2"), Some(json("1")))
    };
    let change = |node: &str| Change {
        object: node.to_owned(),
        field: "release".to_owned(),
        old: "1".to_owned(),
        new: "2".to_owned(),
    };
    let nodes = ["n1", "n2", "n3"];
    Plan {
        operation: "upgrade".to_owned(),
        steps: nodes.map(one).to_vec(),
        diff: nodes.map(change).to_vec(),
        ..base(true)
    }
}

/// As [`upgrade`], of an engine that shows no releases of nodes.
pub(super) fn upgrade_unseen() -> Plan {
    let change = Change {
        object: "storage".to_owned(),
        field: "release".to_owned(),
        old: "1".to_owned(),
        new: "2".to_owned(),
    };
    Plan { diff: vec![change], ..upgrade() }
}

/// Node by node; nothing can be taken back.
pub(super) fn restart() -> Plan {
    let one = |node: &str| step(format!("Restart {node}"), node, format!(r#"{{"restart":"{node}"}}"#), None);
    Plan { operation: "restart".to_owned(), steps: ["n1", "n2", "n3"].map(one).to_vec(), ..base(false) }
}

/// From 3 to 5 nodes, by one call.
pub(super) fn scale() -> Plan {
    let json = |replicas: u32| format!(r#"{{"replicas":{replicas}}}"#);
    let change = Change {
        object: "storage".to_owned(),
        field: "replicas".to_owned(),
        old: "3".to_owned(),
        new: "5".to_owned(),
    };
    Plan {
        operation: "scale".to_owned(),
        steps: vec![step("Scale storage".to_owned(), "storage", json(5), Some(json(3)))],
        diff: vec![change],
        preconditions: vec![Precondition { what: "replicas of storage".to_owned(), value: "3".to_owned() }],
        ..base(true)
    }
}

/// One setting to another value, by one call.
pub(super) fn configure() -> Plan {
    let json = |level: &str| format!(r#"{{"level":"{level}"}}"#);
    let change = Change {
        object: "storage".to_owned(),
        field: "setting level".to_owned(),
        old: "low".to_owned(),
        new: "high".to_owned(),
    };
    let was = Precondition { what: "setting level of storage".to_owned(), value: "low".to_owned() };
    Plan {
        operation: "configure".to_owned(),
        steps: vec![step("Set level".to_owned(), "storage", json("high"), Some(json("low")))],
        diff: vec![change],
        preconditions: vec![was],
        ..base(true)
    }
}

/// A step of ours, which finds by itself what it did before.
pub(super) fn debug() -> Plan {
    let collect = Step { title: "Collect".to_owned(), timeout_ms: 10_000, ..Step::default() };
    Plan {
        operation: "collectDebug".to_owned(),
        steps: vec![collect],
        preconditions: Vec::new(),
        ..base(false)
    }
}

/// One call whose effect nobody can see.
pub(super) fn task() -> Plan {
    let run = step("Run compact".to_owned(), "default", r#"{"task":"compact"}"#.to_owned(), None);
    Plan {
        operation: "runTask".to_owned(),
        steps: vec![Step { gate: None, ..run }],
        preconditions: Vec::new(),
        ..base(false)
    }
}

/// A task at one target after the other, each of which is a node.
pub(super) fn walk() -> Plan {
    let one = |node: &str| step(format!("Run tidy on {node}"), node, format!(r#"{{"tidy":"{node}"}}"#), None);
    Plan {
        operation: "runTask".to_owned(),
        task: "tidy".to_owned(),
        steps: ["n1", "n2", "n3"].map(one).to_vec(),
        ..base(false)
    }
}
