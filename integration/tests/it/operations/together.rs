//! Two components brought to their releases by one operation: one after the other, and both back if the second fails.

use tunnel_certs::statement::request::operation::{ComponentUpgrade, Upgrade, What};
use tunnel_integration::{generated::admin::v1::Node, harness::operation::steps};
use tunnel_protos::{operations::v1::StepState, v1::RequestState};

use super::{Lab, sentence};

/// `query`, then `storage`, both from 1.0.0.
fn both(lab: &Lab, query: &str, storage: &str) -> What {
    let one = |component: &str, name: &str| ComponentUpgrade {
        component: component.parse().unwrap(),
        expected_release: "1.0.0".parse().unwrap(),
        release: lab.release(component, name, 2),
    };
    let components = vec![one("query", query), one("storage", storage)];
    What::Upgrade(Upgrade { components, at_once: 1, soak: None, allow_downgrade: false })
}

/// Release and restarts of each node, those of `query` first.
async fn nodes(lab: &Lab) -> Vec<(String, u32)> {
    let mut nodes = lab.status().await.nodes;
    nodes.sort_by_key(|node| (node.component.clone(), node.name.clone()));
    let one = |Node { release, restarts, .. }: Node| (release, restarts);
    nodes.into_iter().map(one).collect()
}

#[tokio::test]
async fn the_second_component_is_begun_once_the_first_is_well() {
    let lab = Lab::start().await;
    let (submitted, outcome) = lab.run(both(&lab, "1.1.0", "1.2.0")).await;
    assert_eq!(outcome.state, RequestState::Succeeded, "{outcome:?}");
    let operation = lab.operation(&submitted).await;
    let plan = operation.plan.clone().unwrap();
    assert_eq!(plan.title, "Upgrade query from 1.0.0 to 1.1.0, then storage from 1.0.0 to 1.2.0");
    let objects: Vec<_> = plan.steps.iter().map(|step| step.object.as_str()).collect();
    assert_eq!(objects, ["query-0", "storage-0", "storage-1", "storage-2"]);
    assert_eq!(steps(&operation), [StepState::Done; 4]);
    let gated = (1..=4).flat_map(|step| [format!("step {step}"), format!("gate {step} held")]);
    assert_eq!(lab.walked(&submitted), gated.collect::<Vec<_>>());
    let (query, storage) = (("1.1.0".to_owned(), 1), ("1.2.0".to_owned(), 1));
    assert_eq!(nodes(&lab).await, [query, storage.clone(), storage.clone(), storage]);
}

#[tokio::test]
async fn both_are_taken_back_if_the_second_fails() {
    let lab = Lab::start().await;
    let (submitted, outcome) = lab.run(both(&lab, "1.1.0", "1.2.0-broken")).await;
    assert_eq!(outcome.state, RequestState::RolledBack, "{outcome:?}");
    sentence(&outcome.reason, &[]);
    let walked = lab.walked(&submitted);
    let way = [
        "step 1",
        "gate 1 held",
        "step 2",
        "gate 2 did not hold",
        "step 2 back",
        "gate 2 held",
        "step 1 back",
        "gate 1 held",
    ];
    assert_eq!(walked, way);
    let states = [StepState::RolledBack, StepState::RolledBack, StepState::Skipped, StepState::Skipped];
    assert_eq!(steps(&lab.operation(&submitted).await), states);
    let was = |restarts| ("1.0.0".to_owned(), restarts);
    assert_eq!(nodes(&lab).await, [was(2), was(2), was(0), was(0)]);
    assert!(lab.status().await.healthy);
}

#[tokio::test]
async fn nothing_is_begun_if_the_second_release_is_refused() {
    let lab = Lab::start().await;
    let What::Upgrade(mut asked) = both(&lab, "1.1.0", "1.2.0") else { panic!("no upgrade") };
    asked.components[1].release = lab.release("query", "1.2.0", 2);
    let (submitted, outcome) = lab.run(What::Upgrade(asked)).await;
    assert_eq!(outcome.state, RequestState::Denied, "{outcome:?}");
    assert!(lab.walked(&submitted).is_empty());
    assert!(nodes(&lab).await.iter().all(|node| *node == ("1.0.0".to_owned(), 0)));
}
