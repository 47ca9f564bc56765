//! Each rule of the policy, one test.

mod files;

use super::*;
use crate::gate::grants::Level;
use tunnel_protos::UnixMillis;

const POLICY: &str = r#"
version: 1
clocks: { workWindow: 30m }
access:
  - methods: ["e.Admin/Forbidden"]
    approval: deny
  - methods: ["e.Admin/GetStatus", "grpc.health.v1.Health/Check"]
    approval: auto
    limits: { bytes: 64MiB, callsPerMinute: 600, streams: 20 }
  - methods: ["e.Admin/Scale"]
    raw: true
    approval: manual
  - methods: ["e.Admin/*"]
    approval: manual
  - methods: ["e.Read/*"]
    approval: auto
"#;

#[test]
fn first_match_wins() {
    let policy = policy(POLICY);
    assert_eq!(policy.rule(&method("e.Admin/Forbidden"), false).unwrap().number, 1);
    assert_eq!(policy.rule(&method("e.Admin/GetStatus"), false).unwrap().number, 2);
    assert_eq!(policy.rule(&method("e.Admin/Compact"), false).unwrap().number, 4);
}

#[test]
fn no_match_is_denied() {
    let decision = ask_for(POLICY, &["e.Other/Do"]);
    assert_eq!(decision.reason().rule, "no access rule matches");
    assert!(matches!(decision, Decision::Deny(_)));
}

#[test]
fn no_file_denies_everything() {
    let policy = Policy::locked(Arc::new(methods()));
    assert!(matches!(
        policy.authorize(&method("e.Admin/GetStatus"), Level::Manual, true),
        Authorize::Deny { .. }
    ));
}

#[test]
fn unknown_keys_refuse_with_line_and_column() {
    let error = Policy::load("version: 1\nacces: []\n", Arc::default()).unwrap_err().to_string();
    assert!(error.starts_with("policy:2:1: acces: unknown key"), "{error}");
    assert!(
        Policy::load("version: 1\naccess: [{methods: [a.B/C], approval: auto, x: 1}]", Arc::default())
            .is_err()
    );
    assert!(Policy::load("version: 1\nclocks: {day: 1h}", Arc::default()).is_err());
}

#[test]
fn an_unknown_version_is_refused() {
    let error = Policy::load("version: 2", Arc::default()).unwrap_err().to_string();
    assert!(error.contains("version 1") && error.starts_with("policy:1:10"), "{error}");
    assert!(Policy::load("access: []", Arc::default()).is_err());
}

#[test]
fn clocks_have_bounds_and_units() {
    for bad in [
        "workWindow: 9h",
        "certificateTtl: 16m",
        "claimWindow: 25h",
        "requestTtl: 25h",
        "workWindow: 0s",
        "workWindow: 60",
    ] {
        assert!(Policy::load(&format!("version: 1\nclocks: {{ {bad} }}"), Arc::default()).is_err(), "{bad}");
    }
    assert_eq!(policy(POLICY).clocks().work_window, Duration::from_secs(1800));
    assert_eq!(policy("version: 1").clocks(), &Clocks::default());
}

#[test]
fn limits_are_read() {
    let limits = policy(POLICY).rule(&method("e.Admin/GetStatus"), false).unwrap().limits;
    assert_eq!(limits, Limits { bytes: Some(64 << 20), calls_per_minute: Some(600), streams: Some(20) });
}

#[test]
fn a_rule_needs_methods_that_are_patterns() {
    for bad in ["[]", "[\"e.Admin\"]", "[\"*\"]", "[\"e.*/Get\"]"] {
        let text = format!("version: 1\naccess: [{{methods: {bad}, approval: auto}}]");
        assert!(Policy::load(&text, Arc::default()).is_err(), "{bad}");
    }
}

#[test]
fn the_strictest_answer_wins() {
    let decision = ask_for(POLICY, &["e.Admin/GetStatus", "e.Admin/Compact"]);
    let Decision::Manual(methods, reason) = &decision else { panic!("{decision:?}") };
    assert_eq!(methods.len(), 2);
    assert_eq!(reason.rule, "access rule 4");
    assert!(decision.extent().values().all(|level| *level == Level::Manual));
}

#[test]
fn the_strictest_answer_wins_in_any_order() {
    let text = "version: 1\naccess: [{methods: [\"e.Admin/Compact\", \"e.Read/List\"], approval: auto}, \
                {methods: [\"e.Read/Get\"], approval: manual}]";
    let decision = ask_for(text, &["e.Admin/Compact", "e.Read/Get", "e.Read/List"]);
    assert!(matches!(decision, Decision::Manual(..)), "{decision:?}");
}

#[test]
fn a_pattern_that_stands_for_nothing_refuses_the_rest_too() {
    assert!(matches!(ask_for(POLICY, &["e.Read/Get", "e.Gone/*"]), Decision::Deny(_)));
}

#[test]
fn raw_in_the_request_alone_reaches_no_operation() {
    let text = "version: 1\naccess: [{methods: [\"e.Admin/Scale\"], approval: auto}]";
    let decision = decide_now(text, &Ask { raw: true, ..ask(&["e.Admin/Scale"]) });
    assert!(matches!(decision, Decision::Deny(_)), "{decision:?}");
}

#[test]
fn more_methods_than_an_outcome_can_list_are_refused() {
    let many: Vec<_> = (0..4097).map(|n| format!("e.Read/M{n}")).collect();
    let text = "version: 1\naccess: [{methods: [\"e.Read/*\"], approval: auto}]";
    let all = many.iter().map(|name| method(name));
    let policy = Policy::load(text, Arc::new(Methods::new(all, [].into(), [0; 32]))).unwrap();
    let facts = Facts { policy: &policy, targets: &targets() };
    assert_eq!(decide(&facts, &ask(&["e.Read/*"]), NOW).reason().rule, "size");
}

#[test]
fn a_pattern_with_a_denied_method_is_refused_as_a_whole_naming_it() {
    let decision = ask_for(POLICY, &["e.Read/Get", "e.Admin/*"]);
    assert!(matches!(decision, Decision::Deny(_)));
    assert!(decision.reason().text.contains("e.Admin/Forbidden"), "{decision:?}");
}

#[test]
fn patterns_expand_against_the_customers_descriptors() {
    let decision = ask_for(POLICY, &["e.Read/*"]);
    let Decision::Auto(methods, _) = decision else { panic!("{decision:?}") };
    assert_eq!(methods, [method("e.Read/Get"), method("e.Read/List")].into());
    assert!(matches!(ask_for(POLICY, &["e.Gone/*"]), Decision::Deny(_)));
}

#[test]
fn patterns_never_reach_methods_of_operations() {
    let text = "version: 1\naccess: [{methods: [\"e.Admin/*\"], approval: auto}]";
    let Decision::Auto(methods, _) = ask_for(text, &["e.Admin/*"]) else { panic!() };
    assert!(!methods.contains(&method("e.Admin/Scale")));
    assert!(matches!(ask_for(text, &["e.Admin/Scale"]), Decision::Deny(_)));
    let exact = "version: 1\naccess: [{methods: [\"e.Admin/Scale\"], approval: auto}]";
    assert!(matches!(ask_for(exact, &["e.Admin/Scale"]), Decision::Deny(_)));
}

#[test]
fn a_deny_rule_covers_operations_and_unknown_methods_too() {
    for denied in ["e.Admin/Scale", "e.Admin/*"] {
        let text = format!(
            "version: 1\naccess: [{{methods: [\"{denied}\"], approval: deny}}, \
             {{methods: [\"e.Admin/Scale\"], approval: auto, raw: true}}]"
        );
        let decision = decide_now(&text, &Ask { raw: true, ..ask(&["e.Admin/Scale"]) });
        assert_eq!(decision.reason().rule, "access rule 1", "{denied}");
    }
    let unknown = "version: 1\naccess: [{methods: [\"e.New/*\"], approval: deny}, \
                   {methods: [\"e.New/Get\"], approval: auto}]";
    assert_eq!(ask_for(unknown, &["e.New/Get"]).reason().rule, "access rule 1");
}

#[test]
fn operations_need_raw_in_rule_and_request() {
    let mut wanted = ask(&["e.Admin/Scale"]);
    assert!(matches!(decide_now(POLICY, &wanted), Decision::Deny(_)));
    wanted.raw = true;
    assert!(matches!(decide_now(POLICY, &wanted), Decision::Manual(..)));
    let wide = "version: 1\naccess: [{methods: [\"e.Admin/*\"], approval: auto, raw: true}]";
    let error = Policy::load(wide, Arc::default()).unwrap_err().to_string();
    assert!(error.contains("raw: true") && error.starts_with("policy:2:20"), "{error}");
}

#[test]
fn without_descriptors_only_literal_names_can_be_asked_for() {
    let policy = Policy::load(POLICY, Arc::default()).unwrap();
    let facts = Facts { policy: &policy, targets: &targets() };
    assert!(matches!(decide(&facts, &ask(&["e.Read/*"]), NOW), Decision::Deny(_)));
    assert!(matches!(decide(&facts, &ask(&["e.Read/Get"]), NOW), Decision::Auto(..)));
}

#[test]
fn a_method_that_the_descriptors_do_not_know_takes_an_exact_rule() {
    assert!(matches!(ask_for(POLICY, &["e.Read/Hidden"]), Decision::Deny(_)));
    assert!(matches!(ask_for(POLICY, &["grpc.health.v1.Health/Check"]), Decision::Auto(..)));
}

#[test]
fn postern_itself_is_never_matched() {
    let text = "version: 1\naccess: [{methods: [\"postern.v1.X/*\", \"postern.v1.X/Y\"], approval: auto}]";
    assert!(matches!(ask_for(text, &["postern.v1.X/Y"]), Decision::Deny(_)));
}

#[test]
fn a_stale_request_needs_a_person() {
    let mut wanted = ask(&["e.Read/Get"]);
    wanted.issued = NOW.minus(STALE_AFTER);
    assert!(matches!(decide_now(POLICY, &wanted), Decision::Auto(..)));
    wanted.issued = NOW.minus(STALE_AFTER + Duration::from_millis(1));
    assert!(matches!(decide_now(POLICY, &wanted), Decision::Manual(..)));
}

#[test]
fn a_stale_request_for_a_denied_method_stays_denied() {
    let mut wanted = ask(&["e.Admin/Forbidden"]);
    wanted.issued = NOW.minus(STALE_AFTER * 2);
    assert!(matches!(decide_now(POLICY, &wanted), Decision::Deny(_)));
}

#[test]
fn an_unknown_target_is_denied() {
    let mut wanted = ask(&["e.Read/Get"]);
    wanted.targets = ["pod-9".parse().unwrap()].into();
    assert!(decide_now(POLICY, &wanted).reason().text.contains("pod-9"));
    wanted.targets.clear();
    assert!(matches!(decide_now(POLICY, &wanted), Decision::Deny(_)));
}

#[test]
fn a_call_passes_only_if_todays_rule_is_not_stricter() {
    let policy = policy(POLICY);
    let rows = [
        ("e.Admin/GetStatus", Level::Auto, true),
        ("e.Admin/Compact", Level::Auto, false),
        ("e.Admin/Compact", Level::Manual, true),
        ("e.Admin/Forbidden", Level::Manual, false),
        ("e.Other/Do", Level::Manual, false),
    ];
    for (name, level, passes) in rows {
        let answer = policy.authorize(&method(name), level, false);
        assert_eq!(answer == Authorize::Allow, passes, "{name} {level:?} {answer:?}");
    }
}

#[test]
fn a_broken_new_file_keeps_the_old_policy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, POLICY).unwrap();
    let (mut file, state) = PolicyFile::open(Some(path.clone()), Arc::new(methods()));
    assert_eq!(*state.error.borrow(), "");
    let before = state.policy.borrow().digest().to_owned();
    std::fs::write(&path, "version: 1\nnonsense: true").unwrap();
    file.refresh();
    assert_eq!(state.policy.borrow().digest(), before);
    assert!(state.error.borrow().contains("nonsense"));
    std::fs::write(&path, "version: 1").unwrap();
    file.refresh();
    assert_ne!(state.policy.borrow().digest(), before);
    assert_eq!(*state.error.borrow(), "");
}

#[test]
fn a_removed_file_denies_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, POLICY).unwrap();
    let (mut file, state) = PolicyFile::open(Some(path.clone()), Arc::new(methods()));
    std::fs::remove_file(&path).unwrap();
    file.refresh();
    assert!(state.policy.borrow().rule(&method("e.Admin/GetStatus"), false).is_none());
    assert!(!state.error.borrow().is_empty());
}

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn policy(text: &str) -> Policy {
    Policy::load(text, Arc::new(methods())).unwrap()
}

fn methods() -> Methods {
    let all = [
        "e.Admin/GetStatus",
        "e.Admin/Compact",
        "e.Admin/Forbidden",
        "e.Admin/Scale",
        "e.Read/Get",
        "e.Read/List",
    ];
    Methods::new(all.map(method), [method("e.Admin/Scale")].into(), [0; 32])
}

fn method(text: &str) -> MethodName {
    text.parse().unwrap()
}

fn targets() -> Targets {
    [TargetName::default_target()].into()
}

fn ask(patterns: &[&str]) -> Ask {
    let methods = patterns.iter().map(|text| text.parse().unwrap()).collect();
    Ask { methods, targets: targets(), raw: false, issued: NOW }
}

fn ask_for(policy: &str, patterns: &[&str]) -> Decision {
    decide_now(policy, &ask(patterns))
}

fn decide_now(text: &str, ask: &Ask) -> Decision {
    decide(&Facts { policy: &policy(text), targets: &targets() }, ask, NOW)
}
