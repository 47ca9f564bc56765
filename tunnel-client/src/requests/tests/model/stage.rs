//! The real clerk on the disk that breaks, played turn by turn beside the reference.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use tokio::sync::watch;
use tracing::Span;
use tunnel_certs::statement::request::{Kind, Operation, operation::Start};
use tunnel_protos::{
    Digest, EnvelopeId, GrantId, OperatorName, RequestId, UnixMillis,
    v1::{ReceivedStatus, RequestState, SealedRequest},
};
use tunnel_runtime::{drain, tasks::Task};

use super::{
    super::{
        approving::{alice, anybody, note},
        house::{HOUR, HouseKeys, MINUTE, NOW, Operator, Sent, TestWall, access, load},
    },
    disk::{Disk, Fault},
    reference::{Ask, Method, Model, Run},
};
use crate::{
    approvers::{Approver, Signed},
    audit::Audit,
    clock::Wall,
    gate::grants::{GrantsView, Life, Serial, channel},
    operations::hands::Hands,
    operations::{Office, Planned, RunState, Word},
    policy::Policy,
    requests::{Admission, Record, Requests, Settings, State},
    tunnels::Inbox,
};

/// Something that happens.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    Ask { operator: usize, method: Method, held: bool },
    Operate { operator: usize, method: Method, held: bool },
    Plan(usize),
    Begin(usize),
    Stale(usize),
    Ran(usize, RunState),
    Stop(usize),
    Again(usize),
    Twin(usize),
    Reseal(usize),
    Approve(usize, Option<u8>),
    Deny(usize),
    Withdraw(usize, usize),
    Certify(usize, usize),
    Revoke(usize),
    Pause,
    Resume(Option<u8>),
    DenyOperator(usize),
    AllowOperator(usize),
    Pass(u32),
    SetBack,
    Policy(bool),
    Break(usize, Fault),
    Full(bool),
    Kill,
}

/// One client over all its lives, with what its operators keep.
pub(super) struct Stage {
    disk: Disk,
    wall: TestWall,
    policy: watch::Sender<Arc<Policy>>,
    life: ClientLife,
    sent: Vec<Sent>,
    certificates: Vec<(usize, Sent)>,
    told: BTreeMap<EnvelopeId, u64>,
    model: Model,
    /// New ones that the disk may hold although the client does not know them.
    lost: BTreeMap<usize, Ask>,
    /// As it was when the disk last held everything.
    stored: Model,
}

/// From a start to a crash.
pub(in super::super) struct ClientLife {
    pub(in super::super) requests: Requests,
    pub(in super::super) view: GrantsView,
    pub(in super::super) hands: Hands,
    clerk: Task<()>,
    _drain: drain::Drain,
}

impl Stage {
    pub(super) async fn new() -> Self {
        let (disk, wall) = (Disk::default(), TestWall::default());
        wall.set(FIRST);
        let policy = watch::Sender::new(Arc::new(load(LAX)));
        let life = ClientLife::start(&disk, &wall, &policy).await;
        let (sent, certificates, told) = (Vec::new(), Vec::new(), BTreeMap::new());
        let (model, stored) = (Model::default(), Model::default());
        let lost = BTreeMap::new();
        Self { disk, wall, policy, life, sent, certificates, told, model, lost, stored }
    }

    pub(super) async fn play(&mut self, turn: Turn) {
        let Some(turn) = self.possible(turn) else { return };
        self.disk.tripped();
        self.introduce(turn);
        let before = self.model.clone();
        let expected = self.expect(turn);
        let disk = self.disk.clone();
        let reply = tokio::select! {
            biased;
            () = disk.died() => None,
            reply = self.act(turn) => Some(reply),
        };
        // Never a yes that the reference does not know.
        assert!(reply != Some(true) || expected, "{turn:?} was carried out");
        if reply == Some(true) {
            self.acknowledged(turn);
        }
        let settled = tokio::select! {
            biased;
            () = disk.died() => false,
            () = self.life.settle() => true,
        };
        self.judge(turn, &before, expected, reply, settled).await;
    }

    async fn judge(
        &mut self,
        turn: Turn,
        before: &Model,
        expected: bool,
        reply: Option<bool>,
        settled: bool,
    ) {
        if matches!(turn, Turn::Kill) || reply.is_none() || !settled {
            self.nothing_before_its_time();
            self.crash(before).await;
        } else if self.disk.tripped() {
            self.observe(before, reply == Some(true));
        } else {
            assert_eq!(reply, Some(expected), "{turn:?}");
        }
        loop {
            self.model.elapse(self.life.requests.clock().now());
            self.life.settle().await;
            if !self.disk.is_dead() {
                break;
            }
            // It died while it tried again to store what it could not before.
            self.nothing_before_its_time();
            self.crash(&self.model.clone()).await;
        }
        self.same(turn);
        self.nothing_before_its_time();
        if !self.disk.is_full() {
            self.stored = self.model.clone();
        }
    }

    /// With the number of something that exists, if it needs one.
    fn possible(&self, turn: Turn) -> Option<Turn> {
        let at = |which: usize| which.checked_rem(self.sent.len());
        let known = |which| at(which).filter(|at| self.model.asks[*at].state.is_some());
        Some(match turn {
            Turn::Again(which) => Turn::Again(at(which)?),
            Turn::Plan(which) => Turn::Plan(at(which)?),
            Turn::Begin(which) => Turn::Begin(at(which)?),
            Turn::Stale(which) => Turn::Stale(at(which)?),
            Turn::Ran(which, state) => Turn::Ran(at(which)?, state),
            Turn::Stop(which) => Turn::Stop(at(which)?),
            Turn::Twin(which) => Turn::Twin(known(which)?),
            Turn::Reseal(which) => Turn::Reseal(known(which)?),
            Turn::Approve(which, signed) => Turn::Approve(at(which)?, signed),
            Turn::Deny(which) => Turn::Deny(at(which)?),
            Turn::Withdraw(which, by) => Turn::Withdraw(at(which)?, self.by(at(which)?, by)),
            Turn::Certify(which, by) => Turn::Certify(at(which)?, self.by(at(which)?, by)),
            Turn::Revoke(which) => Turn::Revoke(at(which)?),
            Turn::Pass(minutes) if self.wall.now().plus(minutes * MINUTE) > NOW.plus(11 * HOUR) => {
                return None;
            }
            turn => turn,
        })
    }

    /// Mostly the one whose it is.
    fn by(&self, at: usize, by: usize) -> usize {
        if by < 2 { by } else { self.model.asks[at].operator }
    }

    fn now(&self) -> UnixMillis {
        self.life.requests.clock().now()
    }

    /// A new request, of which the client knows nothing yet.
    fn introduce(&mut self, turn: Turn) {
        let (Turn::Ask { operator, method, held } | Turn::Operate { operator, method, held }) = turn else {
            return;
        };
        let issued = if held { self.now().minus(6 * MINUTE) } else { self.now() };
        let (state, by_person, refused, due) = (None, false, false, None);
        let operation = matches!(turn, Turn::Operate { .. }).then(Run::default);
        let by = &OPERATORS[operator];
        self.sent.push(match &operation {
            Some(_) => by.send(by.request(Kind::Operation(Box::new(on_call(method.task()))), issued)),
            None => by.access(&[method.name()], issued),
        });
        let ask = Ask { operator, method, issued, state, by_person, refused, due, operation };
        self.model.asks.push(ask.clone());
        self.stored.asks.push(ask);
    }

    /// What the reference makes of it.
    fn expect(&mut self, turn: Turn) -> bool {
        let now = self.now();
        let model = &mut self.model;
        match turn {
            Turn::Ask { .. } | Turn::Operate { .. } => model.arrive(model.asks.len() - 1, now),
            Turn::Plan(at) => model.plan(at, now),
            Turn::Stale(at) => model.stale(at, now),
            Turn::Ran(at, state) => model.ran(at, state, now),
            Turn::Begin(at) => return model.begin(at),
            Turn::Stop(at) => return model.stop(at),
            Turn::Again(at) => match self.lost.remove(&at) {
                // Stored before, and taken as it was then.
                Some(lost) if self.disk.record(&self.sent[at].request.id.to_string()).is_some() => {
                    model.asks[at] = lost;
                    model.cut(now);
                }
                _ => model.arrive(at, now),
            },
            Turn::Approve(at, signed) => return model.approve(at, signed.map(digest), now),
            Turn::Deny(at) => return model.deny(at),
            Turn::Withdraw(at, by) => return model.withdraw(at, by),
            Turn::Certify(at, by) => return model.certify(at, by, now),
            Turn::Revoke(at) => return model.revoke(at, now),
            Turn::Pause => model.paused = true,
            Turn::Resume(signed) => return model.resume(signed.map(digest)),
            Turn::DenyOperator(operator) => return model.deny_operator(operator, now),
            Turn::AllowOperator(operator) => return model.denied.remove(&operator),
            Turn::Policy(strict) => model.strict = strict,
            _ => {}
        }
        true
    }

    /// Whether it was carried out and acknowledged.
    async fn act(&mut self, turn: Turn) -> bool {
        let requests = self.life.requests.clone();
        match turn {
            Turn::Ask { .. } | Turn::Operate { .. } => self.deliver(self.sent.len() - 1).await,
            Turn::Plan(at) => self.say(at, Word::Planned(self.id(at), Ok(numbered(0)))).await,
            Turn::Stale(at) => {
                let next =
                    self.model.asks[at].operation.as_ref().and_then(|run| run.plan).unwrap_or_default();
                self.say(at, Word::Stale(self.id(at), Ok(numbered(next)))).await
            }
            Turn::Ran(at, state) => self.say(at, self.moved(at, state)).await,
            Turn::Begin(at) => Office::start(&requests, self.id(at)).await.is_ok(),
            Turn::Stop(at) => requests.cancel_operation(self.id(at), note(), anybody()).await.is_ok(),
            Turn::Again(at) => self.deliver(at).await,
            Turn::Twin(at) => self.twin(at).await,
            Turn::Reseal(at) => {
                let again = OPERATORS[self.model.asks[at].operator].seal_again(&self.sent[at]);
                requests.deliver(again.sealed).await == ReceivedStatus::Known
            }
            Turn::Approve(at, signed) => {
                let (sent, by) = (&self.sent[at], signed.map_or_else(alice, |byte| self.signed(byte)));
                let running = requests.view(&sent.request.id).and_then(|view| view.running);
                let plan = running.and_then(|running| Digest::try_from(&running.plan_digest[..]).ok());
                requests.approve(sent.request.id, sent.digest, plan, note(), by).await.is_ok()
            }
            Turn::Deny(at) => requests.deny(self.sent[at].request.id, None, note(), anybody()).await.is_ok(),
            Turn::Withdraw(at, by) => {
                let asked = OPERATORS[by].withdraw(self.sent[at].request.id, self.now());
                self.done(&asked).await
            }
            Turn::Certify(at, by) => {
                let asked = OPERATORS[by].certificate(self.grant(at), self.now());
                self.certificates.push((at, asked));
                self.done(&self.certificates.last().unwrap().1).await
            }
            Turn::Revoke(at) => {
                let live = self.life.view.grant(&self.grant(at)).is_some_and(|grant| is_live(grant.life()));
                // Cutting once more is no error, and no news.
                requests.revoke(self.grant(at), note(), anybody()).await.is_ok() && live
            }
            turn => self.order(turn).await,
        }
    }

    /// Another request under the same id is taken to be denied.
    async fn twin(&self, at: usize) -> bool {
        let operator = &OPERATORS[self.model.asks[at].operator];
        let (mut twin, key) = operator.request(access(&["e.Admin/Get"], &["default"]), self.now());
        twin.id = self.sent[at].request.id;
        let twin = operator.send((twin, key));
        self.life.requests.deliver(twin.sealed.clone()).await == ReceivedStatus::Taken
            && self.life.state(&twin) == Some(RequestState::Denied)
    }

    async fn order(&mut self, turn: Turn) -> bool {
        let requests = self.life.requests.clone();
        match turn {
            Turn::Pause => requests.pause(note(), anybody()).await.stored,
            Turn::Resume(signed) => {
                let Some(pause) = requests.pause_view() else { return false };
                let by = signed.map_or_else(alice, |byte| self.signed(byte));
                requests.resume(pause.id.parse().unwrap(), note(), by).await.is_ok()
            }
            Turn::DenyOperator(operator) => {
                requests.deny_operator(name(operator), note(), anybody()).await.is_ok()
            }
            Turn::AllowOperator(operator) => {
                requests.allow_operator(name(operator), note(), alice()).await.is_ok()
            }
            Turn::Pass(minutes) => {
                self.wall.set(self.wall.now().plus(minutes * MINUTE));
                true
            }
            Turn::SetBack => {
                self.wall.set(self.wall.now().minus(10 * MINUTE).max(FIRST));
                true
            }
            Turn::Policy(strict) => {
                self.policy.send_replace(Arc::new(load(if strict { STRICT } else { LAX })));
                true
            }
            Turn::Break(steps, fault) => {
                self.disk.break_after(steps, fault);
                true
            }
            Turn::Full(full) => {
                self.disk.fill(full);
                true
            }
            _ => true,
        }
    }

    fn moved(&self, at: usize, state: RunState) -> Word {
        let run = self.model.asks[at].operation.as_ref().and_then(|run| run.plan).unwrap_or_default();
        let (id, plan) = (self.id(at), Digest::new(numbered(run).digest()));
        Word::Moved { id, plan, state, why: format!("{state:?}") }
    }

    fn id(&self, at: usize) -> RequestId {
        self.sent[at].request.id
    }

    /// Whether what planner or runner said led where the reference is.
    async fn say(&self, at: usize, word: Word) -> bool {
        self.life.hands.say(word).await;
        self.life.settle().await;
        self.seen(at) == self.model.asks[at].seen()
    }

    /// State and plan, as the client has them.
    fn seen(&self, at: usize) -> Seen {
        let record = self.life.requests.shared.record(&self.id(at));
        (record.as_ref().map(|record| record.state), record.as_ref().and_then(plan_of))
    }

    async fn deliver(&self, at: usize) -> bool {
        let status = self.life.requests.deliver(self.sent[at].sealed.clone()).await;
        matches!(status, ReceivedStatus::Taken | ReceivedStatus::Known)
    }

    async fn done(&self, asked: &Sent) -> bool {
        self.life.requests.deliver(asked.sealed.clone()).await == ReceivedStatus::Taken
            && self.life.state(asked) == Some(RequestState::Done)
    }

    fn grant(&self, at: usize) -> GrantId {
        self.sent[at].request.id.into()
    }

    fn signed(&self, byte: u8) -> Approver {
        let forget_after = NOW.plus(24 * HOUR);
        Approver::by_signature("alice", Signed { digest: digest(byte), forget_after, envelope: vec![byte] })
    }

    /// Whatever was acknowledged is on disk already.
    fn acknowledged(&self, turn: Turn) {
        let orders = self.disk.orders();
        match turn {
            Turn::Ask { .. } | Turn::Operate { .. } => self.is_stored(self.sent.len() - 1),
            Turn::Begin(at) | Turn::Stop(at) => self.is_stored(at),
            Turn::Again(at)
            | Turn::Approve(at, _)
            | Turn::Deny(at)
            | Turn::Withdraw(at, _)
            | Turn::Certify(at, _)
            | Turn::Revoke(at) => self.is_stored(at),
            Turn::Pause | Turn::Resume(_) => assert_eq!(orders.pause.is_some(), self.model.paused),
            Turn::DenyOperator(operator) => assert!(orders.denied.contains_key(&name(operator))),
            Turn::AllowOperator(operator) => assert!(!orders.denied.contains_key(&name(operator))),
            _ => {}
        }
        if let Turn::Approve(_, Some(byte)) | Turn::Resume(Some(byte)) = turn {
            assert!(self.disk.used().contains(&digest(byte)));
        }
    }

    fn is_stored(&self, at: usize) {
        let known = self.life.state_of(&self.sent[at]);
        // What is closed while the disk is full may follow; the turn's own answer says so.
        assert!(self.disk.is_full() || self.on_disk(at) == known, "{known:?} is told, not stored");
    }

    fn on_disk(&self, at: usize) -> Option<State> {
        self.disk.record(&self.sent[at].request.id.to_string()).map(|record| record.state)
    }

    /// Something failed: each thing is as before or as after it, and after it if that was acknowledged.
    fn observe(&mut self, before: &Model, acknowledged: bool) {
        let now = self.now();
        let requests = &self.life.requests;
        for at in 0..self.sent.len() {
            let seen = self.seen(at);
            let after = self.model.asks[at].at(now);
            if seen.0.is_none() && after.state.is_some() {
                self.lost.insert(at, after.clone());
            }
            self.model.asks[at] = either(seen, [Some(&after), Some(&before.asks[at].at(now))]);
            assert!(!acknowledged || self.model.asks[at] == after, "{after:?} was acknowledged, is {seen:?}");
            let record = self.life.requests.shared.record(&self.id(at));
            self.model.asks[at].follow(record.as_ref());
        }
        let paused = requests.pause_view().is_some();
        assert!(paused == self.model.paused || paused == before.paused && !acknowledged);
        let denied =
            (0..2).filter(|at| requests.denied_operators().contains(&name(*at).to_string())).collect();
        assert!(denied == self.model.denied || denied == before.denied && !acknowledged);
        (self.model.paused, self.model.denied) = (paused, denied);
        self.model.used = self.disk.used();
    }

    /// The process is gone: the next one is where the disk is, which is as before, as after, or as last stored.
    async fn crash(&mut self, before: &Model) {
        let now = self.now();
        self.disk.revive();
        for at in 0..self.sent.len() {
            let lost = self.lost.remove(&at);
            let over = self.model.asks[at].at(now);
            let known = [&self.model.asks[at], &over, &before.asks[at], &self.stored.asks[at]];
            let known = known.map(Some).into_iter().chain([lost.as_ref()]);
            let record = self.disk.record(&self.id(at).to_string());
            let seen = (record.as_ref().map(|record| record.state), record.as_ref().and_then(plan_of));
            self.model.asks[at] = either(seen, known);
            self.model.asks[at].follow(record.as_ref());
        }
        let orders = self.disk.orders();
        self.model.paused = orders.pause.is_some();
        self.model.denied = (0..2).filter(|at| orders.denied.contains_key(&name(*at))).collect();
        self.model.used = self.disk.used();
        self.model.cut(now);
        self.life.clerk.abort();
        self.life = ClientLife::start(&self.disk, &self.wall, &self.policy).await;
    }

    /// The client says what the reference says.
    fn same(&self, turn: Turn) {
        let (requests, view) = (&self.life.requests, &self.life.view);
        for (sent, ask) in self.sent.iter().zip(&self.model.asks) {
            assert_eq!(self.life.state_of(sent), ask.state, "after {turn:?}: {ask:?}");
            let live = view.grant(&sent.request.id.into()).is_some_and(|grant| is_live(grant.life()));
            assert_eq!(live, ask.is_open_at_the_gate(), "the gate of {ask:?} after {turn:?}");
        }
        assert_eq!(requests.paused().borrow().is_some(), self.model.paused, "after {turn:?}");
        assert_eq!(requests.denied_operators().len(), self.model.denied.len(), "after {turn:?}");
    }

    /// What was told, and what is open, is on disk; doors and serials are nobody else's.
    fn nothing_before_its_time(&mut self) {
        let outcomes = self.life.requests.outcomes();
        let certificates = self.certificates.iter().map(|(_, sent)| sent);
        let sent: Vec<_> = self.sent.iter().chain(certificates).collect();
        for outcome in outcomes {
            let Some(sent) = sent.iter().find(|sent| sent.id.as_bytes() == &outcome.envelope_id[..]) else {
                continue;
            };
            let said = KEYS.read(&outcome, sent);
            let record = self.disk.record(&sent.request.id.to_string()).expect("told, but not stored");
            assert!(record.answer.sequence >= said.sequence, "told before it was stored");
            let last = self.told.insert(sent.id, said.sequence);
            assert!(last.is_none_or(|last| last <= said.sequence), "the sequence fell");
        }
        for sent in &self.sent {
            let grant = self.life.view.grant(&sent.request.id.into()).filter(|grant| is_live(grant.life()));
            let Some(grant) = grant else { continue };
            let record = self.disk.record(&sent.request.id.to_string()).expect("open, but not stored");
            assert!(record.state.is_live_grant() || record.operation().is_some());
            assert!(record.access().unwrap().doors == grant.grant().doors);
        }
        self.unique();
    }

    fn unique(&self) {
        let records = self.disk.records();
        let access = || records.iter().filter_map(|record| record.access());
        let mut doors: Vec<_> = access().flat_map(|access| access.doors.values()).collect();
        let mut serials: Vec<_> = access().flat_map(|access| &access.serials).map(Serial::as_bytes).collect();
        let all = (doors.len(), serials.len());
        doors.sort_unstable();
        doors.dedup();
        serials.sort_unstable();
        serials.dedup();
        assert_eq!((doors.len(), serials.len()), all);
    }
}

impl ClientLife {
    pub(in super::super) async fn start(
        disk: &Disk,
        wall: &TestWall,
        policy: &watch::Sender<Arc<Policy>>,
    ) -> Self {
        let (writer, view) = channel();
        let (desk, words, hands) = Hands::new();
        let (requests, clerk) = Requests::open(Settings {
            room: KEYS.room(Admission::Open).1,
            store: disk.clone(),
            wall: wall.clone(),
            policy: policy.subscribe(),
            grants: writer,
            view: view.clone(),
            audit: Audit::default(),
            desk,
            words,
        })
        .await
        .unwrap();
        let (drain, watch) = drain::channel();
        let clerk = Task::spawn(Span::none(), clerk.run(watch));
        Self { requests, view, hands, clerk, _drain: drain }
    }

    /// The clerk lets time pass between two commands.
    pub(in super::super) async fn settle(&self) {
        for _ in 0..2 {
            self.requests.deliver(SealedRequest::default()).await;
        }
    }

    pub(in super::super) fn state(&self, sent: &Sent) -> Option<RequestState> {
        let outcomes = self.requests.outcomes();
        let outcome = outcomes.iter().find(|outcome| outcome.envelope_id == sent.id.as_bytes());
        outcome.map(|outcome| KEYS.read(outcome, sent).state)
    }

    pub(in super::super) fn state_of(&self, sent: &Sent) -> Option<State> {
        self.requests.view(&sent.request.id).and_then(|view| State::from_message(view.state()))
    }
}

/// A state, and the number of the plan of an operation.
type Seen = (Option<State>, Option<u8>);

/// The first of what may be that is in this state, with this plan.
fn either<'a>(seen: Seen, possible: impl IntoIterator<Item = Option<&'a Ask>>) -> Ask {
    let possible: Vec<_> = possible.into_iter().flatten().collect();
    let found = possible.iter().find(|ask| ask.seen() == seen);
    (*found.unwrap_or_else(|| panic!("{seen:?} is none of {possible:?}"))).clone()
}

impl Ask {
    fn seen(&self) -> Seen {
        let plan = self.operation.as_ref().and_then(|run| run.plan);
        (self.state, plan.filter(|_| self.state.is_some()))
    }

    /// After a fault, what is no state of its own is as it was kept.
    fn follow(&mut self, record: Option<&Record>) {
        let (Some(run), Some(record)) = (&mut self.operation, record) else { return };
        let Some(operation) = record.operation() else { return };
        run.granted = !operation.grant.doors.is_empty();
        run.claimed = record.deadlines.work.is_some();
        run.stop = operation.stop.is_some();
        run.cut = operation.cut.is_some();
        run.end = record.deadlines.work.or(record.deadlines.claim);
        self.due = record.due();
    }
}

/// By its digest, which stays when the plan is dropped.
fn plan_of(record: &Record) -> Option<u8> {
    static NUMBERS: LazyLock<BTreeMap<[u8; 32], u8>> =
        LazyLock::new(|| (0..=u8::MAX).map(|number| (numbered(number).digest(), number)).collect());
    NUMBERS.get(&record.operation()?.planned.as_ref()?.digest()).copied()
}

/// A plan that is told apart by its number.
fn numbered(number: u8) -> Planned {
    super::super::operating::plan(&on_call("compact"), &number.to_string())
}

fn on_call(task: &str) -> Operation {
    Operation { start: Start::OnCall, ..super::super::operating::task(task) }
}

pub(in super::super) fn is_live(life: Life) -> bool {
    !matches!(life, Life::Over(_))
}

fn digest(byte: u8) -> Digest {
    Digest::new([byte; 32])
}

fn name(operator: usize) -> OperatorName {
    NAMES[operator].parse().unwrap()
}

/// Operators' certificates live before it, so that a request may be old.
const FIRST: UnixMillis = UnixMillis(NOW.0 + 10 * 60_000);

const NAMES: [&str; 2] = ["ann", "bob"];

static KEYS: LazyLock<Arc<HouseKeys>> = LazyLock::new(|| Arc::new(HouseKeys::new("k3v7aaaaaa")));

pub(in super::super) static OPERATORS: LazyLock<[Operator; 2]> =
    LazyLock::new(|| NAMES.map(|name| Operator::new(name, &KEYS.operator_ca, KEYS.clone())));

pub(in super::super) const LAX: &str = r#"
version: 1
clocks: { requestTtl: 2h, claimWindow: 30m, workWindow: 30m, certificateTtl: 10m }
access:
  - { methods: ["e.Admin/Get"], approval: auto }
  - { methods: ["e.Admin/Compact"], approval: manual }
approvals: { runTask: { compact: auto, reindex: manual } }
"#;

const STRICT: &str = r#"
version: 1
clocks: { requestTtl: 2h, claimWindow: 30m, workWindow: 30m, certificateTtl: 10m }
access:
  - { methods: ["e.Admin/Get"], approval: manual }
approvals: { runTask: { compact: manual } }
"#;
