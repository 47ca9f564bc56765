//! Each operation refused for each reason, in one clear sentence, and nothing touched at the engine.

use tunnel_certs::statement::{outcome::Outcome, request::operation::What};
use tunnel_integration::{
    generated::admin::v1::{Node, NodeState},
    harness::{
        operation::{
            configure, debug, downgrade, dry_run, on_approval, on_call, restart, scale, task, upgrade,
        },
        release::{Manifest, ReleaseKeys},
    },
};
use tunnel_protos::{operations::v1::StartRequest, v1::RequestState};

use super::{Lab, POLICY, sentence};

/// Denied by itself, in a sentence that has these parts, whether it would be run or only planned.
async fn denied(lab: &Lab, what: What, parts: &[&str]) -> Outcome {
    let mut last = None;
    for asked in [on_approval(what.clone()), dry_run(what)] {
        let submitted = lab.ask(asked.clone()).await;
        let (outcome, customers) = lab.over_for_both(&submitted).await;
        assert_eq!(outcome.state, RequestState::Denied, "{asked:?}: {outcome:?}");
        sentence(&outcome.reason, &[]);
        sentence(&customers, parts);
        last = Some(outcome);
    }
    last.unwrap()
}

/// The engine is as it was at first.
pub(super) async fn untouched(lab: &Lab) {
    let status = lab.status().await;
    let of = |node: &Node| (node.release.clone(), node.restarts, node.state());
    let first = ("1.0.0".to_owned(), 0, NodeState::Ready);
    assert_eq!(status.nodes.iter().map(of).collect::<Vec<_>>(), vec![first; 4]);
    assert_eq!(status.settings["logLevel"], "info");
}

#[tokio::test]
async fn what_the_policy_does_not_name_is_denied_by_it() {
    let policy = |without: &str| {
        let keep = |line: &&str| !line.trim_start().starts_with(without);
        POLICY.lines().filter(keep).map(|line| format!("{line}\n")).collect::<String>()
    };
    let (mut plan, key, keys) = Lab::plan().await;
    plan.client.policy = key.policy(&policy("scale").replace("  restart: auto\n", "  restart: deny\n"));
    let lab = Lab::of(plan.start().await.unwrap(), key, keys);
    denied(&lab, scale("storage", 3, 4).unwrap(), &["policy", "Scaling"]).await;
    denied(&lab, restart("storage", &[], 3).unwrap(), &["policy", "restart"]).await;
    denied(&lab, task("gc", &[]).unwrap(), &["policy", "gc"]).await;
    untouched(&lab).await;
}

#[tokio::test]
async fn each_kind_that_the_policy_leaves_out_is_denied() {
    let (mut plan, key, keys) = Lab::plan().await;
    plan.client.policy = key.policy("  - methods: [\"grpc.health.v1.Health/*\"]\n    approval: auto\n");
    let lab = Lab::of(plan.start().await.unwrap(), key, keys);
    for what in [
        scale("storage", 3, 4).unwrap(),
        lab.upgrade("1.0.0", "1.1.0", 2),
        restart("storage", &[], 3).unwrap(),
        configure("storage", "logLevel", "info", "debug").unwrap(),
        task("compact", &[]).unwrap(),
        debug(&["status"]).unwrap(),
    ] {
        denied(&lab, what, &["policy"]).await;
    }
    untouched(&lab).await;
}

#[tokio::test]
async fn another_value_than_the_one_expected_is_denied_and_named() {
    let lab = Lab::start().await;
    let setting = configure("storage", "logLevel", "warn", "debug").unwrap();
    for (what, parts) in [
        (scale("storage", 2, 4).unwrap(), ["storage", "2", "3"]),
        (lab.upgrade("0.9.0", "1.1.0", 2), ["storage", "0.9.0", "1.0.0"]),
        (restart("storage", &[], 4).unwrap(), ["storage", "4", "3"]),
        (setting, ["logLevel", "warn", "info"]),
    ] {
        let told = denied(&lab, what, &parts).await.reason;
        sentence(&told, &[parts[0], "not as expected"]);
        assert!(!told.contains(parts[2]), "what was found needs no approval then: {told}");
    }
    untouched(&lab).await;
}

#[tokio::test]
async fn a_release_must_be_signed_by_enough_keys_that_the_vendor_named() {
    let lab = Lab::start().await;
    let manifest = Manifest::new("storage", "1.1.0", 2);
    let keys = lab.world.vendor.releases();
    let stranger = ReleaseKeys::generate().unwrap();
    for (signed, parts) in [
        (Vec::new(), &["release"][..]),
        (b"not a manifest at all".to_vec(), &["release"]),
        (keys.sign_by(1, &manifest).unwrap(), &["release"]),
        (stranger.sign(&manifest).unwrap(), &["release"]),
    ] {
        denied(&lab, upgrade("storage", "1.0.0", signed).unwrap(), parts).await;
    }
    untouched(&lab).await;
}

#[tokio::test]
async fn a_release_names_digests_a_component_and_a_time() {
    let lab = Lab::start().await;
    let sign = |manifest: Manifest| lab.world.vendor.releases().sign(&manifest).unwrap();
    let manifest = || Manifest::new("storage", "1.1.0", 2);
    let tagged = sign(manifest().with_repository("registry.example/engine:latest"));
    denied(&lab, upgrade("storage", "1.0.0", tagged).unwrap(), &["tag"]).await;
    let other = sign(Manifest::new("query", "1.1.0", 2));
    denied(&lab, upgrade("storage", "1.0.0", other).unwrap(), &["query"]).await;
    denied(&lab, upgrade("storage", "1.0.0", sign(manifest().expired())).unwrap(), &["expired"]).await;
    let too_far = sign(manifest().over(1));
    denied(&lab, upgrade("storage", "1.0.0", too_far).unwrap(), &["release"]).await;
    untouched(&lab).await;
}

#[tokio::test]
async fn an_old_release_is_denied_unless_a_person_says_yes() {
    let lab = Lab::start().await;
    let (_, outcome) = lab.run(lab.upgrade("1.0.0", "1.2.0", 3)).await;
    assert_eq!(outcome.state, RequestState::Succeeded, "{outcome:?}");
    denied(&lab, lab.upgrade("1.2.0", "1.1.0", 2), &["3", "2"]).await;
    denied(&lab, lab.upgrade("1.2.0", "1.2.0", 3), &["3"]).await;
    let back = downgrade("storage", "1.2.0", lab.release("storage", "1.1.0", 2)).unwrap();
    let submitted = lab.ask(on_approval(back)).await;
    let view = lab.planned(&submitted).await;
    assert!(view.running.as_ref().unwrap().plan.as_ref().unwrap().releases[0].downgrade);
    lab.approve(&submitted, &view).await.unwrap();
    assert_eq!(lab.over(&submitted).await.state, RequestState::Succeeded);
    assert!(lab.storage().await.iter().all(|(release, _)| release == "1.1.0"));
}

#[tokio::test]
async fn a_downgrade_takes_a_person_even_where_upgrades_do_not() {
    let (mut plan, key, keys) = Lab::plan().await;
    plan.client.policy = key.policy(&POLICY.replace("upgrade: manual", "upgrade: auto"));
    let lab = Lab::of(plan.start().await.unwrap(), key, keys);
    let (_, outcome) = lab.run(lab.upgrade("1.0.0", "1.2.0", 3)).await;
    assert_eq!(outcome.state, RequestState::Succeeded, "{outcome:?}");
    let back = downgrade("storage", "1.2.0", lab.release("storage", "1.1.0", 2)).unwrap();
    let submitted = lab.ask(on_approval(back)).await;
    lab.planned(&submitted).await;
}

#[tokio::test]
async fn what_the_profile_does_not_know_is_denied_by_name() {
    let lab = Lab::start().await;
    denied(&lab, scale("archive", 3, 4).unwrap(), &["archive", "profile"]).await;
    let unknown = upgrade("archive", "1.0.0", lab.release("archive", "1.1.0", 2)).unwrap();
    denied(&lab, unknown, &["archive", "profile"]).await;
    denied(&lab, restart("archive", &[], 3).unwrap(), &["archive", "profile"]).await;
    denied(&lab, configure("archive", "logLevel", "info", "debug").unwrap(), &["archive", "profile"]).await;
    denied(&lab, restart("storage", &["storage-9"], 3).unwrap(), &["storage-9"]).await;
    denied(&lab, configure("storage", "colour", "red", "blue").unwrap(), &["colour"]).await;
    denied(&lab, task("polish", &[]).unwrap(), &["polish"]).await;
    denied(&lab, task("compact", &[("speed", "1")]).unwrap(), &["speed"]).await;
    denied(&lab, debug(&["everything"]).unwrap(), &["everything"]).await;
    untouched(&lab).await;
}

#[tokio::test]
async fn what_is_out_of_bounds_is_denied_with_its_bounds() {
    let lab = Lab::start().await;
    denied(&lab, scale("storage", 3, 65).unwrap(), &["65", "64"]).await;
    let loud = configure("storage", "logLevel", "info", "loud").unwrap();
    denied(&lab, loud, &["logLevel", "debug"]).await;
    let huge = configure("storage", "cacheMegabytes", "64", "70000").unwrap();
    denied(&lab, huge, &["cacheMegabytes", "65536"]).await;
    let slow = task("compact", &[("pauseMillis", "60001")]).unwrap();
    denied(&lab, slow, &["pauseMillis", "60000"]).await;
    let secret = configure("storage", "adminPassword", "***", "another password").unwrap();
    denied(&lab, secret, &["adminPassword", "sensitive"]).await;
    untouched(&lab).await;
}

#[tokio::test]
async fn while_paused_nothing_starts_and_everybody_is_told() {
    let lab = Lab::start().await;
    let approved = lab.ask(on_call(restart("storage", &[], 3).unwrap())).await;
    lab.ada.reaches(&approved, &[RequestState::Approved]).await.unwrap();
    let paused = lab.world.approver().pause().await.unwrap();
    // What the policy would do by itself waits for a person, who cannot say yes before the end of the pause.
    for what in [scale("storage", 3, 4).unwrap(), lab.upgrade("1.0.0", "1.1.0", 2)] {
        let submitted = lab.ask(on_approval(what)).await;
        let view = lab.planned(&submitted).await;
        let refused = lab.approve(&submitted, &view).await.unwrap_err();
        sentence(refused.message(), &["paused"]);
    }
    untouched(&lab).await;
    lab.resume(&paused.id).await;
    lab.session(&approved).await.api().start(StartRequest {}).await.unwrap();
    assert_eq!(lab.over(&approved).await.state, RequestState::Succeeded);
}

#[tokio::test]
async fn while_paused_what_waits_for_its_operator_cannot_be_started() {
    let lab = Lab::start().await;
    let approved = lab.ask(on_call(scale("storage", 3, 4).unwrap())).await;
    lab.ada.reaches(&approved, &[RequestState::Approved]).await.unwrap();
    let session = lab.session(&approved).await;
    session.get().await.unwrap();
    lab.world.approver().pause().await.unwrap();
    let refused = session.api().start(StartRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused:?}");
    untouched(&lab).await;
}

#[tokio::test]
async fn an_engine_that_is_down_is_told() {
    let mut lab = Lab::start().await;
    lab.world.stop_engine().await.unwrap();
    denied(&lab, scale("storage", 3, 4).unwrap(), &["engine"]).await;
}

#[tokio::test]
async fn a_call_of_an_operations_method_names_the_command_to_use() {
    let lab = Lab::start().await;
    let cluster = lab.world.cluster();
    for (method, command) in [
        ("Scale", "tunnelctl request scale"),
        ("Upgrade", "tunnelctl request upgrade"),
        ("Restart", "tunnelctl request restart"),
        ("Configure", "tunnelctl request configure"),
        ("RunTask", "tunnelctl request run"),
    ] {
        let method = format!("engine.admin.v1.Admin/{method}");
        let (_, outcome) = lab.ada.access(&cluster, &[&method]).await.unwrap();
        assert_eq!(outcome.state, RequestState::Denied, "{outcome:?}");
        sentence(&outcome.reason, &[command]);
    }
}
