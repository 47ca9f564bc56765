//! The desk with planner and runner behind it, against an engine made of numbers.

use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;
use tracing::Span;
use tunnel_certs::statement::request::operation::{Operation, Scale, Size, Start as When, What};
use tunnel_protos::{Digest, UnixMillis};
use tunnel_runtime::tasks::Task;

use super::*;
use crate::{
    clock::SystemWall,
    engine::profile::testing,
    operations::{
        Ask, Desk, NoArchive, Order, PlanRefusal, Planned,
        testing::{Death, Memory, Plant, Verdict, clerk, numbered_id as id, pause},
    },
    requests::Pause,
};

/// One client; store, folder and engine outlive it.
struct House {
    desk: Desk,
    words: mpsc::Receiver<Word>,
    plant: Plant,
    store: Arc<Memory>,
    folder: TempDir,
    paused: watch::Sender<Option<Pause>>,
    /// What the clerk answers to whoever asks whether it may begin.
    verdict: watch::Sender<Verdict>,
    runner: Task<()>,
    _clerk: Task<()>,
    _engine: watch::Sender<Engine>,
    _drain: drain::Drain,
}

impl House {
    async fn new() -> Self {
        Self::on(Plant::new(), Arc::default(), tempfile::tempdir().unwrap(), History::Whole).await
    }

    async fn on(plant: Plant, store: Arc<Memory>, folder: TempDir, history: History) -> Self {
        let (desk, words, behind) = Desk::new(Arc::new(NoArchive));
        let (drain, watch) = drain::channel();
        let (engine, in_force) = watch::channel(Engine::new(testing::profile()));
        let (paused, is_paused) = watch::channel(None);
        let parts = Parts {
            store: Arc::clone(&store),
            history,
            folder: folder.path().to_owned(),
            engine: in_force,
            keys: ReleaseKeys::new(|| (Vec::new(), 1)),
            clock: Clock::new(SystemWall, UnixMillis(0)),
            paused: is_paused,
            audit: Audit::default(),
        };
        let operations = Operations::open(behind, parts).await.unwrap();
        let runner = Task::spawn(Span::none(), operations.run_by(plant.clone(), watch));
        let (verdict, words, clerk) = clerk(words);
        Self {
            desk,
            words,
            plant,
            store,
            folder,
            paused,
            verdict,
            runner,
            _clerk: clerk,
            _engine: engine,
            _drain: drain,
        }
    }

    /// As after kill -9.
    async fn restart(self, history: History) -> Self {
        let Self { plant, store, folder, runner, .. } = self;
        runner.abort();
        let _ = runner.await;
        store.dies(None);
        Self::on(plant, store, folder, history).await
    }

    async fn word(&mut self) -> Word {
        let word = timeout(Duration::from_secs(3_600), self.words.recv()).await;
        word.expect("a word comes").expect("the runner lives")
    }

    /// The next word that is no mere progress.
    async fn end(&mut self) -> Word {
        loop {
            match self.word().await {
                Word::Moved { state: RunState::Running, .. } => {}
                word => return word,
            }
        }
    }

    async fn planned(&mut self, id: RequestId, operation: &Operation) -> Result<Planned, PlanRefusal> {
        let ask = Ask { id, digest: digest(), operation: operation.clone() };
        self.desk.plan(ask).unwrap();
        match self.end().await {
            Word::Planned(whose, planned) if whose == id => planned,
            word => panic!("{word:?}"),
        }
    }

    async fn order(&mut self, id: RequestId, operation: &Operation) -> Order {
        let planned = self.planned(id, operation).await.unwrap();
        let operator = "alice".parse().unwrap();
        Order { id, digest: digest(), planned, operation: operation.clone(), operator }
    }

    /// Until something shows of a run.
    async fn shown(
        &self,
        id: &RequestId,
        wanted: impl Fn(&tunnel_protos::operations::v1::Operation) -> bool,
    ) {
        for _ in 0..100_000 {
            if self.desk.view(id).is_some_and(|view| wanted(&view)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never shown: {:?}", self.desk.view(id));
    }
}

fn digest() -> Digest {
    Digest::new([7; 32])
}

fn scale(expected: u32, wanted: u32) -> Operation {
    let size = Size::Replicas { expected, wanted };
    let what = What::Scale(Scale { component: "storage".parse().unwrap(), size });
    Operation { what, start: When::OnApproval, dry_run: false, wanted: Duration::ZERO }
}

fn state(word: Word) -> (RunState, String) {
    match word {
        Word::Moved { state, why, .. } => (state, why),
        word => panic!("{word:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_planned_runs_and_both_are_told() {
    let mut house = House::new().await;
    let order = house.order(id(1), &scale(3, 5)).await;
    assert_eq!(order.planned.plan.title, "Scale storage from 3 to 5 replicas");
    assert!(house.plant.calls().is_empty(), "a plan only looks");
    house.desk.start(order).unwrap();
    assert_eq!(house.desk.view(&id(1)).unwrap().summary, "Approved; it waits for its turn");
    assert!(house.desk.view(&id(1)).unwrap().plan.is_none(), "its request holds it");
    assert_eq!(state(house.end().await).0, RunState::Succeeded);
    assert!(house.desk.view(&id(1)).unwrap().plan.is_none());
    assert_eq!(house.plant.nodes().len(), 5);
    assert_eq!(RunState::from_message(house.desk.view(&id(1)).unwrap().state()), Some(RunState::Succeeded));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_has_its_rule_and_sentence() {
    let mut house = House::new().await;
    let refusal = house.planned(id(1), &scale(4, 5)).await.unwrap_err();
    let (why, told) =
        ("The replicas of storage are 3, not 4 as expected", "The replicas of storage are not as expected");
    assert_eq!(refusal, PlanRefusal::found("expected", why, told));
    house.plant.faults(|faults| faults.stares = true);
    let refusal = house.planned(id(2), &scale(3, 5)).await.unwrap_err();
    assert_eq!(refusal.rule, "engine");
}

#[tokio::test(start_paused = true)]
async fn a_world_that_has_moved_on_before_the_first_step_is_planned_again() {
    let mut house = House::new().await;
    let order = house.order(id(1), &scale(3, 5)).await;
    house.plant.add("n4");
    house.desk.start(order.clone()).unwrap();
    match house.end().await {
        Word::Stale(whose, Err(refusal)) => {
            assert_eq!((whose, refusal.rule.as_str()), (id(1), "expected"));
        }
        word => panic!("{word:?}"),
    }
    assert!(house.plant.calls().is_empty(), "nothing was done");
    // As if the word were still on its way.
    house.desk.start(order).unwrap();
    assert!(timeout(Duration::from_secs(3_600), house.words.recv()).await.is_err(), "not started again");
    house.desk.release(&id(1));
    assert!(house.desk.view(&id(1)).is_none(), "it may be started anew");
    let order = house.order(id(1), &scale(4, 5)).await;
    house.desk.start(order).unwrap();
    assert_eq!(state(house.end().await).0, RunState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_cancelled_while_its_stale_word_is_on_its_way_never_begins() {
    let mut house = House::new().await;
    let order = house.order(id(1), &scale(3, 5)).await;
    house.plant.add("n4");
    house.desk.start(order).unwrap();
    assert!(matches!(house.end().await, Word::Stale(..)));
    assert!(house.desk.cancel(&id(1), "Revoked"));
    house.desk.release(&id(1));
    let order = house.order(id(1), &scale(4, 5)).await;
    house.desk.start(order).unwrap();
    assert_eq!(state(house.end().await), (RunState::Cancelled, "Revoked; nothing was changed".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn two_of_one_component_run_one_after_the_other_and_the_queue_is_seen() {
    let mut house = House::new().await;
    let (first, second) = (house.order(id(1), &scale(3, 5)).await, house.order(id(2), &scale(3, 7)).await);
    house.desk.start(first).unwrap();
    house.desk.start(second).unwrap();
    house.shown(&id(2), |view| view.queued_behind == 1).await;
    let summary = house.desk.view(&id(2)).unwrap().summary;
    assert_eq!(summary, "Approved; it waits behind 1 operation of the same component");
    assert_eq!(state(house.end().await).0, RunState::Succeeded);
    assert!(matches!(house.end().await, Word::Stale(..)), "the first one changed the world");
    assert_eq!(house.plant.nodes().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_cancelled_in_the_queue_never_begins() {
    let mut house = House::new().await;
    let (first, second) = (house.order(id(1), &scale(3, 5)).await, house.order(id(2), &scale(3, 7)).await);
    house.desk.start(first).unwrap();
    house.desk.start(second).unwrap();
    house.shown(&id(2), |view| view.queued_behind == 1).await;
    assert!(house.desk.cancel(&id(2), "Cancelled by its operator"));
    let (ended, why) = state(house.end().await);
    assert_eq!(
        (ended, why.as_str()),
        (RunState::Cancelled, "Cancelled by its operator; nothing was changed")
    );
    assert_eq!(state(house.end().await).0, RunState::Succeeded);
    assert_eq!(house.plant.nodes().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_cancelled_before_it_is_started_never_begins() {
    let mut house = House::new().await;
    let order = house.order(id(1), &scale(3, 5)).await;
    assert!(house.desk.cancel(&id(1), "Revoked"));
    house.desk.start(order).unwrap();
    assert_eq!(state(house.end().await).0, RunState::Cancelled);
    assert!(house.plant.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pause_begins_nothing() {
    let mut house = House::new().await;
    let order = house.order(id(1), &scale(3, 5)).await;
    house.paused.send_replace(pause());
    house.desk.start(order).unwrap();
    house.shown(&id(1), |view| view.summary.contains("paused by the customer")).await;
    assert!(timeout(Duration::from_secs(3_600), house.words.recv()).await.is_err());
    house.paused.send_replace(None);
    assert_eq!(state(house.end().await).0, RunState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn what_waited_begins_only_if_the_clerk_still_lets_it() {
    let mut house = House::new().await;
    let order = house.order(id(1), &scale(3, 5)).await;
    house.paused.send_replace(pause());
    house.desk.start(order).unwrap();
    assert!(timeout(Duration::from_secs(3_600), house.words.recv()).await.is_err());
    house.verdict.send_replace(Some(Err("Today's policy does not let it begin".to_owned())));
    house.paused.send_replace(None);
    let (ended, why) = state(house.end().await);
    assert_eq!(ended, RunState::Cancelled);
    assert_eq!(why, "Today's policy does not let it begin; nothing was changed");
    assert!(house.plant.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_clerk_that_does_not_answer_is_asked_again_and_nothing_begins_before() {
    let mut house = House::new().await;
    house.verdict.send_replace(None);
    let (first, second) = (house.order(id(1), &scale(3, 5)).await, house.order(id(2), &scale(3, 5)).await);
    house.desk.start(first).unwrap();
    assert!(timeout(Duration::from_secs(1_800), house.end()).await.is_err());
    assert!(house.plant.calls().is_empty());
    house.desk.cancel(&id(1), "Cancelled by its operator");
    assert_eq!(state(house.end().await).0, RunState::Cancelled);
    house.desk.start(second).unwrap();
    assert!(timeout(Duration::from_secs(1_800), house.end()).await.is_err());
    house.verdict.send_replace(Some(Ok(())));
    assert_eq!(state(house.end().await).0, RunState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_it_goes_on_and_tells_of_what_ended() {
    let mut house = House::new().await;
    let order = house.order(id(1), &scale(3, 5)).await;
    // The call is on its way when everything dies.
    house.store.dies(Some(Death { at: 2, kept: false }));
    house.desk.start(order.clone()).unwrap();
    house.store.died().await;
    let mut house = house.restart(History::Whole).await;
    assert_eq!(state(house.end().await).0, RunState::Succeeded);
    assert_eq!(house.plant.calls().len(), 1, "not called again");
    let mut house = house.restart(History::Whole).await;
    assert_eq!(state(house.end().await).0, RunState::Succeeded, "told again");
    house.desk.start(order).unwrap();
    assert_eq!(state(house.end().await).0, RunState::Succeeded, "known, so not run again");
    assert_eq!(house.plant.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_put_back_leaves_nobody_who_knows() {
    let mut house = House::new().await;
    let order = house.order(id(1), &scale(3, 5)).await;
    house.store.dies(Some(Death { at: 1, kept: true }));
    house.desk.start(order).unwrap();
    house.store.died().await;
    let calls = house.plant.calls().len();
    let mut house = house.restart(History::Restored).await;
    let (ended, why) = state(house.end().await);
    assert_eq!(ended, RunState::Indeterminate);
    assert!(why.contains("put back to an earlier state"), "{why}");
    assert_eq!(house.plant.calls().len(), calls);
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_is_gone_after_a_restart_but_never_what_runs() {
    let mut house = House::new().await;
    let order = house.order(id(1), &scale(3, 5)).await;
    house.desk.start(order).unwrap();
    house.shown(&id(1), |view| view.started_ms > 0).await;
    house.desk.forget(id(1));
    assert_eq!(state(house.end().await).0, RunState::Succeeded);
    assert!(house.desk.view(&id(1)).is_some(), "it ran");
    house.desk.forget(id(1));
    while house.desk.view(&id(1)).is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let house = house.restart(History::Whole).await;
    assert!(house.desk.view(&id(1)).is_none());
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_bound_are_taken() {
    let mut house = House::new().await;
    let order = house.order(id(0), &scale(3, 5)).await;
    house.paused.send_replace(pause());
    let taken =
        (1..=200).take_while(|number| house.desk.start(Order { id: id(*number), ..order.clone() }).is_ok());
    assert_eq!(taken.count(), crate::operations::desk::MOST_OPEN);
}
