use std::sync::mpsc;

use tunnel_protos::{TargetName, v1::Health};
use tunnel_runtime::chain;

use super::*;
use crate::engine::{
    profile::testing::answer,
    testing::{GAP, Says, Scripted, beside},
};

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
    let (started, mut gaps) = (tokio::time::Instant::now(), Vec::new());
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

/// Two million nodes in two bytes each: a second of decoding, and hundreds of MiB.
#[tokio::test]
async fn an_answer_of_millions_of_messages_is_refused_before_it_is_one() {
    let says = || Says::Messages(vec![[0x0a, 0x00].repeat(2_000_000)]);
    let nodes = Scripted::start([("Status", Says::one(&answer("Status", "{}"))), ("Nodes", says())]);
    let engine = nodes.engine();
    let storage = &engine.profile().operable().components()[&"storage".parse().unwrap()];
    let mut gaps = Vec::new();
    while gaps.len() < 3 && !gaps.iter().any(|gap| *gap <= GAP) {
        let (looked, gap) = beside(engine.look(storage)).await;
        let told = chain(&looked.unwrap_err()).to_string();
        assert!(told.ends_with("the answer has more than 50000 fields"), "{told}");
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
