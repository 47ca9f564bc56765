use super::*;

fn method() -> MethodName {
    "engine.admin.v1.Admin/Scale".parse().unwrap()
}

fn all() -> Vec<Refusal> {
    let rule = || "access rule 2".to_owned();
    let shapes = [Shape::Method, Shape::Path, Shape::ContentType, Shape::Te, Shape::Timeout];
    let overs = [Over::Ended, Over::Revoked, Over::Withdrawn, Over::Expired];
    let again = Duration::from_secs(12);
    let limits = [Limit::Bytes(64), Limit::CallsPerMinute { most: 600, again }, Limit::Streams(20)];
    let mut all: Vec<_> = shapes.map(Refusal::Shape).into();
    all.extend(overs.map(Refusal::GrantOver));
    all.extend(limits.map(|limit| Refusal::Limit { rule: rule(), limit }));
    all.extend([
        Refusal::CertificateExpired,
        Refusal::GrantWaiting,
        Refusal::Paused { since: UnixMillis(1_700_000_000_000), note: String::new() },
        Refusal::NoDescriptors,
        Refusal::Reflection,
        Refusal::NotGranted(method()),
        Refusal::OfOperation { method: method(), operation: "scale", name: "storage".to_owned() },
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

fn caller() -> Caller {
    let grant = "6ad6b3ab-6a6b-4a8c-8d8e-7a7b7c7d7e7f".parse().unwrap();
    Caller { cluster: "acme/prod".parse().unwrap(), grant }
}

fn told(refusal: &Refusal) -> Status {
    refusal.status(&caller(), Some(&method()))
}

#[test]
fn every_status_says_what_to_do_and_carries_error_info() {
    for refusal in all() {
        let status = told(&refusal);
        assert!(!matches!(status.code(), Code::Unknown | Code::Ok | Code::Internal), "{refusal:?}");
        assert!(status.message().len() > 20 && !status.message().contains('\n'), "{refusal:?}");
        let info = status.get_details_error_info().expect("every refusal has its ErrorInfo");
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (refusal.reason(), DOMAIN));
        assert_eq!(info.metadata["cluster"], "acme/prod");
    }
}

#[test]
fn a_method_of_an_operation_is_answered_with_the_request_to_make() {
    let name = "storage".to_owned();
    let status = told(&Refusal::OfOperation { method: method(), operation: "scale", name });
    let command = "run `tunnelctl request scale acme/prod storage --reason …`";
    assert!(status.message().contains(command), "{}", status.message());
    let own = "postern.operations.v1.Operations/Get".parse().unwrap();
    let over = Refusal::GrantOver(Over::Ended).status(&caller(), Some(&own));
    assert!(over.message().contains("tunnelctl request") && !over.message().contains("connect"));
}

#[test]
fn what_tools_ask_by_themselves_is_not_what_a_caller_should_ask_for() {
    let reflection = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo".parse().unwrap();
    let over = Refusal::GrantOver(Over::Revoked).status(&caller(), Some(&reflection));
    assert!(
        over.message().contains("`tunnelctl connect acme/prod --method … --reason …`"),
        "{}",
        over.message()
    );
}

#[test]
fn an_ungranted_method_is_named_with_the_command_that_asks_for_it() {
    let status = told(&Refusal::NotGranted(method()));
    assert_eq!(status.code(), Code::PermissionDenied);
    let command = "tunnelctl connect acme/prod --method engine.admin.v1.Admin/Scale --reason";
    assert!(status.message().contains(command), "{}", status.message());
    assert_eq!(status.get_details_error_info().unwrap().metadata["method"], method().as_str());
}

#[test]
fn a_stricter_policy_names_its_rule() {
    let refusal = Refusal::PolicyStricter { method: method(), rule: "access rule 2".into() };
    assert!(told(&refusal).message().contains("access rule 2"));
}

#[test]
fn the_dead_are_unauthenticated_with_the_command_that_revives() {
    let caller = caller();
    for (refusal, command) in [
        (Refusal::CertificateExpired, format!("`tunnelctl connect acme/prod --resume {}`", caller.grant)),
        (
            Refusal::GrantOver(Over::Revoked),
            "`tunnelctl connect acme/prod --method engine.admin.v1.Admin/Scale --reason …`".to_owned(),
        ),
    ] {
        let status = told(&refusal);
        assert_eq!(status.code(), Code::Unauthenticated);
        assert!(status.message().contains(&command), "{}", status.message());
    }
}

#[test]
fn each_kind_has_the_code_that_clients_act_on() {
    for (refusal, code) in [
        (Refusal::Paused { since: UnixMillis(0), note: String::new() }, Code::FailedPrecondition),
        (Refusal::GrantWaiting, Code::FailedPrecondition),
        (Refusal::Sessions, Code::ResourceExhausted),
        (Refusal::EngineDown, Code::Unavailable),
        (Refusal::Draining, Code::Unavailable),
        (Refusal::AuditUnwritable, Code::Unavailable),
        (Refusal::Deadline, Code::DeadlineExceeded),
        (Refusal::NoDescriptors, Code::Unimplemented),
    ] {
        assert_eq!(told(&refusal).code(), code, "{refusal:?}");
    }
}

#[test]
fn a_pause_says_since_when_and_why() {
    let since = UnixMillis(1_700_000_000_000);
    let silent = told(&Refusal::Paused { since, note: String::new() });
    assert!(silent.message().contains("since 2023-11-14T22:13:20Z; ask them"), "{}", silent.message());
    let status = told(&Refusal::Paused { since, note: "disks\u{202e} swapped".into() });
    assert!(status.message().contains(r"20Z: disks\u{202e} swapped; ask them"), "{}", status.message());
    assert_eq!(status.get_details_error_info().unwrap().metadata["since_ms"], "1700000000000");
}

#[test]
fn a_limit_says_which_its_value_and_when_to_try_again() {
    let again = Duration::from_secs(12);
    for (limit, name, value, retry) in [
        (Limit::Bytes(64), "bytes", "64", None),
        (Limit::CallsPerMinute { most: 600, again }, "callsPerMinute", "600", Some(again)),
        (Limit::Streams(20), "streams", "20", Some(Duration::from_secs(1))),
    ] {
        let status = told(&Refusal::Limit { rule: "access rule 2".into(), limit });
        assert!(status.message().contains(value) && status.message().contains("access rule 2"));
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.metadata["limit"].as_str(), info.metadata["value"].as_str()), (name, value));
        let wait = status.get_details_retry_info().and_then(|info| info.retry_delay);
        assert_eq!(wait, retry, "{name}");
        let quota = status.get_details_quota_failure().unwrap();
        assert_eq!(quota.violations[0].description, format!("access rule 2: {name} = {value}"));
    }
}

#[test]
fn only_what_passes_by_itself_says_when_to_try_again() {
    for (refusal, retries) in [
        (Refusal::EngineDown, true),
        (Refusal::EngineLost, true),
        (Refusal::Draining, true),
        (Refusal::AuditUnwritable, true),
        (Refusal::Sessions, true),
        (Refusal::CertificateExpired, false),
        (Refusal::Paused { since: UnixMillis(0), note: String::new() }, false),
        (Refusal::NotGranted(method()), false),
    ] {
        assert_eq!(told(&refusal).get_details_retry_info().is_some(), retries, "{refusal:?}");
    }
}
