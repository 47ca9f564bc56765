//! Keys, roots and CAs that are replaced while requests come.

use std::sync::Arc;

use tunnel_certs::{
    issue::CaKind,
    key::{Algorithm, SealingKey, SigningKey},
    roots::Roots,
    verify::GrantVerifier,
};
use tunnel_protos::v1::{ReceivedStatus, RequestState};

use super::house::{HOUR, House, HouseKeys, MINUTE, NOW, Operator, UNTIL, ca, trusting};
use crate::{
    requests::{KeyPair, Keyring},
    trust::AccessCas,
};

fn pair(keys: &HouseKeys) -> KeyPair {
    KeyPair { cluster: keys.cluster.clone(), sealing: keys.sealing.clone() }
}

/// The same house with other keys, whose old ones open requests for an hour more.
fn roll_over(house: &House) -> Arc<HouseKeys> {
    let old = &house.keys;
    let new = Arc::new(HouseKeys {
        label: old.label,
        cluster: Arc::new(SigningKey::generate(Algorithm::Ed25519).unwrap()),
        sealing: Arc::new(SealingKey::generate().unwrap()),
        access_ca: old.access_ca.clone(),
        operator_ca: ca(CaKind::Operator),
    });
    let previous = Some((pair(old), NOW.plus(HOUR)));
    house.live.keys.send_replace(Arc::new(Keyring { current: pair(&new), previous }));
    new
}

#[tokio::test]
async fn who_holds_the_old_entry_is_answered_by_the_old_key_and_who_holds_the_new_one_by_the_new() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let waiting = ann.access(&["e.Admin/Compact"], NOW);
    assert_eq!(house.ask(&waiting).await, RequestState::Pending);
    let new = roll_over(&house);
    // `house.state` reads by the key of the old entry.
    assert_eq!(house.ask(&ann.access(&["e.Admin/Get"], NOW)).await, RequestState::Approved);
    assert_eq!(house.ask(&ann.withdraw(waiting.request.id, NOW)).await, RequestState::Done);
    assert_eq!(house.state(&waiting), RequestState::Withdrawn);
    let bob = Operator::new("bob", &house.keys.operator_ca, new.clone());
    let sent = bob.access(&["e.Admin/Get"], NOW);
    assert_eq!(house.deliver(&sent).await, ReceivedStatus::Taken);
    let outcomes = crate::tunnels::Inbox::outcomes(&house.requests);
    let sealed = outcomes.iter().find(|sealed| sealed.envelope_id == sent.id.as_bytes()).unwrap();
    assert_eq!(new.read(sealed, &sent).state, RequestState::Approved);
}

#[tokio::test]
async fn the_old_sealing_key_opens_until_its_end_only() {
    let house = House::new().await;
    roll_over(&house);
    house.wall.set(NOW.plus(HOUR));
    let late = house.operator("ann").access(&["e.Admin/Get"], NOW.plus(HOUR));
    assert_eq!(house.deliver(&late).await, ReceivedStatus::UnknownKey);
}

#[tokio::test]
async fn a_new_access_ca_issues_at_once_and_both_are_told() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let access = ann.access(&["e.Admin/Get"], NOW);
    house.ask(&access).await;
    let next = Arc::new(ca(CaKind::Access));
    let cas = AccessCas::after(next.clone(), (house.keys.access_ca.clone(), NOW.plus(HOUR)));
    house.live.access.send_replace(Arc::new(cas));
    let asked = ann.certificate(access.request.id.into(), NOW);
    assert_eq!(house.ask(&asked).await, RequestState::Done);
    let issued = house.outcome(&asked).unwrap().issued.unwrap();
    let both = [next.certificate().clone(), house.keys.access_ca.certificate().clone()];
    assert_eq!(issued.anchors, both);
    let verifier = GrantVerifier::new(house.keys.label, Roots::new(vec![both[0].clone()]).unwrap());
    assert!(verifier.verify(&[issued.certificate], NOW).is_ok());
}

#[tokio::test]
async fn other_operator_roots_count_from_the_next_request_on() {
    let house = House::new().await;
    let (ann, other) = (house.operator("ann"), ca(CaKind::Operator));
    assert_eq!(house.ask(&ann.access(&["e.Admin/Get"], NOW)).await, RequestState::Approved);
    house.live.operators.send_replace(Arc::new(trusting(&other, UNTIL)));
    let refused = ann.access(&["e.Admin/Get"], NOW.plus(MINUTE));
    assert_eq!(house.deliver(&refused).await, ReceivedStatus::Unproven);
    let bob = Operator::new("bob", &other, house.keys.clone());
    assert_eq!(house.ask(&bob.access(&["e.Admin/Get"], NOW)).await, RequestState::Approved);
}
