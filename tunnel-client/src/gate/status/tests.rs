use super::*;

fn method() -> MethodName {
    "engine.admin.v1.Admin/Scale".parse().unwrap()
}

fn all() -> Vec<Refusal> {
    let rule = || "access rule 2".to_owned();
    let shapes = [Shape::Method, Shape::Path, Shape::ContentType, Shape::Te, Shape::Timeout];
    let overs = [Over::Ended, Over::Revoked, Over::Withdrawn, Over::Expired];
    let limits = [Limit::Bytes, Limit::CallsPerMinute, Limit::Streams];
    let mut all: Vec<_> = shapes.map(Refusal::Shape).into();
    all.extend(overs.map(Refusal::GrantOver));
    all.extend(limits.map(|limit| Refusal::Limit { rule: rule(), limit }));
    all.extend([
        Refusal::CertificateExpired,
        Refusal::GrantWaiting,
        Refusal::NotGranted(method()),
        Refusal::PolicyStricter { method: method(), rule: rule() },
        Refusal::Sessions,
        Refusal::EngineDown,
        Refusal::EngineLost,
        Refusal::EngineNotGrpc,
        Refusal::EngineHeaders,
        Refusal::EngineFlood,
        Refusal::EngineNoStatus,
        Refusal::Draining,
        Refusal::AuditUnwritable,
        Refusal::Deadline,
    ]);
    all
}

fn cluster() -> ClusterName {
    "acme/prod".parse().unwrap()
}

#[test]
fn every_status_says_what_to_do_and_carries_error_info() {
    for refusal in all() {
        let status = refusal.status(&cluster());
        assert!(!matches!(status.code(), Code::Unknown | Code::Ok | Code::Internal), "{refusal:?}");
        assert!(status.message().len() > 20 && !status.message().contains('\n'), "{refusal:?}");
        let info = status.get_details_error_info().expect("every refusal has its ErrorInfo");
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (refusal.reason(), DOMAIN));
        assert_eq!(info.metadata["cluster"], "acme/prod");
    }
}

#[test]
fn an_ungranted_method_is_named_with_the_command_that_asks_for_it() {
    let status = Refusal::NotGranted(method()).status(&cluster());
    assert_eq!(status.code(), Code::PermissionDenied);
    let command = "tunnelctl connect acme/prod --method engine.admin.v1.Admin/Scale --reason";
    assert!(status.message().contains(command), "{}", status.message());
    assert_eq!(status.get_details_error_info().unwrap().metadata["method"], method().as_str());
}

#[test]
fn a_stricter_policy_names_its_rule() {
    let refusal = Refusal::PolicyStricter { method: method(), rule: "access rule 2".into() };
    assert!(refusal.status(&cluster()).message().contains("access rule 2"));
}

#[test]
fn the_dead_are_unauthenticated() {
    for refusal in [Refusal::CertificateExpired, Refusal::GrantOver(Over::Revoked)] {
        let status = refusal.status(&cluster());
        assert_eq!(status.code(), Code::Unauthenticated);
        assert!(status.message().contains("run `tunnelctl connect acme/prod`"));
    }
}
