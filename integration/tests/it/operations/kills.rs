//! Power cuts: the client is killed (-9) at each point of a run. Afterwards the run goes on or is taken back by itself,
//! and nothing was done twice.

use std::time::Duration;

use tunnel_integration::harness::{
    PATIENCE,
    operation::{OVER, on_approval, restart},
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

    /// Kills it as soon as a run got `far`; false if it was over before.
    async fn kill_at(&mut self, submitted: &Submitted, far: u32) -> bool {
        let (approver, id) = (self.lab.world.approver(), submitted.request.id.to_string());
        let reached = until("the run gets so far", PATIENCE, || async {
            let view = approver.show(&id).await.map_err(|status| status.to_string())?;
            match how_far(&view) {
                _ if OVER.contains(&view.state()) => Ok(false),
                reached if reached >= far => Ok(true),
                reached => Err(format!("{reached} of {far}")),
            }
        })
        .await
        .unwrap();
        self.kill().await;
        reached
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

/// States of the three steps of a run, each of which can be the last that a process sees.
const POINTS: std::ops::RangeInclusive<u32> = 0..=9;

#[tokio::test]
async fn a_restart_killed_at_each_point_restarts_each_node_once() {
    let mut victim = Victim::start().await;
    for (round, far) in (1..).zip(POINTS) {
        let submitted = victim.begin(on_approval(restart("storage", &[], 3).unwrap())).await;
        let hit = victim.kill_at(&submitted, far).await;
        assert!(hit || far == 9, "the run was over before it got to {far}");
        let state = victim.end(&submitted).await;
        assert_eq!(state, RequestState::Succeeded, "killed at {far}");
        let restarts: Vec<_> = victim.lab.storage().await.into_iter().map(|(_, restarts)| restarts).collect();
        assert_eq!(restarts, [round; 3], "killed at {far}");
    }
}

#[tokio::test]
async fn an_upgrade_killed_at_each_point_brings_each_node_there_once() {
    let mut victim = Victim::start().await;
    let mut before = "1.0.0".to_owned();
    for (round, far) in (1..).zip(POINTS) {
        let release = format!("1.{round}.0");
        let what = victim.lab.upgrade(&before, &release, u64::from(round) + 1);
        let submitted = victim.begin(on_approval(what)).await;
        let hit = victim.kill_at(&submitted, far).await;
        assert!(hit || far == 9, "the run was over before it got to {far}");
        let state = victim.end(&submitted).await;
        assert_eq!(state, RequestState::Succeeded, "killed at {far}");
        assert_eq!(victim.lab.storage().await, vec![(release.clone(), round); 3], "killed at {far}");
        before = release;
    }
}

#[tokio::test]
async fn a_failing_upgrade_killed_at_each_point_is_taken_back_once() {
    let mut victim = Victim::start().await;
    // Waiting, calling, soaking, failed, rolling back, rolled back: of the first node only.
    for (round, far) in (1..).zip([0, 1, 2, 4, 5]) {
        let what = victim.lab.upgrade("1.0.0", "1.1.0-broken", u64::from(round) + 1);
        let submitted = victim.begin(on_approval(what)).await;
        victim.kill_at(&submitted, far).await;
        let state = victim.end(&submitted).await;
        assert_eq!(state, RequestState::RolledBack, "killed at {far}");
        let [first, rest @ ..] = &victim.lab.storage().await[..] else { panic!("no nodes") };
        // There and back each time, and the others never.
        assert_eq!(*first, ("1.0.0".to_owned(), 2 * round), "killed at {far}");
        assert!(rest.iter().all(|node| *node == ("1.0.0".to_owned(), 0)), "killed at {far}: {rest:?}");
    }
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
