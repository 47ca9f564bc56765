//! Random turns of operators, people, time and a failing disk, against a small reference.
//!
//! After each turn: what the client says is what the reference says; what it told, opened or acknowledged is on disk.

pub(super) mod disk;
mod reference;
pub(super) mod stage;

use proptest::prelude::*;

use crate::operations::RunState;

use self::{
    disk::Fault,
    reference::Method,
    stage::{Stage, Turn},
};

fn turn() -> impl Strategy<Value = Turn> {
    let method = prop_oneof![3 => Just(Method::Auto), 3 => Just(Method::Manual), 1 => Just(Method::Unknown)];
    let method_of_tasks =
        prop_oneof![3 => Just(Method::Auto), 3 => Just(Method::Manual), 1 => Just(Method::Unknown)];
    let run_state = prop_oneof![
        Just(RunState::Running),
        Just(RunState::Succeeded),
        Just(RunState::Failed),
        Just(RunState::RolledBack),
        Just(RunState::Cancelled),
        Just(RunState::Indeterminate),
    ];
    let fault = prop_oneof![Just(Fault::Fail), Just(Fault::FailDone), Just(Fault::Die), Just(Fault::DieDone)];
    let signed = || prop::option::of(0..4_u8);
    prop_oneof![
        8 => (0..2_usize, method, prop::bool::weighted(0.2))
            .prop_map(|(operator, method, held)| Turn::Ask { operator, method, held }),
        4 => (0..2_usize, method_of_tasks, prop::bool::weighted(0.2))
            .prop_map(|(operator, method, held)| Turn::Operate { operator, method, held }),
        6 => WHICH.prop_map(Turn::Plan),
        5 => WHICH.prop_map(Turn::Begin),
        2 => WHICH.prop_map(Turn::Stale),
        4 => (WHICH, run_state).prop_map(|(which, state)| Turn::Ran(which, state)),
        2 => WHICH.prop_map(Turn::Stop),
        2 => WHICH.prop_map(Turn::Again),
        1 => WHICH.prop_map(Turn::Twin),
        1 => WHICH.prop_map(Turn::Reseal),
        6 => (WHICH, signed()).prop_map(|(which, signed)| Turn::Approve(which, signed)),
        3 => WHICH.prop_map(Turn::Deny),
        2 => (WHICH, 0..4_usize).prop_map(|(which, by)| Turn::Withdraw(which, by)),
        6 => (WHICH, 0..4_usize).prop_map(|(which, by)| Turn::Certify(which, by)),
        2 => WHICH.prop_map(Turn::Revoke),
        2 => Just(Turn::Pause),
        3 => signed().prop_map(Turn::Resume),
        1 => (0..2_usize).prop_map(Turn::DenyOperator),
        2 => (0..2_usize).prop_map(Turn::AllowOperator),
        3 => prop_oneof![Just(1), Just(6), Just(31), Just(121)].prop_map(Turn::Pass),
        1 => Just(Turn::SetBack),
        2 => any::<bool>().prop_map(Turn::Policy),
        6 => (0..5_usize, fault).prop_map(|(steps, fault)| Turn::Break(steps, fault)),
        1 => any::<bool>().prop_map(Turn::Full),
        2 => Just(Turn::Kill),
    ]
}

const WHICH: std::ops::Range<usize> = 0..32;

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_client_is_where_the_reference_is(turns in prop::collection::vec(turn(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(play(turns));
    }
}

async fn play(turns: impl IntoIterator<Item = Turn>) {
    let mut stage = Stage::new().await;
    for turn in turns {
        stage.play(turn).await;
    }
}

#[tokio::test(start_paused = true)]
async fn orders_are_stored_though_the_answer_to_their_first_write_was_lost() {
    play([Turn::Break(0, Fault::FailDone), Turn::DenyOperator(0), Turn::Pause, Turn::Kill]).await;
}

#[tokio::test(start_paused = true)]
async fn an_operation_goes_its_way_through_each_fault() {
    let asks = Turn::Operate { operator: 0, method: Method::Manual, held: false };
    let way =
        [Turn::Plan(0), Turn::Approve(0, Some(1)), Turn::Begin(0), Turn::Stale(0), Turn::Approve(0, None)];
    let rest = [Turn::Begin(0), Turn::Certify(0, 0), Turn::Ran(0, RunState::Succeeded), Turn::Revoke(0)];
    let way: Vec<_> = [asks].into_iter().chain(way).chain(rest).collect();
    for broken in 0..way.len() {
        for fault in [Fault::Fail, Fault::FailDone, Fault::Die, Fault::DieDone] {
            let mut turns = way.clone();
            turns.insert(broken, Turn::Break(0, fault));
            // What was lost is said, or done, once more.
            turns.insert(broken + 2, way[broken]);
            if broken == 0 {
                turns[2] = Turn::Again(0);
            }
            play(turns).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_dies_between_two_turns_is_started_again_before_the_second() {
    let dies = [Turn::Break(3, Fault::Die), Turn::Full(true), Turn::Policy(true), Turn::DenyOperator(0)];
    let asks = [Turn::Policy(false), Turn::Ask { operator: 0, method: Method::Manual, held: false }];
    play(dies.into_iter().chain(asks)).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_ran_out_before_it_is_found_in_the_store_is_over() {
    let asks = Turn::Ask { operator: 0, method: Method::Auto, held: false };
    play([Turn::Break(0, Fault::FailDone), asks, Turn::Pass(31), Turn::Again(0)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_found_in_the_store_is_closed_if_its_operator_was_denied_meanwhile() {
    let asks = Turn::Ask { operator: 0, method: Method::Auto, held: false };
    play([Turn::Break(0, Fault::FailDone), asks, Turn::DenyOperator(0), Turn::Again(0)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_stored_though_its_writer_gave_up_is_taken_as_it_was_decided() {
    let asks = |method| Turn::Ask { operator: 0, method, held: false };
    for method in [Method::Auto, Method::Manual, Method::Unknown] {
        play([Turn::Break(0, Fault::FailDone), asks(method), Turn::Again(0), Turn::Kill, Turn::Again(0)])
            .await;
    }
}

/// A few seconds of a debug build on a busy machine; PROPTEST_CASES raises it when the rules of this room change.
#[expect(clippy::disallowed_methods, reason = "how hard a test tries is nothing that a program is told")]
fn cases() -> u32 {
    const FEW: u32 = 48;
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(FEW)
}
