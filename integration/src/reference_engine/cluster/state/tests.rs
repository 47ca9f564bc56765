//! What operators may and may not do to the nodes.

use super::*;

const NOW: u64 = 1_000;

fn settings(name: &str, value: &str) -> BTreeMap<String, String> {
    [(name.to_owned(), value.to_owned())].into()
}

fn ready(state: &State, now: u64) -> u32 {
    state.components(now, 100).iter().map(|component| component.ready).sum()
}

#[test]
fn scaling_tells_the_former_number_and_new_nodes_start_up() {
    let mut state = State::first(0);
    assert_eq!(state.scale("storage", 5, NOW), Ok(3));
    assert_eq!((ready(&state, NOW), ready(&state, NOW + 100)), (4, 6));
}

#[test]
fn scaling_refuses_none_and_too_many() {
    let mut state = State::first(0);
    assert_eq!(state.scale("storage", 0, NOW), Err(Rejected::BadReplicas(0)));
    assert_eq!(state.scale("storage", 65, NOW), Err(Rejected::BadReplicas(65)));
}

#[test]
fn restarting_one_node_leaves_the_others_alone() {
    let mut state = State::first(0);
    let which = ["storage-1".to_owned()];
    assert_eq!(state.restart("storage", &which, NOW), Ok(which.to_vec()));
    let restarts: Vec<_> = state.nodes("storage", NOW, 0).iter().map(|node| node.restarts).collect();
    assert_eq!(restarts, [0, 1, 0]);
}

#[test]
fn unknown_names_change_nothing() {
    let mut state = State::first(0);
    let before = state.clone();
    let unknown = ["storage-9".to_owned()];
    assert!(matches!(state.restart("storage", &unknown, NOW), Err(Rejected::UnknownNode(_))));
    assert!(matches!(state.scale("nothing", 1, NOW), Err(Rejected::UnknownComponent(_))));
    assert!(matches!(state.configure(settings("no", "1")), Err(Rejected::UnknownSetting(_))));
    assert_eq!(state, before);
}

fn upgrade(state: &mut State, which: &[&str], release: &str) -> Result<(String, Vec<String>), Rejected> {
    let which: Vec<_> = which.iter().map(|&node| node.to_owned()).collect();
    state.upgrade("storage", &which, release, NOW)
}

#[test]
fn a_broken_release_fails_until_another_comes() {
    let mut state = State::first(0);
    assert_eq!(upgrade(&mut state, &[], "1.1.0-broken").unwrap().0, "1.0.0");
    assert!(!state.is_healthy());
    assert_eq!(state.nodes("storage", NOW + 100, 100)[0].state(), NodeState::Failed);
    upgrade(&mut state, &[], "1.0.1").unwrap();
    assert!(state.is_healthy());
}

#[test]
fn nodes_are_upgraded_one_by_one() {
    let mut state = State::first(0);
    let (before, upgraded) = upgrade(&mut state, &["storage-1"], "1.1.0-broken").unwrap();
    assert_eq!((before.as_str(), upgraded), ("1.0.0", vec!["storage-1".to_owned()]));
    assert_eq!(state.release(), "1.0.0", "until all have it");
    let nodes = state.nodes("storage", NOW + 100, 100);
    assert_eq!(nodes.iter().map(|node| node.restarts).collect::<Vec<_>>(), [0, 1, 0]);
    let states: Vec<_> = nodes.iter().map(NodeMessage::state).collect();
    assert_eq!(states, [NodeState::Ready, NodeState::Failed, NodeState::Ready]);
    upgrade(&mut state, &["storage-1"], "1.0.1").unwrap();
    assert!(state.is_healthy());
    upgrade(&mut state, &["storage-0", "storage-2"], "1.0.1").unwrap();
    assert_eq!(state.release(), "1.0.1");
    assert!(matches!(upgrade(&mut state, &["query-0"], "1.0.1"), Err(Rejected::UnknownNode(_))));
}

#[test]
fn a_release_with_odd_characters_is_refused() {
    assert_eq!(upgrade(&mut State::first(0), &[], "1.0 $(x)"), Err(Rejected::BadRelease));
}

#[test]
fn settings_change_all_or_none() {
    let mut state = State::first(0);
    let mut change = settings("cacheMegabytes", "128");
    change.extend(settings("logLevel", "loud"));
    assert!(matches!(state.configure(change), Err(Rejected::BadSetting(..))));
    assert_eq!(state.settings()["cacheMegabytes"], "64");
    assert_eq!(state.configure(settings("cacheMegabytes", "128")).unwrap()["cacheMegabytes"], "64");
}

#[test]
fn the_sensitive_setting_is_never_shown() {
    let mut state = State::first(0);
    assert_eq!(state.settings()[SENSITIVE], MASK);
    assert_eq!(state.configure(settings(SENSITIVE, "long enough")).unwrap()[SENSITIVE], MASK);
}
