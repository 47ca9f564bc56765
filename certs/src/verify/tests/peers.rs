//! Mesh peers and operators: time, life, vendor, CA.

use rcgen::CertificateParams;

use crate::{
    identity::{Identity, Role},
    issue::CaKind,
    key::Signer,
    roots::{Roots, RootsError},
    testing::{Ca, DAY, HOUR, MINUTE, NOW, alice, date, identities, p256, shape, uri, vendor},
    verify::VerifyError,
};

fn refusals(identity: &Identity, change: impl Fn(&mut CertificateParams)) -> VerifyError {
    let ca = Ca::new(CaKind::Mesh);
    let mut parameters = shape(identity);
    let verify = |parameters: &CertificateParams| match identity.role() {
        Role::Operator => ca.operators().verify(&[ca.forge(parameters)], NOW).map(|_| ()),
        role => ca.mesh().verify(&[ca.forge(parameters)], role, NOW).map(|_| ()),
    };
    assert_eq!(verify(&parameters), Ok(()), "good before the change");
    change(&mut parameters);
    verify(&parameters).unwrap_err()
}

fn mesh_and_operator() -> Vec<Identity> {
    identities().into_iter().filter(|identity| identity.role() != Role::Grant).collect()
}

#[test]
fn refuse_expired_and_future_certificates() {
    for identity in mesh_and_operator() {
        let expired = refusals(&identity, |p| {
            p.not_before = date(NOW.minus(2 * HOUR));
            p.not_after = date(NOW.minus(MINUTE));
        });
        assert_eq!(expired, VerifyError::Expired, "{identity}");
        let future = refusals(&identity, |p| p.not_before = date(NOW.plus(MINUTE)));
        assert_eq!(future, VerifyError::NotYetValid, "{identity}");
    }
}

#[test]
fn refuse_a_life_longer_than_the_roles() {
    for identity in mesh_and_operator() {
        let longest = if identity.role() == Role::Operator { 12 * HOUR } else { 30 * DAY };
        let too_long = refusals(&identity, |p| {
            p.not_after = date(NOW.minus(MINUTE).plus(longest).plus(std::time::Duration::from_secs(1)));
        });
        assert_eq!(too_long, VerifyError::TooLong, "{identity}");
    }
}

#[test]
fn refuse_another_vendor() {
    for identity in mesh_and_operator() {
        let foreign = identity.to_string().replace("initech", "globex");
        let refused = refusals(&identity, |p| p.subject_alt_names = vec![uri(&foreign)]);
        assert_eq!(refused, VerifyError::WrongRole, "{identity}");
    }
}

#[test]
fn refuse_a_second_name() {
    for identity in mesh_and_operator() {
        let other = identity.to_string().replace("b1", "b2").replace("r1", "r2").replace("alice", "bob");
        let refused = refusals(&identity, |p| p.subject_alt_names.push(uri(&other)));
        assert_eq!(refused, VerifyError::Names, "{identity}");
    }
}

#[test]
fn refuse_intermediates() {
    let ca = Ca::new(CaKind::Mesh);
    for identity in mesh_and_operator() {
        let chain = [ca.forge(&shape(&identity)), ca.authority.certificate().clone()];
        let refused = match identity.role() {
            Role::Operator => ca.operators().verify(&chain, NOW).map(|_| ()),
            role => ca.mesh().verify(&chain, role, NOW).map(|_| ()),
        };
        assert_eq!(refused, Err(VerifyError::Count(2)), "{identity}");
    }
}

#[test]
fn refuse_a_ca_that_has_expired_though_the_leaf_has_not() {
    let ca = Ca::made_at(CaKind::Mesh, NOW.minus(6 * 365 * DAY));
    let [broker, _, operator, _] = identities();
    let refused = ca.mesh().verify(&[ca.forge(&shape(&broker))], Role::Broker, NOW);
    assert_eq!(refused, Err(VerifyError::CaExpired));
    let refused = ca.operators().verify(&[ca.forge(&shape(&operator))], NOW);
    assert_eq!(refused, Err(VerifyError::CaExpired));
}

/// A CA that ends before what it signs as [`shape`] says.
fn about_to_end(kind: CaKind) -> Ca {
    let made = NOW.minus(DAY);
    let (_, end) = Ca::made_at(kind, made).authority.validity();
    Ca::made_at(kind, NOW.plus(5 * MINUTE).minus(end.since(made)))
}

#[test]
fn an_operator_is_believed_only_while_the_ca_is_valid() {
    let shape = shape(&Identity::Operator { vendor: vendor(), name: alice() });
    // CAs begin an hour before they are made.
    let young = Ca::made_at(CaKind::Operator, NOW.plus(HOUR + 3 * MINUTE));
    let verified = young.operators().verify(&[young.forge(&shape)], NOW.plus(5 * MINUTE)).unwrap();
    assert_eq!(verified.not_before, young.authority.validity().0, "later than the certificate's own");
    let old = about_to_end(CaKind::Operator);
    let verified = old.operators().verify(&[old.forge(&shape)], NOW).unwrap();
    assert_eq!(verified.not_after, old.authority.validity().1, "earlier than the certificate's own");
}

#[test]
fn a_tunnel_ends_with_the_ca_of_its_certificate() {
    let old = about_to_end(CaKind::Mesh);
    let broker = Identity::Broker { vendor: vendor(), id: "b1".parse().unwrap() };
    let peer = old.mesh().verify(&[old.forge(&shape(&broker))], Role::Broker, NOW).unwrap();
    assert_eq!(peer.not_after, old.authority.validity().1, "earlier than the certificate's own");
}

#[test]
fn a_tunnel_ends_with_its_certificate() {
    let ca = Ca::new(CaKind::Mesh);
    let [broker, ..] = identities();
    let peer = ca.mesh().verify(&[ca.forge(&shape(&broker))], Role::Broker, NOW).unwrap();
    assert_eq!(peer.identity, broker);
    assert_eq!(peer.not_after, NOW.plus(10 * MINUTE));
}

#[test]
fn an_operators_certificate_tells_name_window_and_key() {
    let ca = Ca::new(CaKind::Operator);
    let key = p256();
    let verified = ca.operators().verify(&[ca.operator(key.public(), NOW)], NOW).unwrap();
    assert_eq!(verified.operator, alice());
    assert_eq!(&verified.key, key.public());
    assert_eq!((verified.not_before, verified.not_after), (NOW.minus(MINUTE), NOW.plus(8 * HOUR)));
    assert_eq!(vendor().as_str(), "initech");
}

#[test]
fn roots_are_ca_certificates_and_at_least_one() {
    let ca = Ca::new(CaKind::Mesh);
    let [broker, ..] = identities();
    assert_eq!(Roots::new(vec![]), Err(RootsError::Empty));
    assert_eq!(Roots::new(vec![ca.forge(&shape(&broker))]), Err(RootsError::NotCa));
    assert_eq!(Roots::new(vec![vec![1, 2, 3].into()]), Err(RootsError::Malformed));
}
