//! Certificates that ran out and still name a key: for how long, whose, and never a forged one.

use std::time::Duration;

use crate::{
    identity::Role,
    issue::CaKind,
    key::Signer,
    testing::{Ca, DAY, HOUR, MINUTE, NOW, date, identities, p256, shape, vendor},
    verify::{FormerPeer, MeshVerifier, REISSUE_GRACE, VerifyError},
};

const SECOND: Duration = Duration::from_secs(1);

fn verify(
    ca: &Ca,
    der: &rustls_pki_types::CertificateDer<'static>,
    at: tunnel_protos::UnixMillis,
) -> Result<FormerPeer, VerifyError> {
    ca.mesh().verify_expired(std::slice::from_ref(der), Role::Replica, at, REISSUE_GRACE)
}

#[test]
fn names_its_key_for_30_days_after_its_end() {
    let (ca, key) = (Ca::new(CaKind::Mesh), p256());
    let [_, replica, ..] = identities();
    let leaf = ca
        .authority
        .certify_replica(
            &key.csr().unwrap(),
            &vendor(),
            &crate::testing::label(),
            &"r1".parse().unwrap(),
            NOW,
        )
        .unwrap();
    for at in [NOW, leaf.not_after, leaf.not_after.plus(SECOND), leaf.not_after.plus(REISSUE_GRACE)] {
        let peer = verify(&ca, &leaf.certificate, at).unwrap();
        assert_eq!((&peer.identity, &peer.key), (&replica, key.public()));
        assert_eq!(peer.not_after, leaf.not_after);
    }
    let late = leaf.not_after.plus(REISSUE_GRACE).plus(SECOND);
    assert_eq!(verify(&ca, &leaf.certificate, late), Err(VerifyError::Expired));
    assert_eq!(verify(&ca, &leaf.certificate, NOW.minus(HOUR)), Err(VerifyError::NotYetValid));
    let chain = std::slice::from_ref(&leaf.certificate);
    let plain = ca.mesh().verify(chain, Role::Replica, leaf.not_after.plus(SECOND));
    assert_eq!(plain, Err(VerifyError::Expired), "only where it is asked for");
}

#[test]
fn a_forged_expired_one_is_refused() {
    let (ca, other) = (Ca::new(CaKind::Mesh), Ca::new(CaKind::Mesh));
    let [_, replica, ..] = identities();
    let mut expired = shape(&replica);
    expired.not_before = date(NOW.minus(2 * DAY));
    expired.not_after = date(NOW.minus(DAY));
    // Its CA began a day before now, so an honest one cannot be older either.
    let old = Ca::made_at(CaKind::Mesh, NOW.minus(10 * DAY));
    assert!(verify(&old, &old.forge(&expired), NOW).is_ok());
    assert_eq!(verify(&old, &other.forge(&expired), NOW), Err(VerifyError::UnknownIssuer));
    assert_eq!(verify(&ca, &old.forge(&expired), NOW), Err(VerifyError::UnknownIssuer));
    let mut altered = old.forge(&expired).to_vec();
    *altered.last_mut().unwrap() ^= 1;
    assert!(verify(&old, &altered.into(), NOW).is_err());
}

#[test]
fn another_role_or_vendor_is_refused_though_expired() {
    let ca = Ca::made_at(CaKind::Mesh, NOW.minus(10 * DAY));
    for identity in identities() {
        let mut expired = shape(&identity);
        expired.not_before = date(NOW.minus(2 * HOUR));
        expired.not_after = date(NOW.minus(HOUR));
        let der = ca.forge(&expired);
        assert_eq!(verify(&ca, &der, NOW).is_ok(), identity.role() == Role::Replica, "{identity}");
        let elsewhere = MeshVerifier::new("globex".parse().unwrap(), ca.roots());
        assert!(elsewhere.verify_expired(&[der], Role::Replica, NOW, REISSUE_GRACE).is_err(), "{identity}");
    }
}

#[test]
fn the_shape_and_the_cas_time_still_count() {
    let ca = Ca::made_at(CaKind::Mesh, NOW.minus(40 * DAY));
    let [_, replica, ..] = identities();
    let mut long = shape(&replica);
    long.not_before = date(NOW.minus(32 * DAY));
    long.not_after = date(NOW.minus(MINUTE));
    assert_eq!(verify(&ca, &ca.forge(&long), NOW), Err(VerifyError::TooLong));
    let der = ca.forge(&shape(&replica));
    let (_, end) = ca.authority.validity();
    assert_eq!(verify(&ca, &der, end.plus(SECOND)), Err(VerifyError::CaExpired));
    let chain = [der.clone(), ca.authority.certificate().clone()];
    let refused = ca.mesh().verify_expired(&chain, Role::Replica, NOW, REISSUE_GRACE);
    assert_eq!(refused, Err(VerifyError::Count(2)));
}
