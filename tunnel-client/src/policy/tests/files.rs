//! What a policy file may say: presets, approvers, approvals, and where errors are.

use tunnel_certs::key::{Algorithm, PublicKey, Signer, SigningKey};

use super::*;

#[test]
fn all_errors_come_at_once_with_line_and_column() {
    let text = "version: 1\npreset: open\nclocks: { workWindow: 9h }\naccess:\n  - methods: [\"*\"]\n    \
                approval: always\n    surprise: 1\n";
    let error = load(text).unwrap_err().to_string();
    for part in ["policy:2:9: preset", "policy:3:23: clocks.workWindow", "policy:5:15: access.0.methods"] {
        assert!(error.contains(part), "{part} is missing in\n{error}");
    }
    assert!(error.contains("policy:6:15: access.0.approval") && error.contains("policy:7:5"), "{error}");
}

#[test]
fn no_preset_means_locked() {
    let policy = policy("version: 1");
    assert_eq!(policy.preset(), Preset::Locked);
    assert!(policy.access().is_empty());
    assert_eq!(policy.operations().restart, Approval::Deny);
}

#[test]
fn supervised_lets_a_person_look_at_everything_but_health() {
    let policy = profiled("version: 1\npreset: supervised");
    let answer = |name: &str| policy.rule(&method(name), true).map(|rule| rule.approval);
    assert_eq!(answer("grpc.health.v1.Health/Check"), Some(Approval::Auto));
    assert_eq!(answer("e.Read/Get"), Some(Approval::Manual));
    assert_eq!(answer("e.Admin/Compact"), Some(Approval::Manual));
    assert_eq!(answer("e.Admin/Scale"), None);
    assert_eq!(answer("e.Other/Do"), None);
    assert_eq!(policy.operations().upgrade, Approval::Manual);
}

#[test]
fn delegated_lets_reads_through_within_limits() {
    let policy = profiled("version: 1\npreset: delegated");
    let rule = policy.rule(&method("e.Read/Get"), false).unwrap();
    assert_eq!(rule.approval, Approval::Auto);
    assert!(rule.limits.bytes.is_some() && rule.limits.calls_per_minute.is_some());
    assert_eq!(rule.name(), "access rule 1 of preset delegated");
    assert_eq!(policy.rule(&method("e.Read/List"), false).unwrap().approval, Approval::Manual);
    assert!(policy.rule(&method("e.Admin/Scale"), true).is_none());
}

#[test]
fn access_replaces_the_presets_list_even_when_empty() {
    assert!(profiled("version: 1\npreset: delegated\naccess: []").access().is_empty());
    let own = "version: 1\npreset: delegated\naccess: [{methods: [\"e.Read/Get\"], approval: deny}]";
    assert_eq!(profiled(own).access().len(), 1);
}

#[test]
fn approvals_override_the_preset_key_by_key() {
    let text = "version: 1\npreset: supervised\napprovals:\n  \
                scale: { mode: auto, limits: { maxReplicas: 9, maxStep: 2 } }\n  restart: auto\n  \
                collectDebug: { mode: auto, release: auto }\n  runTask: { compact: auto, reindex: manual }\n";
    let operations = policy(text).operations().clone();
    assert_eq!(operations.scale.effective(), Approval::Auto);
    assert_eq!((operations.restart, operations.upgrade), (Approval::Auto, Approval::Manual));
    assert_eq!(operations.collect_debug.release, Approval::Auto);
    assert_eq!(operations.run_task[&"reindex".parse().unwrap()], Approval::Manual);
}

#[test]
fn auto_without_limits_is_manual_where_it_matters() {
    let operations = policy("version: 1\napprovals: { scale: auto, configure: auto }").operations().clone();
    assert_eq!(operations.scale.effective(), Approval::Manual);
    assert_eq!(operations.configure.effective(), Approval::Manual);
    let limited = "version: 1\napprovals: { configure: { mode: auto, limits: { settings: [log.level] } } }";
    assert_eq!(policy(limited).operations().configure.effective(), Approval::Auto);
}

#[test]
fn approvals_know_no_other_operation_and_no_other_answer() {
    for bad in
        ["{ explode: auto }", "{ restart: always }", "{ restart: { mode: auto, x: 1 } }", "{ scale: {} }"]
    {
        assert!(load(&format!("version: 1\napprovals: {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn approvers_are_known_by_key_or_uid() {
    let line = key().to_line().unwrap();
    let text =
        format!("version: 1\napprovers: {{ alice: {{ key: \"{line}\", uid: 1001 }}, bob: {{ uid: 1002 }} }}");
    let policy = policy(&text);
    let alice = "alice".parse().unwrap();
    assert_eq!(policy.approvers().by_uid(1001), Some(&alice));
    assert_eq!(policy.approvers().get(&alice).unwrap().key.as_ref().unwrap().to_line(), Some(line));
}

#[test]
fn an_approver_who_cannot_be_told_from_another_is_refused() {
    let line = key().to_line().unwrap();
    for bad in [
        "{ alice: {} }".to_owned(),
        "{ alice: { uid: 0 } }".to_owned(),
        "{ alice: { uid: 65534 } }".to_owned(),
        "{ alice: { uid: 4294967295 } }".to_owned(),
        "{ Alice: { uid: 1001 } }".to_owned(),
        "{ alice: { key: \"ed25519:AAAA\" } }".to_owned(),
        "{ alice: { uid: 1001 }, bob: { uid: 1001 } }".to_owned(),
        format!("{{ alice: {{ key: \"{line}\" }}, bob: {{ key: \"{line}\" }} }}"),
    ] {
        assert!(load(&format!("version: 1\napprovers: {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn a_limit_of_nothing_is_no_limit_to_write() {
    for bad in ["bytes: 0B", "callsPerMinute: 0", "streams: 0"] {
        let text = format!("version: 1\naccess: [{{methods: [a.B/C], approval: auto, limits: {{{bad}}}}}]");
        assert!(load(&text).is_err(), "{bad}");
    }
    assert!(load("version: 1\naccess: [{methods: [a.B/C], approval: deny, limits: {streams: 1}}]").is_err());
}

#[test]
fn the_effective_policy_can_be_read_again_and_means_the_same() {
    let line = key().to_line().unwrap();
    let texts = [
        format!("version: 1\npreset: delegated\napprovers: {{ alice: {{ key: \"{line}\", uid: 1001 }} }}"),
        format!(
            "{POLICY}approvals: {{ scale: {{ mode: auto, limits: {{ maxStep: 2 }} }}, runTask: {{ a: auto }} }}"
        ),
        "version: 1\nstreams: untilCertificateExpires".to_owned(),
        "version: 1".to_owned(),
    ];
    for text in texts {
        let policy = profiled(&text);
        let again = profiled(&Effective(&policy).to_string());
        assert_eq!((again.clocks(), again.approvers()), (policy.clocks(), policy.approvers()));
        assert_eq!((again.operations(), again.streams()), (policy.operations(), policy.streams()));
        let plain = |policy: &Policy| {
            policy.access().iter().map(|rule| Rule { preset: None, ..rule.clone() }).collect::<Vec<_>>()
        };
        assert_eq!(plain(&again), plain(&policy));
    }
}

fn load(text: &str) -> Result<Policy, PolicyError> {
    Policy::load(text, Arc::default())
}

fn profiled(text: &str) -> Policy {
    let methods = methods().with_read_only([method("e.Read/Get")].into());
    Policy::load(text, Arc::new(methods)).unwrap()
}

fn key() -> PublicKey {
    SigningKey::generate(Algorithm::Ed25519).unwrap().public().clone()
}

#[test]
fn rules_that_never_count_are_warned_of() {
    let text = "version: 1\naccess:\n  - { methods: [\"e.Read/*\"], approval: manual }\n  \
                - { methods: [\"e.Read/Get\"], approval: auto }\n  - { methods: [\"e.Gone/*\", \"e.Read/No\"], approval: deny }\n";
    let warnings = profiled(text).warnings();
    let rule = |number| format!("access rule {number}");
    let nothing = |pattern: &str| Warning::MatchesNothing { rule: rule(3), pattern: pattern.into() };
    assert_eq!(
        warnings,
        [
            Warning::Shadowed { rule: rule(2) },
            nothing("e.Gone/*"),
            nothing("e.Read/No"),
            Warning::NobodyApproves
        ]
    );
}

#[test]
fn only_what_mutates_without_a_person_is_warned_of() {
    let text = "version: 1\naccess: [{ methods: [\"e.Read/Get\", \"e.Read/List\", \"grpc.health.v1.Health/Check\"], approval: auto }]";
    let mutates = Warning::AutoMutates { rule: "access rule 1".into(), method: method("e.Read/List") };
    assert_eq!(profiled(text).warnings(), [mutates]);
}

#[test]
fn a_user_id_that_two_approvers_have_is_nobodys() {
    let one = |name: &str| (name.parse().unwrap(), Approver { key: None, uid: Some(1001) });
    let both: Approvers = [one("alice"), one("bob")].into_iter().collect();
    assert_eq!(both.by_uid(1001), None);
    assert!([one("alice")].into_iter().collect::<Approvers>().by_uid(1001).is_some());
}

#[test]
fn delegated_lets_no_bundle_leave_by_itself() {
    assert_eq!(policy("version: 1\npreset: delegated").operations().collect_debug.release, Approval::Manual);
    assert_eq!(Operations::all(Approval::Auto).collect_debug.release, Approval::Manual);
}

#[tokio::test]
async fn a_new_profile_makes_another_policy_of_the_same_text() {
    let folder = tempfile::tempdir().unwrap();
    let (profile, policy) = (folder.path().join("profile.yaml"), folder.path().join("policy.yaml"));
    let text = |name: &str| format!("name: {name}\nendpoints: {{ default: \"http://127.0.0.1:9\" }}\n");
    std::fs::write(&profile, text("one")).unwrap();
    std::fs::write(&policy, "version: 1\n").unwrap();
    let (mut profile_file, engine) = crate::engine::ProfileFile::open(profile.clone()).unwrap();
    let methods = Arc::new(Methods::of(engine.engine.borrow().profile()));
    let (file, mut state) = PolicyFile::open(Some(policy.clone()), methods);
    let before = state.policy.borrow_and_update().digest().to_owned();
    let _watching = tunnel_runtime::tasks::Task::spawn(
        tracing::Span::none(),
        file.following(engine.engine.clone()).watch(),
    );
    std::fs::write(&profile, text("other")).unwrap();
    profile_file.refresh();
    let changed = state.policy.wait_for(|policy| policy.digest() != before);
    let other = tokio::time::timeout(WAIT, changed).await.unwrap().unwrap().digest().to_owned();
    std::fs::write(&policy, "version: [").unwrap();
    tokio::time::timeout(WAIT, state.error.wait_for(|error| !error.is_empty())).await.unwrap().unwrap();
    std::fs::write(&profile, text("third")).unwrap();
    profile_file.refresh();
    let changed = state.policy.wait_for(|policy| policy.digest() != other);
    let third = tokio::time::timeout(WAIT, changed).await.expect("a broken file keeps no profile out");
    assert_ne!(third.unwrap().digest(), before);
    assert!(!state.error.borrow().is_empty());
}

const WAIT: std::time::Duration = std::time::Duration::from_secs(10);
