use std::{future::Future, sync::mpsc};

use tokio::time::{Instant, interval};
use tunnel_protos::{TargetName, v1::Health};
use tunnel_runtime::chain;

use super::*;
use crate::engine::{
    profile::testing::answer,
    testing::{Says, Scripted},
};

/// The most that others may wait, in milliseconds.
const GAP: u128 = 200;

/// What comes of `work`, and for how long another task of its thread had to wait meanwhile, at most.
async fn beside<T>(work: impl Future<Output = T>) -> (T, u128) {
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    let mut ticks = interval(Duration::from_millis(10));
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return (done, longest.max(last.elapsed()).as_millis()),
            _ = ticks.tick() => (longest, last) = (longest.max(last.elapsed()), Instant::now()),
        }
    }
}

/// As many nodes as are looked at, beside as many values as expressions look at.
fn hostile() -> Scripted {
    let parts = vec![r#"{"name":"other"}"#; 2_200].join(",");
    let status = answer("Status", &format!(r#"{{"healthy":true,"parts":[{parts}]}}"#));
    let node = |n| format!(r#"{{"name":"n-{n}","state":"NODE_STATE_READY"}}"#);
    let nodes: Vec<_> = (0..256).map(node).collect();
    let nodes = answer("Nodes", &format!(r#"{{"nodes":[{}]}}"#, nodes.join(",")));
    Scripted::start([("Status", Says::one(&status)), ("Nodes", Says::one(&nodes))])
}

#[tokio::test]
async fn an_answer_that_is_nothing_but_work_holds_up_nobody_else() {
    let shop = hostile();
    let engine = shop.engine();
    let storage = &engine.profile().operable().components()[&"storage".parse().unwrap()];
    let (started, mut gaps) = (Instant::now(), Vec::new());
    // A machine that is busy with something else may hold up some of them, but not all.
    while gaps.len() < 3 && !gaps.iter().any(|gap| *gap <= GAP) {
        let (looked, gap) = beside(engine.look(storage)).await;
        let told = chain(&looked.unwrap_err()).to_string();
        assert!(told.contains("too many steps"), "{told}");
        assert!(started.elapsed() < Duration::from_secs(30));
        gaps.push(gap);
    }
    assert!(gaps.iter().any(|gap| *gap <= GAP), "{gaps:?}");
}

#[tokio::test]
async fn a_health_answer_is_judged_beside_others() {
    let shop = hostile();
    let (engine, target) = (shop.engine(), TargetName::default_target());
    let mut gaps = Vec::new();
    while gaps.len() < 3 && !gaps.iter().any(|gap| *gap <= GAP) {
        let (health, gap) = beside(engine.probe(&target)).await;
        assert_eq!(health, Health::Serving);
        gaps.push(gap);
    }
    assert!(gaps.iter().any(|gap| *gap <= GAP), "{gaps:?}");
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_keeps_its_turn_until_it_is_done() {
    let engine = Scripted::start([]).engine();
    let soon = Duration::from_millis(20);
    let mut holds = Vec::new();
    for _ in 0..AT_A_TIME {
        let (release, held) = mpsc::channel::<()>();
        assert_eq!(engine.aside(move || held.recv().is_ok(), soon).await, Err(EvaluationError::Slow));
        holds.push(release);
    }
    assert_eq!(engine.aside(|| 1, soon).await, Err(EvaluationError::Slow), "all turns are taken");
    holds.pop();
    assert_eq!(engine.aside(|| 1, Duration::from_secs(30)).await, Ok(1));
}
