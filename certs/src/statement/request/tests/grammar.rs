//! Fields, counts and places.

use tunnel_protos::text::TextError;

use super::*;
use crate::csr::CsrError;

fn access(message: &mut v1::Request) -> &mut v1::AccessRequest {
    match &mut message.kind {
        Some(v1::request::Kind::Access(access)) => access,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_operator_is_the_one_in_the_certificate() {
    assert_eq!(World::new().fault(|m| m.operator = "bob".into()), Fault::Operator);
}

#[test]
fn it_is_for_this_cluster_by_name_and_label() {
    let world = World::new();
    assert_eq!(world.fault(|m| m.cluster = "acme/test".into()), Fault::Cluster);
    assert_eq!(world.fault(|m| m.label = "aaaaaaaaaa".into()), Fault::Cluster);
}

#[test]
fn it_speaks_version_one() {
    let world = World::new();
    assert_eq!(world.fault(|m| m.version = 0), Fault::Version(0));
    assert_eq!(world.fault(|m| m.version = 2), Fault::Version(2));
}

#[test]
fn names_and_ids_follow_their_grammar() {
    let world = World::new();
    assert_eq!(world.fault(|m| m.id = m.id.to_uppercase()), Fault::Field("id"));
    assert_eq!(world.fault(|m| m.cluster = "acme".into()), Fault::Field("cluster"));
    assert_eq!(world.fault(|m| m.label = "short".into()), Fault::Field("label"));
    assert_eq!(world.fault(|m| m.operator = "Alice".into()), Fault::Field("operator"));
    assert_eq!(world.fault(|m| m.outcome_key = vec![1; 31]), Fault::Field("outcome key"));
    assert_eq!(world.fault(|m| access(m).targets[0] = "a b".into()), Fault::Field("target"));
}

#[test]
fn methods_are_patterns_of_one_service_at_most() {
    let world = World::new();
    for bad in ["*", "*/*", "a.B/G*", "/a.B/Get", "a.B", "a.B/Get?x"] {
        let fault = world.fault(|m| access(m).methods[0] = bad.into());
        assert_eq!(fault, Fault::Field("method pattern"), "{bad}");
    }
}

#[test]
fn counts_are_bounded() {
    let world = World::new();
    let too_many = vec!["a.B/Get".to_owned(); 65];
    assert!(matches!(
        world.fault(|m| access(m).methods = too_many),
        Fault::Number { what: "methods", got: 65 }
    ));
    assert!(matches!(world.fault(|m| access(m).methods.clear()), Fault::Number { got: 0, .. }));
    assert!(matches!(
        world.fault(|m| access(m).targets = vec!["default".to_owned(); 65]),
        Fault::Number { what: "targets", .. }
    ));
    assert!(matches!(world.fault(|m| access(m).targets.clear()), Fault::Number { got: 0, .. }));
    assert_eq!(world.fault(|m| access(m).wanted_ms = 0), Fault::Field("wanted duration"));
}

#[test]
fn texts_are_one_line_without_tricks() {
    let world = World::new();
    for bad in ["a\nb", "a\u{202E}b", "\u{1b}[31m", "a\u{200B}b"] {
        let fault = world.fault(|m| m.reason.as_mut().unwrap().text = bad.into());
        assert!(matches!(fault, Fault::Text { field: "reason", error: TextError::Character(_) }), "{bad:?}");
        let fault = world.fault(|m| m.reason.as_mut().unwrap().ticket = bad.into());
        assert!(matches!(fault, Fault::Text { field: "ticket", .. }), "{bad:?}");
    }
    let long = world.fault(|m| m.reason.as_mut().unwrap().text = "x".repeat(513));
    assert_eq!(long, Fault::Text { field: "reason", error: TextError::TooLong });
}

#[test]
fn there_is_a_reason() {
    let world = World::new();
    assert_eq!(world.fault(|m| m.reason = None), Fault::Field("reason"));
    assert_eq!(world.fault(|m| m.reason.as_mut().unwrap().text = "  ".into()), Fault::Field("reason"));
    assert_eq!(world.fault(|m| m.reason.as_mut().unwrap().r#type = 0), Fault::Field("reason's type"));
    assert_eq!(world.fault(|m| m.reason.as_mut().unwrap().r#type = 99), Fault::Field("reason's type"));
}

#[test]
fn it_asks_for_exactly_one_thing() {
    assert_eq!(World::new().fault(|m| m.kind = None), Fault::NoKind);
}

#[test]
fn a_swapped_or_unsigned_csr_is_refused() {
    let world = World::new();
    let mut csr = p256().csr().unwrap();
    let last = csr.len() - 1;
    csr[last] ^= 1;
    let grant = RequestId::random().to_string();
    let kind = v1::request::Kind::Certificate(v1::CertificateRequest { grant: grant.clone(), csr });
    assert!(matches!(world.fault(|m| m.kind = Some(kind)), Fault::Csr(_)));
    let kind = v1::request::Kind::Certificate(v1::CertificateRequest { grant, csr: vec![0; 5000] });
    assert_eq!(world.fault(|m| m.kind = Some(kind)), Fault::Csr(CsrError::TooLarge));
}

#[test]
fn withdrawn_requests_and_grants_have_ids() {
    let world = World::new();
    let kind = v1::request::Kind::Withdraw(v1::WithdrawRequest { request: "x".into() });
    assert_eq!(world.fault(|m| m.kind = Some(kind)), Fault::Field("withdrawn request"));
    let csr = p256().csr().unwrap();
    let kind = v1::request::Kind::Certificate(v1::CertificateRequest { grant: "x".into(), csr });
    assert_eq!(world.fault(|m| m.kind = Some(kind)), Fault::Field("grant"));
}
