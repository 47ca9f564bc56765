//! What webpki refuses as well: our own checks stand without it.

use crate::{
    issue::CaKind,
    testing::{Ca, DAY, NOW, new_grant},
    verify::{Leaf, Usages, VerifyError},
};

#[test]
fn reads_nothing_after_the_certificate() {
    let mut der = Ca::new(CaKind::Access).grant(new_grant(), NOW).certificate.to_vec();
    assert!(Leaf::read(&der).is_ok());
    der.push(0);
    assert_eq!(Leaf::read(&der).unwrap_err(), VerifyError::Malformed);
}

#[test]
fn a_ca_has_the_shape_of_no_leaf() {
    let ca = Ca::new(CaKind::Access);
    let leaf = Leaf::read(ca.authority.certificate()).unwrap();
    assert_eq!(leaf.check_shape(Usages::CLIENT, 1000 * DAY), Err(VerifyError::IsCa));
}
