use super::*;

fn json(step: &Step) -> serde_json::Value {
    serde_json::from_str(&step.request_json).unwrap()
}

fn undone(step: &Step) -> serde_json::Value {
    serde_json::from_str(&step.undo.as_ref().unwrap().request_json).unwrap()
}

#[test]
fn scaling_is_one_call_with_its_way_back() {
    let plan = World::new().plan(&scale(3, 5)).unwrap();
    let [step] = &plan.steps[..] else { panic!("{plan:?}") };
    assert_eq!(plan.title, "Scale storage from 3 to 5 replicas");
    assert_eq!((plan.operation.as_str(), plan.executor.as_str(), plan.version), ("scale", "engine", 1));
    assert_eq!((plan.request_digest.as_slice(), plan.made_ms), (&[7; 32][..], NOW.0));
    assert_eq!((step.method.as_str(), step.target.as_str()), ("shop.v1.Admin/Scale", "default, b"));
    assert_eq!(json(step), serde_json::json!({"part": "storage", "replicas": 5}));
    assert_eq!(undone(step), serde_json::json!({"part": "storage", "replicas": 3}));
    let gate = step.gate.as_ref().unwrap();
    assert_eq!((gate.soak_ms, gate.deadline_ms), (2_000, 60_000));
    assert_eq!((plan.diff[0].old.as_str(), plan.diff[0].new.as_str()), ("3", "5"));
    assert_eq!(plan.preconditions[0].what, "replicas of storage");
    assert!(plan.rollback.as_ref().unwrap().automatic);
    assert_eq!(plan.risk(), RiskClass::Medium);
}

#[test]
fn to_less_than_a_majority_is_a_high_risk() {
    assert_eq!(World::new().plan(&scale(3, 1)).unwrap().risk(), RiskClass::High);
}

#[test]
fn the_same_world_makes_the_same_plan() {
    let world = World::new();
    for what in [
        scale(3, 5),
        restart(&["storage-1"], 3),
        What::Upgrade(world.upgrade(2)),
        configure("max-connections", "10", "20"),
    ] {
        let (one, other) = (world.plan(&what).unwrap(), world.plan(&what).unwrap());
        assert!(is_same(&one, &Plan { made_ms: 5, ..other.clone() }));
        assert!(!is_same(&one, &Plan { risk_reason: String::new(), ..other }));
    }
}

#[test]
fn an_upgrade_goes_from_node_to_node_and_names_its_release() {
    let world = World::new();
    let plan = world.plan(&What::Upgrade(world.upgrade(2))).unwrap();
    assert_eq!(plan.title, "Upgrade storage from 1.0 to 2.0");
    let objects: Vec<_> = plan.steps.iter().map(|step| step.object.as_str()).collect();
    assert_eq!(objects, ["storage-0", "storage-1", "storage-2"]);
    assert_eq!(
        json(&plan.steps[1]),
        serde_json::json!({"part": "storage", "release": "2.0", "nodes": ["storage-1"]})
    );
    assert_eq!(
        undone(&plan.steps[1]),
        serde_json::json!({"part": "storage", "release": "1.0", "nodes": ["storage-1"]})
    );
    assert_eq!(plan.diff.len(), 4, "the component and each node");
    assert_eq!((plan.releases[0].release_seq, plan.releases[0].product.as_str()), (2, "shop"));
    assert_eq!(plan.rollback.as_ref().unwrap().to, "Release 1.0 of storage");
    assert_eq!(plan.risk(), RiskClass::Medium);
    let precondition =
        |what: &str| plan.preconditions.iter().find(|one| one.what == what).map(|one| one.value.as_str());
    assert_eq!(precondition("release of storage"), Some("1.0"));
    assert_eq!(precondition("nodes of storage"), Some("storage-0, storage-1, storage-2"));
}

#[test]
fn an_upgrade_soaks_as_long_as_asked_and_leaves_time_for_it() {
    let world = World::new();
    let asked = Upgrade { soak: Some(Duration::from_secs(600)), ..world.upgrade(2) };
    let plan = world.plan(&What::Upgrade(asked)).unwrap();
    let gate = plan.steps[0].gate.as_ref().unwrap();
    assert_eq!((gate.soak_ms, gate.deadline_ms), (600_000, 1_200_000));
}

#[test]
fn nodes_that_have_the_release_already_are_left_alone() {
    let mut world = World::new();
    world.storage().nodes[1].release = Some("2.0".to_owned());
    let plan = world.plan(&What::Upgrade(world.upgrade(2))).unwrap();
    let objects: Vec<_> = plan.steps.iter().map(|step| step.object.as_str()).collect();
    assert_eq!(objects, ["storage-0", "storage-2"]);
}

#[tokio::test]
async fn a_downgrade_is_a_high_risk_and_says_so() {
    let mut world = World::new();
    let seen = world.plan(&What::Upgrade(world.upgrade(5))).unwrap().releases;
    let folder = tempfile::tempdir().unwrap();
    let releases = crate::operations::releases::Releases::open(folder.path()).unwrap();
    releases.raise(&seen).await.unwrap();
    world.known = releases.known();
    let asked = Upgrade { allow_downgrade: true, ..world.upgrade(4) };
    let plan = world.plan(&What::Upgrade(asked)).unwrap();
    assert!(plan.releases[0].downgrade);
    assert_eq!(plan.risk(), RiskClass::High);
}

#[test]
fn a_restart_calls_the_companion_of_each_node_and_cannot_go_back() {
    let plan = World::new().plan(&restart(&["storage-1"], 3)).unwrap();
    let [step] = &plan.steps[..] else { panic!("{plan:?}") };
    assert_eq!((step.object.as_str(), step.target.as_str()), ("storage-1", "sup-a"));
    assert_eq!(step.method, "shop.v1.Supervisor/Restart");
    assert!(step.undo.is_none() && !plan.rollback.as_ref().unwrap().automatic);
    assert!(plan.diff.is_empty());
}

#[test]
fn a_node_that_is_not_ready_comes_first_and_is_remembered() {
    let mut world = World::new();
    world.profile = testing::parse(&testing::PROFILE.replace(", via: { storage-1: sup-a }", "").replace(
        "shop.v1.Supervisor/Restart, per: node",
        "shop.v1.Admin/Restart, request: { part: storage, node: \"${node}\" }, per: node",
    ))
    .unwrap();
    world.storage().nodes[2].ready = false;
    let plan = world.plan(&restart(&[], 3)).unwrap();
    let objects: Vec<_> = plan.steps.iter().map(|step| step.object.as_str()).collect();
    assert_eq!(objects, ["storage-2", "storage-0", "storage-1"]);
    assert!(
        plan.preconditions.iter().any(|one| one.what == "readiness of storage-2" && one.value == "not ready")
    );
}

#[test]
fn one_node_alone_is_a_high_risk() {
    let mut world = World::new();
    world.storage().nodes = vec![node("storage-1")];
    world.storage().replicas = Some(1);
    assert_eq!(world.plan(&restart(&["storage-1"], 1)).unwrap().risk(), RiskClass::High);
}

#[test]
fn settings_go_forth_and_back_by_one_call() {
    let plan = World::new().plan(&configure("max-connections", "10", "20")).unwrap();
    let [step] = &plan.steps[..] else { panic!("{plan:?}") };
    assert_eq!(json(step), serde_json::json!({"settings": {"max-connections": "20"}}));
    assert_eq!(undone(step), serde_json::json!({"settings": {"max-connections": "10"}}));
    assert_eq!(plan.diff[0].field, "setting max-connections");
    assert_eq!(plan.preconditions[0].what, "setting max-connections of storage");
}

#[test]
fn a_task_runs_on_the_targets_asked_for_with_its_defaults() {
    let world = World::new();
    let plan = world.plan(&task("compact", &["b"], &[("who", "me")])).unwrap();
    let [step] = &plan.steps[..] else { panic!("{plan:?}") };
    assert_eq!(
        (step.target.as_str(), plan.task.as_str(), plan.component.as_str()),
        ("b", "compact", "storage")
    );
    assert_eq!(json(step), serde_json::json!({"kind": "KIND_COMPACT", "note": "by me"}));
    assert_eq!((plan.risk(), step.gate.is_none(), step.timeout_ms), (RiskClass::Low, true, 600_000));
}

#[test]
fn a_task_walks_the_targets_of_its_component_by_its_gate_and_takes_those_that_are_not_ready_first() {
    let mut world = World::walking();
    world.storage().nodes[2].ready = false;
    let plan = world.plan(&task("compact", &[], &[("who", "me")])).unwrap();
    let targets: Vec<_> = plan.steps.iter().map(|step| step.target.as_str()).collect();
    assert_eq!(targets, ["storage-2", "storage-0", "storage-1"]);
    for step in &plan.steps {
        let gate = step.gate.as_ref().expect("a gate after each target");
        assert_eq!((gate.soak_ms, gate.deadline_ms), (2_000, 60_000));
    }
    let conditions: Vec<_> = plan.preconditions.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(conditions, ["nodes of storage", "readiness of storage-2"]);
}

#[test]
fn a_bundle_lists_every_field_that_would_leave() {
    let plan = World::new().plan(&collect(&["info"], &[])).unwrap();
    let leaves = &plan.leaves[0];
    assert_eq!((leaves.collector.as_str(), leaves.method.as_str()), ("info", "shop.v1.Admin/Debug"));
    assert!(leaves.fields.contains(&"accounts.name".to_owned()));
    assert!(!leaves.fields.iter().any(|field| field.contains("hash") || field.contains("recent")));
    assert_eq!(leaves.size_cap, 64 * 1024);
    assert_eq!((plan.risk(), plan.steps.len()), (RiskClass::Low, 1));
    assert!(plan.steps[0].method.is_empty(), "this client does it by itself");
}

#[test]
fn a_collectors_request_is_planned_and_its_method_tells_the_risk() {
    let mut world = World::new();
    let asks = testing::PROFILE
        .replace("shop.v1.Admin/Nodes, shop.v1.Admin/Debug", "shop.v1.Admin/Nodes")
        .replace("Admin/Debug, allow", "Admin/Debug, request: { topic: \"of ${target}\" }, allow");
    world.profile = testing::parse(&asks).unwrap();
    let plan = world.plan(&collect(&["info"], &["b"])).unwrap();
    assert_eq!(plan.leaves[0].request_json, r#"{"topic":"of b"}"#);
    assert_eq!(plan.risk(), RiskClass::Medium);
    assert!(plan.risk_reason.contains("does not list shop.v1.Admin/Debug"), "{}", plan.risk_reason);
}

#[test]
fn a_target_that_is_not_well_is_told_in_the_plan() {
    let mut world = World::new();
    let unwell = ("b".to_owned(), "The target b is not well".to_owned());
    world.found.unwell = [unwell].into();
    let plan = world.plan(&scale(3, 5)).unwrap();
    let told = Precondition { what: "health of b".to_owned(), value: "not well".to_owned() };
    assert_eq!(plan.preconditions.last(), Some(&told));
}
