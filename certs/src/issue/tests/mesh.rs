//! Leaves that renew themselves: a day, and of the request only the key.

use super::*;

#[test]
fn a_greedy_request_gets_its_key_certified_and_nothing_else() {
    let ca = Ca::new(CaKind::Mesh);
    let key = rcgen::KeyPair::generate().unwrap();
    let (broker, replica) = ("b1".parse().unwrap(), "r1".parse().unwrap());
    let csr = greedy_csr(&key);
    for (issued, identity, usages) in [
        (
            ca.authority.certify_replica(&csr, &vendor(), &label(), &replica, NOW).unwrap(),
            Identity::Replica { vendor: vendor(), label: label(), id: replica },
            Usages::CLIENT,
        ),
        (
            ca.authority.certify_broker(&csr, &vendor(), &broker, NOW).unwrap(),
            Identity::Broker { vendor: vendor(), id: broker },
            Usages::BOTH,
        ),
    ] {
        let leaf = Leaf::read(&issued.certificate).unwrap();
        assert_eq!(leaf.p256().unwrap().raw(), key.public_key_raw());
        assert_eq!(leaf.identity(), Ok(identity));
        assert_eq!((leaf.is_ca, leaf.usages), (false, usages));
        assert_eq!((leaf.not_before, leaf.not_after), (NOW.minus(MINUTE), NOW.plus(MESH_LEAF_LIFE)));
        assert_eq!((issued.not_before, issued.not_after), (leaf.not_before, leaf.not_after));
        let role = leaf.identity().unwrap().role();
        assert!(ca.mesh().verify(&[issued.certificate], role, NOW).is_ok());
    }
}

#[test]
fn a_bad_request_or_another_ca_certifies_nothing() {
    let (mesh, access) = (Ca::new(CaKind::Mesh), Ca::new(CaKind::Access));
    let replica = "r1".parse().unwrap();
    let certify =
        |ca: &Ca, csr: &[u8], at| ca.authority.certify_replica(csr, &vendor(), &label(), &replica, at);
    let csr = p256().csr().unwrap();
    assert!(matches!(certify(&mesh, b"no request", NOW), Err(IssueError::Csr(CsrError::Malformed))));
    assert!(matches!(certify(&access, &csr, NOW), Err(IssueError::WrongCa("replica"))));
    let (_, end) = mesh.authority.validity();
    assert!(matches!(certify(&mesh, &csr, end.plus(HOUR)), Err(IssueError::Over(_))));
    let last = certify(&mesh, &csr, end.minus(HOUR)).unwrap();
    assert_eq!(last.not_after, end, "never outlives its CA");
}
