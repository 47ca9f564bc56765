use std::{sync::Arc, time::Duration};

use tunnel_certs::statement::request::operation::{
    CollectDebug, Configure, Resources, Restart, RunTask, Scale as ScaleAsk, SettingChange, Size, Start,
    Upgrade,
};

use super::*;
use crate::policy::Methods;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn policy(approvals: &str) -> Policy {
    let text = format!("version: 1\napprovals: {approvals}");
    Policy::load(&text, Arc::new(Methods::default())).unwrap()
}

fn asked(what: What) -> Operation {
    Operation { what, start: Start::OnApproval, dry_run: false, wanted: Duration::ZERO }
}

fn scale(size: Size) -> Operation {
    asked(What::Scale(ScaleAsk { component: "storage".parse().unwrap(), size }))
}

fn replicas(expected: u32, wanted: u32) -> (Operation, Facts) {
    let facts = Facts { replicas: Some((expected, wanted)), ..Facts::default() };
    (scale(Size::Replicas { expected, wanted }), facts)
}

fn task(name: &str) -> (Operation, Facts) {
    let run = RunTask { task: name.parse().unwrap(), targets: Vec::new(), arguments: Vec::new() };
    let facts = Facts { task: Some(run.task.clone()), ..Facts::default() };
    (asked(What::RunTask(run)), facts)
}

fn configure(names: &[&str]) -> (Operation, Facts) {
    let settings = names.iter().map(|name| SettingChange {
        name: name.parse().unwrap(),
        expected: "1".parse().unwrap(),
        value: "2".parse().unwrap(),
    });
    let component = "storage".parse().unwrap();
    let facts =
        Facts { settings: names.iter().map(|name| name.parse().unwrap()).collect(), ..Facts::default() };
    (asked(What::Configure(Configure { component, settings: settings.collect() })), facts)
}

fn upgrade(allow_downgrade: bool, downgrade: bool) -> (Operation, Facts) {
    let what = What::Upgrade(Upgrade { components: Vec::new(), at_once: 1, soak: None, allow_downgrade });
    (asked(what), Facts { downgrade, ..Facts::default() })
}

fn restart() -> (Operation, Facts) {
    let component = "storage".parse().unwrap();
    let what = What::Restart(Restart { component, nodes: Vec::new(), expected_replicas: 3 });
    (asked(what), Facts::default())
}

fn debug() -> (Operation, Facts) {
    let what =
        What::CollectDebug(CollectDebug { collectors: vec!["status".parse().unwrap()], targets: Vec::new() });
    (asked(what), Facts::default())
}

/// What is answered to a fresh one, and by which rule.
fn decided(policy: &Policy, (asked, facts): &(Operation, Facts)) -> (Approval, String) {
    let decision = decide_operation(policy, asked, facts, NOW, NOW);
    let approval = match &decision {
        Decision::Deny(_) => Approval::Deny,
        Decision::Manual(..) => Approval::Manual,
        Decision::Auto(..) => Approval::Auto,
    };
    (approval, decision.reason().rule.clone())
}

fn is(approval: Approval, rule: &str) -> (Approval, String) {
    (approval, rule.to_owned())
}

#[test]
fn what_no_policy_names_is_denied() {
    let none = Policy::load("version: 1", Arc::new(Methods::default())).unwrap();
    let (downgrade, tasks) = (upgrade(false, false), task("compact"));
    for one in [replicas(1, 2), configure(&["log-level"]), downgrade, restart(), debug(), tasks] {
        assert_eq!(decided(&none, &one).0, Approval::Deny);
        assert!(none.refuses(&one.0.what).is_some(), "refused before it is planned");
    }
}

#[test]
fn each_kind_has_its_own_mode() {
    let each = policy(
        "{ restart: auto, upgrade: manual, collectDebug: auto, runTask: { compact: auto, reindex: manual } }",
    );
    assert_eq!(decided(&each, &restart()), is(Approval::Auto, "approvals.restart"));
    assert_eq!(decided(&each, &upgrade(false, false)), is(Approval::Manual, "approvals.upgrade"));
    assert_eq!(decided(&each, &debug()), is(Approval::Auto, "approvals.collectDebug"));
    assert_eq!(decided(&each, &task("compact")), is(Approval::Auto, "approvals.runTask.compact"));
    assert_eq!(decided(&each, &task("reindex")), is(Approval::Manual, "approvals.runTask.reindex"));
    assert_eq!(decided(&each, &task("wipe")), is(Approval::Deny, "approvals.runTask.wipe"));
    assert_eq!(decided(&each, &replicas(1, 2)), is(Approval::Deny, "approvals.scale"));
}

#[test]
fn limits_of_scale_hold_for_rule_and_person_alike() {
    for mode in ["auto", "manual"] {
        let limited =
            policy(&format!("{{ scale: {{ mode: {mode}, limits: {{ maxReplicas: 9, maxStep: 2 }} }} }}"));
        let within = decided(&limited, &replicas(7, 9));
        assert_eq!(within.0.name(), mode);
        assert_eq!(
            decided(&limited, &replicas(9, 10)),
            is(Approval::Deny, "approvals.scale limits.maxReplicas")
        );
        assert_eq!(decided(&limited, &replicas(3, 6)), is(Approval::Deny, "approvals.scale limits.maxStep"));
        assert_eq!(decided(&limited, &replicas(6, 3)), is(Approval::Deny, "approvals.scale limits.maxStep"));
    }
}

#[test]
fn scaling_without_limits_or_of_resources_takes_a_person() {
    let (free, limited) =
        (policy("{ scale: auto }"), policy("{ scale: { mode: auto, limits: { maxStep: 1 } } }"));
    assert_eq!(decided(&free, &replicas(1, 2)).0, Approval::Manual);
    let wanted = Resources { cpu_millis: 1, ..Resources::default() };
    let resources = scale(Size::Resources { expected: Resources::default(), wanted });
    let facts = Facts { resources: true, ..Facts::default() };
    assert_eq!(decided(&limited, &(resources, facts)).0, Approval::Manual);
}

#[test]
fn a_fact_that_is_missing_is_a_no() {
    let limited = policy("{ scale: { mode: auto, limits: { maxStep: 1 } } }");
    let (asked, _) = replicas(1, 2);
    assert_eq!(decided(&limited, &(asked, Facts::default())).0, Approval::Deny);
}

#[test]
fn only_listed_settings_change_without_a_person() {
    let listed = policy("{ configure: { mode: auto, limits: { settings: [log-level, cache] } } }");
    assert_eq!(
        decided(&listed, &configure(&["cache", "log-level"])),
        is(Approval::Auto, "approvals.configure")
    );
    let other = decided(&listed, &configure(&["cache", "quorum"]));
    assert_eq!(other, is(Approval::Manual, "approvals.configure limits.settings"));
    assert_eq!(decided(&policy("{ configure: auto }"), &configure(&["cache"])).0, Approval::Manual);
}

#[test]
fn a_downgrade_always_takes_a_person() {
    let auto = policy("{ upgrade: auto }");
    assert_eq!(decided(&auto, &upgrade(false, false)).0, Approval::Auto);
    for (allowed, found) in [(true, false), (false, true), (true, true)] {
        assert_eq!(decided(&auto, &upgrade(allowed, found)), is(Approval::Manual, "downgrade"));
    }
    assert_eq!(decided(&policy("{ upgrade: deny }"), &upgrade(true, true)).0, Approval::Deny);
}

#[test]
fn a_preset_lets_people_decide_about_the_tasks_that_the_profile_lists() {
    let known = Methods::default().with_tasks(["compact".to_owned()]);
    for (preset, mode) in
        [("locked", Approval::Deny), ("supervised", Approval::Manual), ("delegated", Approval::Manual)]
    {
        let text = format!("version: 1\npreset: {preset}");
        let policy = Policy::load(&text, Arc::new(known.clone())).unwrap();
        assert_eq!(decided(&policy, &task("compact")).0, mode);
        assert_eq!(decided(&policy, &task("unlisted")).0, Approval::Deny);
    }
}

#[test]
fn a_held_one_takes_a_person() {
    let auto = policy("{ restart: auto }");
    let (asked, facts) = restart();
    let at = |now| decide_operation(&auto, &asked, &facts, NOW, now);
    assert!(matches!(at(NOW.plus(STALE_AFTER)), Decision::Auto(..)));
    let late = at(NOW.plus(STALE_AFTER + Duration::from_millis(1)));
    assert!(matches!(&late, Decision::Manual(_, reason) if reason.rule == "stale request"));
}

#[test]
fn a_dry_run_is_decided_alike_and_grants_no_more_than_looking() {
    let auto = policy("{ restart: auto }");
    let (asked, facts) = restart();
    let dry = Operation { dry_run: true, ..asked.clone() };
    let methods = |asked: &Operation| decide_operation(&auto, asked, &facts, NOW, NOW).extent();
    assert_eq!(methods(&asked).len(), 5);
    let dry: Vec<_> = methods(&dry).into_iter().collect();
    let get = "postern.operations.v1.Operations/Get".parse().unwrap();
    assert_eq!(dry, [(get, Level::Auto)]);
}

#[test]
fn what_was_granted_passes_while_the_policy_is_not_stricter() {
    let (asked, facts) = restart();
    let at = |mode: &str, level| {
        policy(&format!("{{ restart: {mode} }}")).authorize_operation(&asked, &facts, level)
    };
    for (mode, level, passes) in [
        ("auto", Level::Auto, true),
        ("auto", Level::Manual, true),
        ("manual", Level::Auto, false),
        ("manual", Level::Manual, true),
        ("deny", Level::Manual, false),
    ] {
        assert_eq!(at(mode, level) == Authorize::Allow, passes, "{mode} {level:?}");
    }
}
