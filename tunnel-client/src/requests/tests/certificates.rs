//! The only way to a certificate, rule by rule.

use tunnel_certs::{
    roots::Roots,
    verify::{GrantCertificate, GrantVerifier},
};
use tunnel_protos::v1::RequestState;

use super::house::{HOUR, House, MINUTE, NOW, Sent};
use crate::{clock::Wall, gate::grants::Life};

#[tokio::test]
async fn the_first_certificate_starts_the_work_window() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let grant = ann.access(&["e.Admin/Get"], NOW);
    house.ask(&grant).await;
    assert_eq!(house.grant(&grant).unwrap().life(), Life::Waiting);
    house.pass(4 * MINUTE).await;
    let asked = ann.certificate(grant.request.id.into(), NOW.plus(4 * MINUTE));
    assert_eq!(house.ask(&asked).await, RequestState::Done);
    let until = NOW.plus(4 * MINUTE + HOUR / 2);
    assert_eq!(house.grant(&grant).unwrap().life(), Life::Active { until });
    let outcome = house.outcome(&grant).unwrap();
    assert_eq!((outcome.state, outcome.sequence), (RequestState::Active, 2));
    assert_eq!(outcome.deadlines.work_until_ms, until.0);
}

#[tokio::test]
async fn a_certificate_carries_only_its_grant_and_comes_with_door_and_anchor() {
    let house = House::new().await;
    let (grant, asked) = granted(&house).await;
    let issued = house.outcome(&asked).unwrap().issued.unwrap();
    let certificate = verify(&house, &asked);
    assert_eq!(certificate.grant, grant.request.id.into());
    assert_eq!(certificate.not_after, NOW.plus(10 * MINUTE));
    assert_eq!(issued.anchors, [house.keys.access_ca.certificate().clone()]);
    let (target, door) = &issued.doors[0];
    assert_eq!(house.view.door(door).unwrap().target(door), Some(target));
}

#[tokio::test]
async fn the_serial_is_known_when_the_certificate_is_out() {
    let house = House::new().await;
    let (_, asked) = granted(&house).await;
    let serial = verify(&house, &asked).serial;
    assert!(house.view.serial(&serial).is_some());
    let house = house.restart().await;
    assert!(house.view.serial(&serial).is_some());
}

#[tokio::test]
async fn no_certificate_leaves_before_its_serial_is_stored() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let grant = ann.access(&["e.Admin/Get"], NOW);
    house.ask(&grant).await;
    house.disk.freeze();
    let asked = ann.certificate(grant.request.id.into(), NOW);
    house.deliver(&asked).await;
    assert!(house.outcome(&asked).is_none());
    assert_eq!(house.grant(&grant).unwrap().life(), Life::Waiting);
}

#[tokio::test]
async fn a_certificate_never_outlives_its_grant() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let (grant, _) = granted(&house).await;
    let later = NOW.plus(25 * MINUTE);
    house.wall.set(later);
    let asked = ann.certificate(grant.request.id.into(), later);
    assert_eq!(house.ask(&asked).await, RequestState::Done);
    assert_eq!(verify(&house, &asked).not_after, NOW.plus(HOUR / 2));
}

#[tokio::test]
async fn a_certificate_request_older_than_five_minutes_is_refused() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    let held = house.operator("ann").certificate(grant.request.id.into(), NOW);
    house.wall.set(NOW.plus(5 * MINUTE + MINUTE / 60));
    assert_eq!(house.ask(&held).await, RequestState::Denied);
    assert_eq!(house.outcome(&held).unwrap().rule, "freshness");
}

#[tokio::test]
async fn a_certificate_request_of_five_minutes_is_still_fresh() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    let held = house.operator("ann").certificate(grant.request.id.into(), NOW);
    house.wall.set(NOW.plus(5 * MINUTE));
    assert_eq!(house.ask(&held).await, RequestState::Done);
}

#[tokio::test]
async fn another_operator_gets_no_certificate() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    let asked = house.operator("bob").certificate(grant.request.id.into(), NOW);
    assert_eq!(house.ask(&asked).await, RequestState::Denied);
    assert!(house.outcome(&asked).unwrap().issued.is_none());
}

#[tokio::test]
async fn a_pending_request_gives_no_certificate() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let pending = ann.access(&["e.Admin/Compact"], NOW);
    house.ask(&pending).await;
    let asked = ann.certificate(pending.request.id.into(), NOW);
    assert_eq!(house.ask(&asked).await, RequestState::Denied);
    assert_eq!(house.outcome(&asked).unwrap().rule, "grant");
}

#[tokio::test]
async fn an_ended_grant_gives_no_certificate() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    let end = NOW.plus(HOUR / 2);
    house.wall.set(end);
    let asked = house.operator("ann").certificate(grant.request.id.into(), end);
    assert_eq!(house.ask(&asked).await, RequestState::Denied);
    assert_eq!(house.outcome(&asked).unwrap().rule, "grant");
}

#[tokio::test]
async fn a_stricter_policy_gives_no_certificate() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    house.set_policy("version: 1\naccess: [{methods: [\"e.Admin/Get\"], approval: manual}]");
    let asked = house.operator("ann").certificate(grant.request.id.into(), NOW);
    assert_eq!(house.ask(&asked).await, RequestState::Denied);
    assert_eq!(house.outcome(&asked).unwrap().rule, "access rule 1");
}

#[tokio::test]
async fn each_renewal_has_a_serial_of_its_own() {
    let house = House::new().await;
    let (grant, first) = granted(&house).await;
    let second = house.operator("ann").certificate(grant.request.id.into(), NOW);
    house.ask(&second).await;
    let (first, second) = (verify(&house, &first).serial, verify(&house, &second).serial);
    assert_ne!(first, second);
    assert!(house.view.serial(&first).is_some() && house.view.serial(&second).is_some());
    assert_eq!(house.outcome(&grant).unwrap().sequence, 2);
}

/// A grant of ann's, and a certificate under it.
pub(super) async fn granted(house: &House) -> (Sent, Sent) {
    let ann = house.operator("ann");
    let grant = ann.access(&["e.Admin/Get"], NOW);
    house.ask(&grant).await;
    let asked = ann.certificate(grant.request.id.into(), NOW);
    assert_eq!(house.ask(&asked).await, RequestState::Done);
    (grant, asked)
}

/// The certificate in the outcome of `asked`, as a gate sees it.
pub(super) fn verify(house: &House, asked: &Sent) -> GrantCertificate {
    let issued = house.outcome(asked).unwrap().issued.unwrap();
    let roots = Roots::new(vec![house.keys.access_ca.certificate().clone()]).unwrap();
    GrantVerifier::new(house.keys.label, roots).verify(&[issued.certificate], house.wall.now()).unwrap()
}
