//! Power cuts: the client is killed (-9) at each point of a run. Afterwards the run goes on or is taken back by itself,
//! and nothing was done twice. A point that no kill came to fails the test.

use std::{ops::RangeInclusive, time::Duration};

use tunnel_certs::statement::request::operation::What;
use tunnel_integration::harness::{
    PATIENCE,
    operation::{OVER, configure, debug, on_approval, restart},
    operator::Submitted,
    program::Program,
    wait::until,
};
use tunnel_protos::{approvers::RequestView, operations::v1::StepState, v1::RequestState};

use super::Lab;
use crate::children::Children;

/// A lab whose client is a program of its own.
struct Victim {
    lab: Lab,
    client: Program,
    _broker: Program,
}

impl Victim {
    async fn start() -> Self {
        let (mut plan, key, keys) = Lab::plan().await;
        plan.engine.startup = Duration::from_millis(150);
        // Each call lasts for long enough to be seen, its effect there already.
        plan.engine.pace = Duration::from_millis(250);
        // Kills come seconds apart here; pauses between dials grow until a tunnel was well for a minute.
        "timeouts: { longestPause: 1s }\n".clone_into(&mut plan.client.more);
        let Children { world, broker, client } = Children::start(plan).await;
        Self { lab: Lab::of(world, key, keys), client, _broker: broker }
    }

    async fn kill(&mut self) {
        self.client.kill().await.unwrap();
        let settings = &self.lab.world.client_settings;
        self.client = settings.spawn(&[]).unwrap();
        settings.attached(&mut self.client).await.unwrap();
    }

    /// Kills it as soon as a run got `far`, which fails if it is over before.
    async fn kill_at(&mut self, submitted: &Submitted, far: u32) {
        let (approver, id) = (self.lab.world.approver(), submitted.request.id.to_string());
        let hit = until("the run gets so far", PATIENCE, || async {
            let view = approver.show(&id).await.map_err(|status| status.to_string())?;
            match how_far(&view) {
                _ if OVER.contains(&view.state()) => Ok(false),
                reached if reached >= far => Ok(true),
                reached => Err(format!("{reached} of {far}")),
            }
        })
        .await
        .unwrap();
        assert!(hit, "the run was over before it got to {far}");
        self.kill().await;
    }

    /// Runs what `ask` gives for each of these points and is killed there, and once more after an end. `check` looks at what
    /// is there after each, by its number from 1.
    async fn each_cut(
        &mut self,
        points: RangeInclusive<u32>,
        ask: impl Fn(&Lab, u32) -> What,
        expected: RequestState,
        check: impl AsyncFn(&Lab, &Submitted, u32),
    ) {
        let rounds = points.clone().count() + 1;
        for (round, far) in (1..).zip(points.map(Some).chain([None])) {
            let submitted = self.begin(on_approval(ask(&self.lab, round))).await;
            match far {
                Some(far) => self.kill_at(&submitted, far).await,
                None => {
                    self.end(&submitted).await;
                    self.kill().await;
                }
            }
            assert_eq!(self.end(&submitted).await, expected, "round {round} of {rounds}, killed at {far:?}");
            check(&self.lab, &submitted, round).await;
        }
    }

    /// Approved by Alice as soon as it is planned.
    async fn begin(&self, asked: tunnel_certs::statement::request::Operation) -> Submitted {
        let submitted = self.lab.ask(asked).await;
        let view = self
            .lab
            .view(&submitted, "it is decided or waits", |view| {
                view.state() != RequestState::Pending || super::plan_digest(view).is_some()
            })
            .await;
        if view.state() == RequestState::Pending {
            self.lab.approve(&submitted, &view).await.unwrap();
        }
        submitted
    }

    /// The end of it, as the customer sees it.
    async fn end(&self, submitted: &Submitted) -> RequestState {
        self.lab.view(submitted, "it ends", |view| OVER.contains(&view.state())).await.state()
    }
}

/// A number that rises with each state that a step comes into.
fn how_far(view: &RequestView) -> u32 {
    let steps = view.running.iter().flat_map(|running| &running.steps);
    let far = |state| match state {
        StepState::Unspecified | StepState::Waiting | StepState::Skipped => 0,
        StepState::Calling => 1,
        StepState::Soaking => 2,
        StepState::Done | StepState::Failed => 3,
        StepState::RollingBack => 4,
        StepState::RolledBack => 5,
    };
    steps.map(|step| far(step.state())).sum()
}

/// States of the three steps of a run before its end, each of which can be the last that a process sees.
const THREE_STEPS: RangeInclusive<u32> = 0..=8;
/// The same of one step with a gate.
const ONE_STEP: RangeInclusive<u32> = 0..=2;
/// The same of one without.
const NO_GATE: RangeInclusive<u32> = 0..=1;
/// Of a first step whose gate fails: waiting, calling, soaking, (failed,) rolling back.
const TAKEN_BACK: RangeInclusive<u32> = 0..=4;

#[tokio::test]
async fn a_restart_killed_at_each_point_restarts_each_node_once() {
    let mut victim = Victim::start().await;
    let ask = |_: &Lab, _| restart("storage", &[], 3).unwrap();
    let once = async |lab: &Lab, _: &Submitted, round| {
        let restarts: Vec<_> = lab.storage().await.into_iter().map(|(_, restarts)| restarts).collect();
        assert_eq!(restarts, [round; 3], "round {round}");
    };
    victim.each_cut(THREE_STEPS, ask, RequestState::Succeeded, once).await;
}

#[tokio::test]
async fn an_upgrade_killed_at_each_point_brings_each_node_there_once() {
    let mut victim = Victim::start().await;
    let release = |round: u32| format!("1.{round}.0");
    let ask = |lab: &Lab, round: u32| lab.upgrade(&release(round - 1), &release(round), u64::from(round) + 1);
    let once = async |lab: &Lab, _: &Submitted, round| {
        assert_eq!(lab.storage().await, vec![(release(round), round); 3], "round {round}");
    };
    victim.each_cut(THREE_STEPS, ask, RequestState::Succeeded, once).await;
}

#[tokio::test]
async fn a_failing_upgrade_killed_at_each_point_is_taken_back_once() {
    let mut victim = Victim::start().await;
    let ask = |lab: &Lab, round| lab.upgrade("1.0.0", "1.1.0-broken", u64::from(round) + 1);
    let once = async |lab: &Lab, _: &Submitted, round| {
        let [first, rest @ ..] = &lab.storage().await[..] else { panic!("no nodes") };
        // There and back each time, and the others never.
        assert_eq!(*first, ("1.0.0".to_owned(), 2 * round), "round {round}");
        assert!(rest.iter().all(|node| *node == ("1.0.0".to_owned(), 0)), "round {round}: {rest:?}");
    };
    victim.each_cut(TAKEN_BACK, ask, RequestState::RolledBack, once).await;
}

#[tokio::test]
async fn a_change_of_a_setting_killed_at_each_point_is_made() {
    let mut victim = Victim::start().await;
    let levels = ["info", "debug", "warn", "error", "info"];
    let level = |round: u32| levels[round as usize];
    let ask = |_: &Lab, round| configure("storage", "logLevel", level(round - 1), level(round)).unwrap();
    let made = async |lab: &Lab, _: &Submitted, round| {
        assert_eq!(lab.status().await.settings["logLevel"], level(round), "round {round}");
    };
    victim.each_cut(ONE_STEP, ask, RequestState::Succeeded, made).await;
}

#[tokio::test]
async fn a_bundle_killed_at_each_point_is_made_once() {
    let mut victim = Victim::start().await;
    let ask = |_: &Lab, _| debug(&["engine"]).unwrap();
    let once = async |lab: &Lab, submitted: &Submitted, round| {
        let bundle = lab.bundle(submitted).await;
        assert_eq!(bundle.files.len(), 2, "round {round}: {bundle:?}");
        let (records, id) = (lab.world.client_settings.records().unwrap(), submitted.request.id.to_string());
        let made = records.iter().filter(|record| record.kind == "bundle" && record.text("request") == id);
        let made: Vec<_> = made.map(|record| record.text("bundle").to_owned()).collect();
        assert_eq!(made, [data_encoding::HEXLOWER.encode(&bundle.digest)], "round {round}");
    };
    victim.each_cut(NO_GATE, ask, RequestState::Succeeded, once).await;
}

#[tokio::test]
async fn what_was_not_planned_or_not_answered_yet_outlives_a_kill() {
    let mut victim = Victim::start().await;
    let submitted = victim.lab.ask(on_approval(victim.lab.upgrade("1.0.0", "1.1.0", 2))).await;
    victim.kill().await;
    let view = victim.lab.planned(&submitted).await;
    victim.kill().await;
    let again = victim.lab.planned(&submitted).await;
    assert_eq!(super::plan_digest(&again), super::plan_digest(&view), "the plan that was shown stays");
    victim.lab.approve(&submitted, &again).await.unwrap();
    assert_eq!(victim.end(&submitted).await, RequestState::Succeeded);
}
