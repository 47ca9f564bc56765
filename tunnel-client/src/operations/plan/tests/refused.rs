use super::*;

/// What is wrong with it, as the rule and its sentence.
fn refusal(world: &World, what: &What) -> (String, String) {
    let PlanRefusal { rule, why, told } = world.plan(what).unwrap_err();
    for sentence in [&why, &told] {
        assert!(!sentence.contains('\n') && !sentence.ends_with('.'), "one sentence: {sentence}");
    }
    (rule, why)
}

fn assert_refused(world: &World, what: &What, rule: &str, why: &str) {
    assert_eq!(refusal(world, what), (rule.to_owned(), why.to_owned()));
}

#[test]
fn what_is_not_as_expected_is_refused() {
    let mut world = World::new();
    assert_refused(&world, &scale(4, 5), "expected", "The replicas of storage are 3, not 4 as expected");
    assert_refused(&world, &restart(&[], 2), "expected", "The replicas of storage are 3, not 2 as expected");
    assert_refused(
        &world,
        &configure("max-connections", "11", "20"),
        "expected",
        "The setting max-connections of storage is 10, not 11 as expected",
    );
    let upgrade = What::Upgrade(world.upgrade(2));
    world.storage().release = Some("1.1".to_owned());
    assert_refused(&world, &upgrade, "expected", "The release of storage is 1.1, not 1.0 as expected");
    world.storage().release = None;
    assert_refused(&world, &upgrade, "expected", "The engine does not show the release of storage");
}

#[test]
fn an_operator_is_not_told_what_was_found() {
    let mut world = World::new();
    let told = |world: &World, what: &What| world.plan(what).unwrap_err().told;
    assert_eq!(told(&world, &scale(4, 5)), "The replicas of storage are not as expected");
    assert_eq!(
        told(&world, &configure("max-connections", "11", "20")),
        "The setting max-connections of storage is not as expected"
    );
    assert_eq!(told(&world, &restart(&["storage-9"], 3)), "storage has no node storage-9");
    assert_eq!(
        told(&world, &restart(&["storage-0"], 3)),
        "The engine profile names no companion for each node"
    );
    let upgrade = What::Upgrade(world.upgrade(2));
    world.storage().release = Some("1.1".to_owned());
    assert_eq!(told(&world, &upgrade), "The release of storage is not as expected");
    world.storage().nodes[0].ready = false;
    let other = told(&world, &restart(&["storage-1"], 3));
    assert!(other.starts_with("A node of storage is not ready"), "{other}");
}

#[test]
fn what_nobody_can_look_through_is_refused() {
    let world = World::new();
    let many = ["info"; 64];
    let (rule, why) = refusal(&world, &collect(&many, &["default"; 64]));
    assert_eq!(rule, "size");
    assert_eq!(why, "It would collect 4096 answers, and 1000 are the most");
    assert!(world.plan(&collect(&many, &["default"; 15])).is_ok());
    let long = Plan { title: "x".repeat(MOST_BYTES), ..Plan::default() };
    assert_eq!(fits(&long).unwrap_err().rule, "size");
}

#[test]
fn an_engines_own_words_cannot_disguise_a_sentence() {
    let mut world = World::new();
    let upgrade = What::Upgrade(world.upgrade(2));
    world.storage().release = Some("1\u{202e}\n0".to_owned());
    let (_, why) = refusal(&world, &upgrade);
    assert!(why.contains("\\u{202e}\\u{a}"), "{why}");
}

#[test]
fn what_the_profile_does_not_list_is_refused() {
    let world = World::new();
    let query = What::Scale(Scale {
        component: "query".parse().unwrap(),
        size: Size::Replicas { expected: 1, wanted: 2 },
    });
    assert_refused(&world, &query, "component", "The engine profile has no component query; it has storage");
    assert_refused(
        &world,
        &task("reindex", &[], &[]),
        "task",
        "The engine profile has no task reindex; it has compact",
    );
    assert_refused(
        &world,
        &collect(&["info", "logs"], &[]),
        "collector",
        "The engine profile has no collector logs; it has info",
    );
    assert_refused(
        &world,
        &configure("colour", "red", "blue"),
        "setting",
        "The engine profile lists no setting colour of storage; it lists max-connections, secret",
    );
    assert_refused(
        &world,
        &task("compact", &[], &[("who", "me"), ("speed", "9")]),
        "argument",
        "The task compact takes no argument speed; it takes deep, pause, who",
    );
}

#[test]
fn targets_and_nodes_that_are_not_there_are_refused() {
    let world = World::new();
    assert_refused(
        &world,
        &task("compact", &["c"], &[("who", "me")]),
        "targets",
        "There is no target c; there is b, default",
    );
    assert_refused(
        &world,
        &collect(&["info"], &["c"]),
        "targets",
        "There is no target c; there is b, default",
    );
    assert_refused(
        &world,
        &restart(&["storage-9"], 3),
        "nodes",
        "storage has no node storage-9; it has storage-0, storage-1, storage-2",
    );
    assert_refused(
        &world,
        &restart(&["storage-0"], 3),
        "profile",
        "The engine profile names no companion for the node storage-0",
    );
}

#[test]
fn what_the_profile_does_not_say_how_to_do_is_refused() {
    let mut world = World::new();
    let without = |key: &str| {
        let lines = testing::PROFILE.lines().filter(|line| !line.trim_start().starts_with(key));
        testing::parse(&lines.collect::<Vec<_>>().join("\n")).unwrap()
    };
    world.profile = without("scale:");
    assert_refused(&world, &scale(3, 5), "profile", "The engine profile does not say how to scale storage");
    world.profile = without("upgrade:");
    let upgrade = What::Upgrade(world.upgrade(2));
    assert_refused(&world, &upgrade, "profile", "The engine profile does not say how to upgrade storage");
    world.profile = without("restart:");
    assert_refused(
        &world,
        &restart(&[], 3),
        "profile",
        "The engine profile does not say how to restart storage",
    );
}

#[test]
fn what_is_out_of_bounds_is_refused() {
    let world = World::new();
    assert_refused(
        &world,
        &scale(3, 11),
        "bounds",
        "11 replicas are not within 1 to 9, which the engine profile asks of storage",
    );
    assert_refused(
        &world,
        &scale(3, 4),
        "bounds",
        "4 replicas are not an odd number, which the engine profile asks of storage",
    );
    assert_refused(&world, &scale(3, 3), "bounds", "storage has 3 replicas already");
    assert_refused(
        &world,
        &configure("max-connections", "10", "101"),
        "bounds",
        "The setting max-connections of storage takes a whole number from 1 to 100",
    );
    assert_refused(
        &world,
        &configure("max-connections", "10", "10"),
        "bounds",
        "The setting max-connections of storage has this value already",
    );
    assert_refused(
        &world,
        &task("compact", &[], &[("who", "them")]),
        "bounds",
        "The argument who of the task compact takes one of me, you",
    );
    assert_refused(&world, &task("compact", &[], &[]), "argument", "The task compact needs the argument who");
    assert_refused(
        &world,
        &task("compact", &["b", "default"], &[("who", "me")]),
        "targets",
        "The task compact runs once, so at most one target can be named",
    );
}

#[test]
fn a_sensitive_setting_is_refused_and_its_value_is_not_repeated() {
    let world = World::new();
    let (rule, why) = refusal(&world, &configure("secret", "hidden", "password1"));
    assert_eq!(rule, "setting");
    assert_eq!(why, "The setting secret of storage is sensitive, and such values are taken from no request");
}

#[test]
fn resources_are_no_work_of_an_engine() {
    let wanted = Resources { cpu_millis: 500, ..Resources::default() };
    let size = Size::Resources { expected: Resources::default(), wanted };
    let what = What::Scale(Scale { component: "storage".parse().unwrap(), size });
    assert_eq!(refusal(&World::new(), &what).0, "executor");
}

#[test]
fn a_quorum_is_not_put_at_risk() {
    let mut world = World::new();
    world.storage().nodes[0].ready = false;
    assert_refused(
        &world,
        &restart(&["storage-1"], 3),
        "readiness",
        "storage-0 of storage is not ready and would not be touched; mend it first, or name it, too",
    );
}

#[test]
fn a_release_that_runs_already_is_not_brought_again() {
    let mut world = World::new();
    let mut upgrade = world.upgrade(2);
    upgrade.components[0].expected_release = "2.0".parse().unwrap();
    world.storage().release = Some("2.0".to_owned());
    assert_refused(&world, &What::Upgrade(upgrade), "expected", "storage is at release 2.0 already");
}

#[test]
fn nodes_at_a_third_release_are_refused() {
    let mut world = World::new();
    let upgrade = What::Upgrade(world.upgrade(2));
    world.storage().nodes[1].release = Some("0.9".to_owned());
    assert_refused(
        &world,
        &upgrade,
        "expected",
        "The engine does not show each node of storage at release 1.0",
    );
}

#[test]
fn a_manifest_that_nobody_signed_makes_no_plan() {
    let world = World::new();
    let mut upgrade = world.upgrade(2);
    upgrade.components[0].release = b"not an envelope".to_vec();
    let (rule, why) = refusal(&world, &What::Upgrade(upgrade));
    assert_eq!(rule, "release");
    assert!(why.starts_with("The release for storage is refused: "), "{why}");
}

#[test]
fn components_that_share_a_name_are_not_upgraded_together() {
    let mut world = World::new();
    let upgrade =
        Upgrade { components: vec![world.bring("storage", 2), world.bring("query", 2)], ..world.upgrade(2) };
    let upgrade = What::Upgrade(upgrade);
    let refused = |name: &str| {
        format!("Two of the components have a node {name} of the same name; upgrade them one by one")
    };
    for (nodes, shared) in [(&["query-0", "storage-1"], "storage-1"), (&["query-0", "storage"], "storage")] {
        world.add_query(nodes);
        assert_refused(&world, &upgrade, "nodes", &refused(shared));
    }
    world.add_query(&["query", "query-1"]);
    assert_eq!(world.plan(&upgrade).unwrap().releases.len(), 2);
}

#[test]
fn a_task_leaves_nodes_alone_while_one_that_it_would_not_touch_is_not_ready() {
    let mut world = World::walking();
    world.storage().nodes[2].ready = false;
    let why = "storage-2 of storage is not ready and would not be touched; mend it first, or name it, too";
    assert_refused(&world, &task("compact", &["storage-0"], &[("who", "me")]), "readiness", why);
}
