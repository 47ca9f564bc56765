use super::*;
use crate::operations::{
    found::Shown,
    testing::{Faults, Plant, restart, scale, upgrade, walk},
};

fn found(plant: &Plant) -> Found {
    plant.found()
}

#[test]
fn a_value_that_is_neither_old_nor_new_is_somebody_elses() {
    let (plant, plan) = (Plant::new(), upgrade());
    let see = |plant: &Plant| effect(&plan, &plan.steps[0], &Marks::new(), &found(plant));
    assert_eq!(see(&plant), Effect::NotDone);
    plant.change("n1", "2");
    assert_eq!(see(&plant), Effect::Done);
    plant.change("n1", "7");
    assert_eq!(see(&plant), Effect::Foreign("The release of n1 is 7, neither 1 nor 2".to_owned()));
}

#[test]
fn what_is_between_old_and_new_or_not_shown_is_nobody_elses() {
    let mut found = Plant::new().found();
    let see = |plan: &Plan, found: &Found| effect(plan, &plan.steps[0], &Marks::new(), found);
    let storage = |found: &mut Found, change: fn(&mut Shown)| {
        change(found.components.get_mut("storage").unwrap());
    };
    for (change, seen) in [
        ((|shown| shown.replicas = Some(4)) as fn(&mut Shown), Effect::OnItsWay),
        (|shown| shown.replicas = None, Effect::OnItsWay),
        (|shown| shown.replicas = Some(5), Effect::Done),
        (|shown| shown.replicas = Some(6), foreign("replicas of storage is 6, neither 3 nor 5")),
        (|shown| shown.replicas = Some(2), foreign("replicas of storage is 2, neither 3 nor 5")),
    ] {
        storage(&mut found, change);
        assert_eq!(see(&scale(), &found), seen);
    }
    storage(&mut found, |shown| shown.nodes[0].release = Some(String::new()));
    assert_eq!(see(&upgrade(), &found), Effect::OnItsWay);
    storage(&mut found, |shown| drop(shown.nodes.remove(0)));
    assert_eq!(see(&upgrade(), &found), Effect::OnItsWay);
}

fn foreign(what: &str) -> Effect {
    Effect::Foreign(format!("The {what}"))
}

#[test]
fn a_step_of_several_nodes_can_be_done_in_part() {
    let (plant, mut plan) = (Plant::new(), upgrade());
    plan.steps[0].object = "n1, n2".to_owned();
    plant.change("n1", "2");
    assert_eq!(effect(&plan, &plan.steps[0], &Marks::new(), &found(&plant)), Effect::Partly);
    plant.change("n2", "2");
    assert_eq!(effect(&plan, &plan.steps[0], &Marks::new(), &found(&plant)), Effect::Done);
}

#[test]
fn a_restart_shows_by_when_a_node_was_started() {
    let (plant, plan) = (Plant::new(), restart());
    let before = marks(&plan.steps[0], &found(&plant));
    assert_eq!(effect(&plan, &plan.steps[0], &before, &found(&plant)), Effect::NotDone);
    assert_eq!(effect(&plan, &plan.steps[0], &Marks::new(), &found(&plant)), Effect::Unseen);
    plant.start_again("n1");
    assert_eq!(effect(&plan, &plan.steps[0], &before, &found(&plant)), Effect::Done);
}

#[test]
fn the_start_of_another_steps_node_says_nothing() {
    let (plant, plan) = (Plant::new(), restart());
    let before = marks(&plan.steps[1], &found(&plant));
    assert_eq!(effect(&plan, &plan.steps[0], &before, &found(&plant)), Effect::Unseen);
    plant.start_again("n2");
    assert_eq!(effect(&plan, &plan.steps[0], &before, &found(&plant)), Effect::Unseen);
}

#[test]
fn before_each_step_the_ones_before_are_done_and_the_others_are_not() {
    let (plant, plan) = (Plant::new(), with_releases(upgrade()));
    assert_eq!(moved_on(&plan, 0, &found(&plant)), None);
    plant.change("n1", "2");
    assert_eq!(moved_on(&plan, 0, &found(&plant)).unwrap(), "The release of n1 was 1 and is 2");
    assert_eq!(moved_on(&plan, 1, &found(&plant)), None);
    plant.change("n1", "1");
    assert_eq!(moved_on(&plan, 1, &found(&plant)).unwrap(), "The release of n1 was 2 and is 1");
    plant.change("n1", "2");
    plant.change("n3", "7");
    assert_eq!(moved_on(&plan, 1, &found(&plant)).unwrap(), "The release of n3 was 1 and is 7");
}

#[test]
fn what_the_engine_counts_together_may_be_old_or_new_on_the_way() {
    let (plant, mut plan) = (Plant::new(), upgrade());
    plan.diff.push(Change {
        object: "storage".to_owned(),
        field: "release".to_owned(),
        old: "1".to_owned(),
        new: "2".to_owned(),
    });
    plan.preconditions.push(tunnel_protos::operations::v1::Precondition {
        what: "release of storage".to_owned(),
        value: "1".to_owned(),
    });
    assert_eq!(moved_on(&plan, 0, &found(&plant)), None);
    for node in ["n1", "n2", "n3"] {
        plant.change(node, "2");
    }
    assert!(moved_on(&plan, 0, &found(&plant)).is_some());
    assert_eq!(moved_on(&plan, 3, &found(&plant)), None);
}

#[test]
fn other_nodes_than_planned_stop_it() {
    let (mut found, plan) = (Plant::new().found(), upgrade());
    found.components.get_mut("storage").unwrap().nodes.pop();
    let why = moved_on(&plan, 0, &found).unwrap();
    assert!(why.starts_with("The ") && why.contains("n3") || why.contains("nodes of storage"), "{why}");
}

#[test]
fn a_gate_needs_every_node_but_those_that_come_later_and_were_not_ready_before() {
    let plant = Plant::with(Faults { broken: ["n3".to_owned()].into(), ..Faults::default() });
    let (mut plan, marks) = (restart(), Marks::new());
    let gate = |plan: &Plan, at| gate(plan, at, Way::Forth, &marks, &plant.found());
    assert_eq!(gate(&plan, 0), Err("n3 is not ready".to_owned()));
    let unready =
        tunnel_protos::operations::v1::Precondition { what: of(READINESS, "n3"), value: UNREADY.to_owned() };
    plan.preconditions.push(unready);
    assert_eq!(gate(&plan, 0), Ok(()));
    assert_eq!(gate(&plan, 2), Err("n3 is not ready".to_owned()), "its own step must mend it");
}

#[test]
fn a_gate_needs_every_node_that_was_planned_with() {
    let gate = |at, way, plant: &Plant| gate(&restart(), at, way, &Marks::new(), &plant.found());
    let plant = Plant::with(Faults { unlisted: ["n3".to_owned()].into(), ..Faults::default() });
    let gone = Err("Not all nodes of storage are shown".to_owned());
    for (at, way) in [(0, Way::Forth), (2, Way::Forth), (0, Way::Back)] {
        assert_eq!(gate(at, way, &plant), gone);
    }
    plant.faults(|faults| faults.unlisted.clear());
    plant.add("n4");
    assert_eq!(gate(0, Way::Forth, &plant), Err("There are other nodes of storage than planned".to_owned()));
    assert_eq!(gate(2, Way::Forth, &plant), Ok(()), "nothing comes after it");
    assert_eq!(gate(0, Way::Back, &plant), Ok(()), "that one is not ours");
}

#[test]
fn a_marked_node_that_is_not_listed_is_on_its_way() {
    let plant = Plant::new();
    let before = marks(&restart().steps[0], &plant.found());
    plant.faults(|faults| faults.unlisted = ["n1".to_owned()].into());
    let see = |marks| effect(&restart(), &restart().steps[0], marks, &plant.found());
    assert_eq!((see(&before), see(&Marks::new())), (Effect::OnItsWay, Effect::Unseen));
}

#[test]
fn a_target_that_is_not_well_holds_every_gate() {
    let found = unwell(&["b"]);
    for (at, way) in [(0, Way::Forth), (2, Way::Forth), (0, Way::Back)] {
        assert_eq!(gate(&restart(), at, way, &Marks::new(), &found), Err("b is not well".to_owned()));
    }
}

#[test]
fn a_target_that_was_not_well_before_holds_the_last_gate_alone() {
    let mut plan = restart();
    plan.preconditions.push(Precondition { what: of(HEALTH, "b"), value: UNWELL.to_owned() });
    let see = |at, way, found: &Found| gate(&plan, at, way, &Marks::new(), found);
    let found = unwell(&["b"]);
    assert_eq!(moved_on(&plan, 0, &Plant::new().found()), None, "that it is well now is no harm");
    assert_eq!(see(0, Way::Forth, &found), Ok(()));
    assert_eq!(see(0, Way::Back, &found), Ok(()));
    assert_eq!(see(2, Way::Forth, &found), Err("b is not well".to_owned()), "all of it must mend it");
    assert_eq!(see(0, Way::Forth, &unwell(&["b", "c"])), Err("c is not well".to_owned()));
}

fn unwell(targets: &[&str]) -> Found {
    let one = |target: &&str| ((*target).to_owned(), format!("{target} is not well"));
    Found { unwell: targets.iter().map(one).collect(), ..Plant::new().found() }
}

#[test]
fn the_start_of_a_target_that_is_a_node_says_nothing_of_a_task() {
    let (plant, plan) = (Plant::new(), walk());
    let before = marks(&plan.steps[0], &found(&plant));
    assert_eq!(effect(&plan, &plan.steps[0], &before, &found(&plant)), Effect::Unseen);
    assert_eq!(gate(&plan, 0, Way::Forth, &before, &found(&plant)), Ok(()));
}

fn with_releases(mut plan: Plan) -> Plan {
    for node in ["n1", "n2", "n3"] {
        let what = of("release", node);
        plan.preconditions.push(tunnel_protos::operations::v1::Precondition { what, value: "1".to_owned() });
    }
    plan
}
