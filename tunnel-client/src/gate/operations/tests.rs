use super::*;

fn method(name: &str) -> MethodName {
    name.parse().unwrap()
}

#[test]
fn only_what_changes_nothing_counts_as_reading() {
    for name in crate::policy::operation_methods(false) {
        assert!(is_own(&name));
        let reads = ["Get", "Watch", "FetchBundle"].contains(&name.method());
        assert_eq!(mutates(&name), !reads, "{name}");
    }
    assert!(mutates(&method("postern.operations.v1.Operations/Later")));
    assert!(!is_own(&method("postern.approvers.v1.Approvers/Approve")));
}

#[test]
fn every_method_of_the_service_can_be_granted_and_no_other() {
    let all = descriptors().unwrap();
    let service: std::collections::BTreeSet<_> =
        all.methods().map(|method| method.name().clone()).filter(is_own).collect();
    assert_eq!(service, crate::policy::operation_methods(false));
}
