//! Operations from delivery to the end of their run; planner and runner are the test's own hands.

mod crowded;
mod endings;
mod granted;
mod recorded;
mod restarts;
mod shown;
mod turns;

use tunnel_certs::statement::request::{
    Kind, Operation,
    operation::{CollectDebug, Restart, RunTask, Scale, Size, Start, What},
};
use tunnel_protos::{
    Digest, RequestId,
    operations::v1::{Plan, Step},
    v1::RequestState,
};

use super::{
    approving::{alice, anybody, note, signed},
    house::{HOUR, House, MINUTE, NOW, Sent},
};
use crate::{
    approvers::{AnswerError, Approver},
    clock::Wall,
    operations::{Ask, Office, PlanRefusal, Planned, Refused, RunState, Word},
};

pub(super) const OPERATIONS: &str = r#"
version: 1
clocks: { requestTtl: 2h, claimWindow: 30m, workWindow: 1h, certificateTtl: 10m }
approvals:
  scale: { mode: auto, limits: { maxReplicas: 5, maxStep: 2 } }
  restart: auto
  collectDebug: deny
  runTask: { compact: auto, reindex: manual }
"#;

pub(super) async fn house() -> House {
    let house = House::new().await;
    house.set_policy(OPERATIONS);
    house
}

pub(super) fn task(name: &str) -> Operation {
    let run = RunTask { task: name.parse().unwrap(), targets: Vec::new(), arguments: Vec::new() };
    Operation { what: What::RunTask(run), start: Start::OnApproval, dry_run: false, wanted: HOUR / 2 }
}

fn on_call(name: &str) -> Operation {
    Operation { start: Start::OnCall, ..task(name) }
}

fn scale(expected: u32, wanted: u32) -> Operation {
    let size = Size::Replicas { expected, wanted };
    let what = What::Scale(Scale { component: "storage".parse().unwrap(), size });
    Operation { what, ..task("compact") }
}

fn restart() -> Operation {
    let component = "storage".parse().unwrap();
    let what = What::Restart(Restart { component, nodes: Vec::new(), expected_replicas: 3 });
    Operation { what, ..task("compact") }
}

/// A plan for what is asked, told apart from others by its title.
pub(super) fn plan(asked: &Operation, title: &str) -> Planned {
    let step = Step { title: "only".to_owned(), ..Step::default() };
    let operation = asked.what.name().to_owned();
    let plan = Plan { version: 1, operation, title: title.to_owned(), steps: vec![step], ..Plan::default() };
    Planned::new(plan, asked)
}

fn digest(planned: &Planned) -> Digest {
    Digest::new(planned.digest())
}

impl House {
    pub(super) fn operation(&self, asked: &Operation) -> Sent {
        let ann = self.operator("ann");
        ann.send(ann.request(Kind::Operation(Box::new(asked.clone())), self.wall.now()))
    }

    /// Asked for, and handed to the planner.
    async fn asked(&mut self, asked: &Operation) -> (Sent, Ask) {
        let sent = self.operation(asked);
        assert_eq!(self.ask(&sent).await, RequestState::Pending);
        self.settle().await;
        let ask = self.hands.asked().pop().expect("it is handed to the planner");
        assert_eq!((ask.id, ask.digest, &ask.operation), (sent.request.id, sent.digest, asked));
        (sent, ask)
    }

    /// Asked for, and planned.
    pub(super) async fn plan(&mut self, asked: &Operation) -> (Sent, Planned) {
        let (sent, _) = self.asked(asked).await;
        let planned = plan(asked, "first");
        self.say(Word::Planned(sent.request.id, Ok(planned.clone()))).await;
        (sent, planned)
    }

    pub(super) async fn say(&self, word: Word) {
        self.hands.say(word).await;
        self.settle().await;
    }

    async fn moved(&self, sent: &Sent, state: RunState) {
        let operation = Office::operation(&self.requests, &sent.request.id).unwrap();
        let plan = Digest::try_from(&operation.plan_digest[..]).unwrap_or(sent.digest);
        self.say(Word::Moved { id: sent.request.id, plan, state, why: format!("{state:?}") }).await;
    }

    /// Its run goes on, and says how far it is.
    async fn goes_on(&self, sent: &Sent, why: &str) {
        let planned = Office::operation(&self.requests, &sent.request.id).unwrap().plan_digest;
        let plan = Digest::try_from(&planned[..]).unwrap();
        let why = why.to_owned();
        self.say(Word::Moved { id: sent.request.id, plan, state: RunState::Running, why }).await;
    }

    async fn yes(&self, sent: &Sent, plan: &Planned, by: Approver) -> Result<(), AnswerError> {
        let requests = &self.requests;
        requests.approve(sent.request.id, sent.digest, Some(digest(plan)), note(), by).await
    }

    /// One that runs.
    async fn running(&mut self) -> (Sent, Planned) {
        let (sent, planned) = self.plan(&task("compact")).await;
        assert_eq!(self.state(&sent), RequestState::Running);
        assert_eq!(self.hands.ordered().len(), 1);
        (sent, planned)
    }

    fn why(&self, sent: &Sent) -> String {
        self.outcome(sent).unwrap().reason
    }
}

async fn start(house: &House, sent: &Sent) -> Result<(), Refused> {
    Office::start(&house.requests, sent.request.id).await
}

#[tokio::test]
async fn a_denied_kind_is_refused_before_anything_is_planned() {
    let mut house = house().await;
    let collectors = vec!["status".parse().unwrap()];
    let debug = What::CollectDebug(CollectDebug { collectors, targets: Vec::new() });
    for (what, rule) in
        [(debug, "approvals.collectDebug"), (task("unlisted").what, "approvals.runTask.unlisted")]
    {
        let sent = house.operation(&Operation { what, ..task("compact") });
        assert_eq!(house.ask(&sent).await, RequestState::Denied);
        assert_eq!(house.outcome(&sent).unwrap().rule, rule);
    }
    house.settle().await;
    assert!(house.hands.asked().is_empty());
}

#[tokio::test]
async fn what_the_policy_allows_runs_as_soon_as_it_is_planned() {
    let mut house = house().await;
    let (sent, _) = house.asked(&task("compact")).await;
    assert_eq!(house.why(&sent), "Being planned");
    assert!(house.grant(&sent).is_none() && house.hands.ordered().is_empty());
    let planned = plan(&task("compact"), "compact it");
    house.say(Word::Planned(sent.request.id, Ok(planned.clone()))).await;
    assert_eq!(house.state(&sent), RequestState::Running);
    let [order] = &house.hands.ordered()[..] else { panic!("one order") };
    assert_eq!((order.id, order.digest, &order.planned), (sent.request.id, sent.digest, &planned));
    house.moved(&sent, RunState::Running).await;
    let outcome = house.outcome(&sent).unwrap();
    assert_eq!((outcome.state, outcome.reason.as_str()), (RequestState::Running, "Running"));
    assert_eq!((outcome.approvals_had, outcome.approvals_needed), (0, 0));
    house.moved(&sent, RunState::Succeeded).await;
    assert_eq!(house.state(&sent), RequestState::Succeeded);
}

#[tokio::test]
async fn every_end_of_a_run_is_told_once_and_is_final() {
    let mut house = house().await;
    for (ended, state) in [
        (RunState::Succeeded, RequestState::Succeeded),
        (RunState::Failed, RequestState::Failed),
        (RunState::RolledBack, RequestState::RolledBack),
        (RunState::Cancelled, RequestState::Cancelled),
        (RunState::Indeterminate, RequestState::Indeterminate),
    ] {
        let (sent, _) = house.running().await;
        house.moved(&sent, ended).await;
        assert_eq!((house.state(&sent), house.why(&sent)), (state, format!("{ended:?}")));
        let sequence = house.outcome(&sent).unwrap().sequence;
        for word in [RunState::Running, RunState::Succeeded, RunState::Failed] {
            house.moved(&sent, word).await;
        }
        let again = plan(&task("compact"), "again");
        house.say(Word::Stale(sent.request.id, Ok(again))).await;
        let outcome = house.outcome(&sent).unwrap();
        assert_eq!((outcome.state, outcome.sequence), (state, sequence));
    }
}

#[tokio::test]
async fn a_planners_no_is_told_with_its_rule() {
    let mut house = house().await;
    let (sent, _) = house.asked(&task("compact")).await;
    let refusal = PlanRefusal::new("expected", "storage has 5 replicas, not 3");
    house.say(Word::Planned(sent.request.id, Err(refusal))).await;
    let outcome = house.outcome(&sent).unwrap();
    assert_eq!(outcome.state, RequestState::Denied);
    assert_eq!(
        (outcome.rule.as_str(), outcome.reason.as_str()),
        ("expected", "storage has 5 replicas, not 3")
    );
}

#[tokio::test]
async fn what_a_planner_found_is_told_to_the_customer_alone() {
    let mut house = house().await;
    let (sent, _) = house.asked(&task("reindex")).await;
    let found = "The replicas of storage are 5, not 3 as expected";
    let refusal = PlanRefusal::found("expected", found, "The replicas of storage are not as expected");
    house.say(Word::Planned(sent.request.id, Err(refusal))).await;
    assert_eq!(house.requests.view(&sent.request.id).unwrap().state_reason, found);
    let house = house.restart().await;
    let outcome = house.outcome(&sent).unwrap();
    assert_eq!((outcome.state, outcome.rule.as_str()), (RequestState::Denied, "expected"));
    assert_eq!(outcome.reason, "The replicas of storage are not as expected");
    let operation = Office::operation(&house.requests, &sent.request.id).unwrap();
    assert_eq!(operation.summary, "The replicas of storage are not as expected");
    assert_eq!(house.requests.view(&sent.request.id).unwrap().state_reason, found);
}

#[tokio::test]
async fn a_yes_is_about_the_plan_that_was_shown() {
    let mut house = house().await;
    let (sent, ask) = house.asked(&task("reindex")).await;
    let planned = plan(&ask.operation, "first");
    let early = house.yes(&sent, &planned, alice()).await;
    assert!(matches!(early, Err(AnswerError::NotPlanned)));
    house.say(Word::Planned(sent.request.id, Ok(planned.clone()))).await;
    assert_eq!(house.state(&sent), RequestState::Pending);
    let view = house.requests.view(&sent.request.id).unwrap();
    let running = view.running.as_ref().unwrap();
    assert_eq!(running.plan_digest, planned.digest());
    assert_eq!((running.steps.len(), running.plan.as_ref()), (1, Some(&planned.plan)));
    assert_eq!(view.operation, Some(task("reindex").to_message()));
    let other = plan(&ask.operation, "another");
    assert!(matches!(house.yes(&sent, &other, alice()).await, Err(AnswerError::PlanChanged)));
    let blind = house.requests.approve(sent.request.id, sent.digest, None, note(), alice()).await;
    assert!(matches!(blind, Err(AnswerError::PlanChanged)));
    assert!(house.grant(&sent).is_none() && house.hands.ordered().is_empty());
    house.yes(&sent, &planned, alice()).await.unwrap();
    house.settle().await;
    assert_eq!(house.state(&sent), RequestState::Running);
    let outcome = house.outcome(&sent).unwrap();
    assert_eq!((outcome.approvals_had, outcome.approvals_needed), (1, 1));
}

#[tokio::test]
async fn nobody_is_shown_a_plan_of_what_has_none() {
    let house = House::new().await;
    let sent = super::approving::pending(&house).await;
    let planned = plan(&task("compact"), "none of it");
    assert!(matches!(house.yes(&sent, &planned, alice()).await, Err(AnswerError::PlanChanged)));
    assert_eq!(house.state(&sent), RequestState::Pending);
}

#[tokio::test]
async fn what_was_planned_again_needs_another_yes() {
    let mut house = house().await;
    let (sent, planned) = house.plan(&task("reindex")).await;
    house.yes(&sent, &planned, signed(1)).await.unwrap();
    house.settle().await;
    assert_eq!(house.hands.ordered().len(), 1);
    let again = plan(&task("reindex"), "second");
    house.say(Word::Stale(sent.request.id, Ok(again.clone()))).await;
    assert_eq!(house.state(&sent), RequestState::Pending);
    let view = house.requests.view(&sent.request.id).unwrap();
    assert_eq!((view.approvals_had, view.answers.len(), view.notified.len()), (0, 0, 0));
    assert_eq!(view.running.unwrap().plan_digest, again.digest());
    house.settle().await;
    assert!(house.hands.ordered().is_empty());
    assert!(matches!(house.yes(&sent, &planned, alice()).await, Err(AnswerError::PlanChanged)));
    // Back to what it was: the old yes does not come back with it.
    house.yes(&sent, &again, alice()).await.unwrap();
    house.settle().await;
    house.say(Word::Stale(sent.request.id, Ok(planned.clone()))).await;
    assert_eq!(house.state(&sent), RequestState::Pending);
    let mut house = house.restart().await;
    house.set_policy(OPERATIONS);
    assert!(matches!(house.yes(&sent, &planned, signed(1)).await, Err(AnswerError::Replayed)));
    house.yes(&sent, &planned, signed(2)).await.unwrap();
    house.settle().await;
    assert_eq!(house.state(&sent), RequestState::Running);
    assert_eq!(house.hands.ordered().pop().unwrap().planned, planned);
}

#[tokio::test]
async fn a_fresh_one_that_was_planned_again_is_decided_again() {
    let mut house = house().await;
    let (sent, _) = house.running().await;
    let again = plan(&task("compact"), "second");
    house.say(Word::Stale(sent.request.id, Ok(again.clone()))).await;
    assert_eq!(house.state(&sent), RequestState::Running);
    assert_eq!(house.hands.ordered().pop().unwrap().planned, again);
    house.wall.set(NOW.plus(6 * MINUTE));
    house.say(Word::Stale(sent.request.id, Ok(again))).await;
    assert_eq!(house.state(&sent), RequestState::Pending);
    assert!(house.why(&sent).starts_with("By the client's clock"), "as of access");
}

#[tokio::test]
async fn a_stale_plan_is_not_started_again_and_its_end_ends_nothing() {
    let mut house = house().await;
    let (sent, first) = house.running().await;
    let (id, again) = (sent.request.id, plan(&task("compact"), "second"));
    // Time to say everything again has come before the word is heard.
    house.wall.set(NOW.plus(MINUTE + MINUTE / 60));
    let stale = house.hands.say(Word::Stale(id, Ok(again.clone())));
    let (_, turn) = tokio::join!(stale, Office::start(&house.requests, id));
    turn.unwrap();
    house.settle().await;
    let ordered: Vec<_> = house.hands.ordered().into_iter().map(|order| order.planned).collect();
    assert_eq!(ordered, std::slice::from_ref(&again));
    for state in [RunState::Succeeded, RunState::Running] {
        house.say(Word::Moved { id, plan: digest(&first), state, why: "Of the first".to_owned() }).await;
        assert_eq!(house.state(&sent), RequestState::Running);
        assert!(!house.why(&sent).contains("Of the first"));
    }
    house.moved(&sent, RunState::Succeeded).await;
    assert_eq!(house.state(&sent), RequestState::Succeeded);
}

#[tokio::test]
async fn what_never_stays_as_it_was_found_is_left_to_a_person() {
    let mut house = house().await;
    let (sent, _) = house.running().await;
    let mut plans = 1;
    while house.state(&sent) == RequestState::Running && plans < 10 {
        plans += 1;
        let next = plan(&task("compact"), &plans.to_string());
        house.say(Word::Stale(sent.request.id, Ok(next))).await;
    }
    assert_eq!((house.state(&sent), plans), (RequestState::Pending, 3));
    assert_eq!(house.outcome(&sent).unwrap().rule, "restless");
    assert_eq!(house.hands.ordered().len(), 1, "after the first one it began again");
    let last = plan(&task("compact"), "3");
    house.yes(&sent, &last, alice()).await.unwrap();
    house.settle().await;
    assert_eq!(house.state(&sent), RequestState::Running);
    house.say(Word::Stale(sent.request.id, Ok(plan(&task("compact"), "4")))).await;
    assert_eq!(house.state(&sent), RequestState::Pending);
}

#[tokio::test]
async fn one_that_cannot_be_planned_again_is_over() {
    let mut house = house().await;
    let (sent, _) = house.running().await;
    let refusal = PlanRefusal::new("expected", "storage has 5 replicas, not 3");
    house.say(Word::Stale(sent.request.id, Err(refusal))).await;
    assert_eq!(
        (house.state(&sent), house.why(&sent).as_str()),
        (RequestState::Denied, "storage has 5 replicas, not 3")
    );
}

#[tokio::test]
async fn a_held_operation_needs_a_person() {
    let mut house = house().await;
    let sent = house.operation(&task("compact"));
    house.wall.set(NOW.plus(6 * MINUTE));
    assert_eq!(house.ask(&sent).await, RequestState::Pending);
    house.settle().await;
    assert_eq!(house.hands.asked().len(), 1);
    let planned = plan(&task("compact"), "first");
    house.say(Word::Planned(sent.request.id, Ok(planned.clone()))).await;
    assert_eq!(
        (house.state(&sent), house.outcome(&sent).unwrap().rule.as_str()),
        (RequestState::Pending, "stale request")
    );
    assert!(house.hands.ordered().is_empty());
    house.yes(&sent, &planned, alice()).await.unwrap();
    house.settle().await;
    assert_eq!(house.hands.ordered().len(), 1);
}

#[tokio::test]
async fn limits_are_looked_at_once_the_plan_is_there() {
    let mut house = house().await;
    for (asked, state, rule) in [
        (scale(3, 5), RequestState::Running, "approvals.scale"),
        (scale(3, 6), RequestState::Denied, "approvals.scale limits.maxReplicas"),
        (scale(1, 4), RequestState::Denied, "approvals.scale limits.maxStep"),
        (restart(), RequestState::Running, "approvals.restart"),
    ] {
        let (sent, _) = house.plan(&asked).await;
        let outcome = house.outcome(&sent).unwrap();
        assert_eq!((outcome.state, outcome.rule.as_str()), (state, rule));
    }
}

#[tokio::test]
async fn nothing_is_planned_longer_than_a_request_may_wait() {
    let mut house = house().await;
    let (sent, _) = house.asked(&task("compact")).await;
    house.pass(2 * HOUR).await;
    assert_eq!(house.state(&sent), RequestState::Expired);
    house.say(Word::Planned(sent.request.id, Ok(plan(&task("compact"), "late")))).await;
    assert_eq!(house.state(&sent), RequestState::Expired);
    assert!(house.hands.ordered().is_empty());
}

#[tokio::test]
async fn words_about_nothing_change_nothing() {
    let house = house().await;
    let unknown = RequestId::random();
    let access = house.operator("ann").access(&["e.Admin/Get"], NOW);
    for id in [unknown, access.request.id] {
        house.say(Word::Planned(id, Ok(plan(&task("compact"), "x")))).await;
        house.say(Word::Stale(id, Ok(plan(&task("compact"), "x")))).await;
        let plan = digest(&plan(&task("compact"), "x"));
        house.say(Word::Moved { id, plan, state: RunState::Succeeded, why: String::new() }).await;
        assert_eq!(Office::start(&house.requests, id).await, Err(Refused::Unknown));
        assert_eq!(Office::cancel(&house.requests, id).await, Err(Refused::Unknown));
        assert!(Office::operation(&house.requests, &id).is_none());
    }
}

#[tokio::test]
async fn what_a_person_denied_is_not_run_by_a_rule() {
    let mut house = house().await;
    house.set_policy(&OPERATIONS.replace("restart: auto", "restart: manual"));
    let (denied, _) = house.plan(&restart()).await;
    house.requests.deny(denied.request.id, None, note(), anybody()).await.unwrap();
    house.set_policy(OPERATIONS);
    let (again, _) = house.plan(&restart()).await;
    assert_eq!(house.state(&again), RequestState::Pending);
    let view = house.requests.view(&again.request.id).unwrap();
    assert_eq!(view.denied_before, denied.request.id.to_string());
    let (other, _) = house.plan(&scale(3, 4)).await;
    assert_eq!(house.state(&other), RequestState::Running);
}
