use std::sync::Arc;

use super::*;
use crate::gate::{
    grants::{GrantRef, Level},
    methods::REFLECTION,
    testing,
};

const PATH: &str = "/engine.admin.v1.Admin/Get";
const NOW: UnixMillis = UnixMillis(1_000_000);

fn head(path: &str) -> CallHead<'_> {
    CallHead {
        method: "POST",
        path,
        content_type: Some(b"application/grpc"),
        te: Some(b"trailers"),
        timeout: None,
    }
}

fn granted() -> GrantRef {
    testing::grant(&[("engine.admin.v1.Admin/Get", Level::Auto)])
}

fn methods(policy: &str) -> Methods {
    Methods::new(&granted(), &testing::policy(policy), |_| true)
}

fn facts(methods: &Methods) -> Facts<'_> {
    Facts {
        now: NOW,
        paused: None,
        certificate_end: NOW.plus(Duration::from_secs(60)),
        life: Life::Active { until: NOW.plus(Duration::from_secs(600)) },
        methods,
        longest: None,
    }
}

fn refusal(head: &CallHead<'_>, change: impl FnOnce(&mut Facts<'_>)) -> Refusal {
    let methods = methods(testing::ALLOW_ALL);
    let mut facts = facts(&methods);
    change(&mut facts);
    decide(head, &facts).map(|verdict| verdict.timeout).unwrap_err()
}

#[test]
fn a_granted_call_passes_until_the_grant_ends() {
    let methods = methods(testing::ALLOW_ALL);
    let facts = facts(&methods);
    let verdict = decide(&head(PATH), &facts).unwrap();
    assert_eq!(verdict.way, Way::Forward);
    let method = verdict.method;
    assert_eq!((method.name().path().as_str(), method.mutates()), (PATH, true));
    assert_eq!(verdict.timeout, Duration::from_secs(600));
}

#[test]
fn a_call_gets_the_shortest_of_its_own_the_gates_and_the_grants_time() {
    let methods = methods(testing::ALLOW_ALL);
    let mut facts = facts(&methods);
    let asking = CallHead { timeout: Some(b"5S"), ..head(PATH) };
    assert_eq!(decide(&asking, &facts).unwrap().timeout, Duration::from_secs(5));
    facts.longest = Some(Duration::from_secs(3));
    assert_eq!(decide(&asking, &facts).unwrap().timeout, Duration::from_secs(3));
}

#[test]
fn only_the_shape_of_a_grpc_call_passes() {
    let good = head(PATH);
    let cases = [
        (CallHead { method: "GET", ..good }, Shape::Method),
        (CallHead { method: "CONNECT", ..good }, Shape::Method),
        (CallHead { content_type: None, ..good }, Shape::ContentType),
        (CallHead { content_type: Some(b"application/json"), ..good }, Shape::ContentType),
        (CallHead { content_type: Some(b"application/grpc-web"), ..good }, Shape::ContentType),
        (CallHead { te: None, ..good }, Shape::Te),
        (CallHead { te: Some(b"gzip"), ..good }, Shape::Te),
        (CallHead { timeout: Some(b"soon"), ..good }, Shape::Timeout),
        (CallHead { path: "/v1/keys/one", ..good }, Shape::Path),
        (CallHead { path: "/engine.admin.v1.Admin/Get?x=1", ..good }, Shape::Path),
        (CallHead { path: "//engine.admin.v1.Admin/Get", ..good }, Shape::Path),
        (CallHead { path: "/engine.admin.v1.Admin/Get/", ..good }, Shape::Path),
        (CallHead { path: "*", ..good }, Shape::Path),
    ];
    for (head, shape) in cases {
        assert_eq!(refusal(&head, |_| ()), Refusal::Shape(shape), "{head:?}");
    }
}

#[test]
fn grpc_with_a_named_encoding_is_grpc() {
    for (value, grpc) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("application/grpc;charset=utf-8", true),
        ("application/grpcx", false),
        ("text/html", false),
    ] {
        assert_eq!(is_grpc(value.as_bytes()), grpc, "{value}");
    }
}

#[test]
fn an_expired_certificate_opens_nothing_new() {
    let refused = refusal(&head(PATH), |facts| facts.certificate_end = NOW.minus(Duration::from_millis(1)));
    assert_eq!(refused, Refusal::CertificateExpired);
    let methods = methods(testing::ALLOW_ALL);
    assert!(decide(&head(PATH), &Facts { certificate_end: NOW, ..facts(&methods) }).is_ok());
}

#[test]
fn a_pause_comes_before_whatever_else_is_wrong() {
    let pause = testing::pause(NOW);
    let told = |note: &str| Refusal::Paused { since: NOW, note: note.into() };
    for path in [PATH, "/engine.admin.v1.Admin/Drop", REFLECTION[0]] {
        let methods = methods(testing::ALLOW_ALL);
        let life = Life::Over(Over::Revoked);
        let facts = Facts { paused: Some(&pause), life, ..facts(&methods) };
        let refused = |facts: &Facts<'_>| decide(&head(path), facts).map(drop).unwrap_err();
        assert_eq!(refused(&facts), told(""), "who has no grant is not told why");
        assert_eq!(
            refused(&Facts { life: Life::Active { until: NOW.plus(Duration::from_secs(60)) }, ..facts }),
            told("incident")
        );
    }
}

#[test]
fn reflection_needs_a_live_grant_and_certificate_and_nothing_else() {
    let methods = methods(testing::ALLOW_ALL);
    for path in REFLECTION {
        let verdict = decide(&head(path), &facts(&methods)).unwrap();
        assert_eq!((verdict.way, verdict.method.mutates()), (Way::Reflect, false), "{path}");
        let dead = refusal(&head(path), |facts| facts.life = Life::Over(Over::Revoked));
        assert_eq!(dead, Refusal::GrantOver(Over::Revoked));
        let late = refusal(&head(path), |facts| facts.certificate_end = NOW.minus(Duration::from_millis(1)));
        assert_eq!(late, Refusal::CertificateExpired);
    }
    let other = refusal(&head("/grpc.reflection.v1.ServerReflection/Other"), |_| ());
    assert!(matches!(other, Refusal::NotGranted(_)));
}

#[test]
fn the_engines_own_reflection_is_never_reached() {
    let grant =
        testing::grant(&[("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Level::Manual)]);
    let policy =
        "{ version: 1, access: [ { methods: ['grpc.reflection.v1.ServerReflection/*'], approval: auto } ] }";
    let methods = Methods::new(&grant, &testing::policy(policy), |_| true);
    assert!(methods.get(REFLECTION[0]).is_some());
    assert_eq!(decide(&head(REFLECTION[0]), &facts(&methods)).unwrap().way, Way::Reflect);
}

#[test]
fn a_grant_that_is_over_says_how() {
    for over in [Over::Ended, Over::Revoked, Over::Withdrawn, Over::Expired] {
        let refused = refusal(&head(PATH), |facts| facts.life = Life::Over(over));
        assert_eq!(refused, Refusal::GrantOver(over));
    }
}

#[test]
fn a_grant_ends_at_its_end_even_if_nobody_says_so() {
    let refused = refusal(&head(PATH), |facts| facts.life = Life::Active { until: NOW });
    assert_eq!(refused, Refusal::GrantOver(Over::Ended));
}

#[test]
fn a_grant_that_is_not_active_lets_nothing_pass() {
    assert_eq!(refusal(&head(PATH), |facts| facts.life = Life::Waiting), Refusal::GrantWaiting);
}

#[test]
fn a_method_that_is_not_granted_is_named() {
    let other = "/engine.admin.v1.Admin/Drop";
    let refused = refusal(&head(other), |_| ());
    assert_eq!(refused, Refusal::NotGranted("engine.admin.v1.Admin/Drop".parse().unwrap()));
}

#[test]
fn a_policy_that_became_stricter_refuses_what_was_granted() {
    let methods = methods(testing::MANUAL_ALL);
    let refused = decide(&head(PATH), &facts(&methods)).map(|verdict| verdict.timeout).unwrap_err();
    let method = "engine.admin.v1.Admin/Get".parse().unwrap();
    assert_eq!(refused, Refusal::PolicyStricter { method, rule: "access rule 1".into() });
}

#[test]
fn our_own_services_are_never_the_engines() {
    let grant = testing::grant(&[("postern.operations.v1.Operations/Start", Level::Manual)]);
    let methods = Methods::new(&grant, &testing::policy(testing::ALLOW_ALL), |_| true);
    let refused = decide(&head("/postern.operations.v1.Operations/Start"), &facts(&methods)).map(|_| ());
    assert!(matches!(refused, Err(Refusal::NotGranted(_))));
}

#[test]
fn what_is_no_call_is_told_before_anything_of_the_grant() {
    let refused = refusal(&head("/v1/keys/one"), |facts| facts.life = Life::Over(Over::Revoked));
    assert_eq!(refused, Refusal::Shape(Shape::Path));
}

#[test]
fn a_dead_grant_is_told_before_a_missing_method() {
    let refused = refusal(&head("/a.B/C"), |facts| facts.life = Life::Over(Over::Revoked));
    assert_eq!(refused, Refusal::GrantOver(Over::Revoked));
}

#[test]
fn a_persons_yes_outlives_a_rule_that_became_manual() {
    let grant = testing::grant(&[("engine.admin.v1.Admin/Get", Level::Manual)]);
    let methods = Methods::new(&grant, &Arc::new(testing::policy(testing::MANUAL_ALL)), |_| true);
    assert!(decide(&head(PATH), &facts(&methods)).is_ok());
}
