//! The life of grants: doors, ends, revocation, withdrawal, tombstones.

use tunnel_protos::{
    RequestId,
    v1::{ReceivedStatus, RequestState},
};

use super::{
    certificates::granted,
    house::{HOUR, House, MINUTE, NOW, access},
};
use crate::{
    approvers::{Peer, RevokeError, Who},
    gate::grants::{Life, Over},
    requests::TOMBSTONE,
};

const PEER: Who = Who::Peer(Peer { uid: 1001 });

#[tokio::test]
async fn each_grant_and_target_has_a_door_of_its_own() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let mut doors = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let sent = ann.send(ann.request(access(&["e.Admin/Get"], &["default", "pod-1"]), NOW));
        house.ask(&sent).await;
        doors.extend(house.grant(&sent).unwrap().grant().doors.values().copied());
    }
    assert_eq!(doors.len(), 4);
    assert_eq!(house.view.doors().len(), 4);
}

#[tokio::test]
async fn an_unused_grant_expires_with_the_claim_window() {
    let house = House::new().await;
    let sent = house.operator("ann").access(&["e.Admin/Get"], NOW);
    house.ask(&sent).await;
    house.pass(30 * MINUTE - MINUTE).await;
    assert_eq!(house.grant(&sent).unwrap().life(), Life::Waiting);
    house.pass(MINUTE).await;
    assert_eq!(house.grant(&sent).unwrap().life(), Life::Over(Over::Expired));
    assert_eq!(house.state(&sent), RequestState::Expired);
}

#[tokio::test]
async fn a_grant_ends_with_what_was_wanted_within_the_work_window() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    house.pass(HOUR / 2).await;
    assert_eq!(house.grant(&grant).unwrap().life(), Life::Over(Over::Ended));
    assert_eq!(house.state(&grant), RequestState::Ended);
}

#[tokio::test]
async fn revoking_ends_a_grant_for_ever() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    let id = grant.request.id.into();
    house.requests.revoke(id, "enough".parse().unwrap(), PEER).await.unwrap();
    assert_eq!(house.grant(&grant).unwrap().life(), Life::Over(Over::Revoked));
    assert_eq!(house.state(&grant), RequestState::Revoked);
    let again = house.requests.revoke(id, "enough".parse().unwrap(), PEER).await;
    assert!(matches!(again, Err(RevokeError::NotLive(RequestState::Revoked))));
    let asked = house.operator("ann").certificate(id, NOW);
    assert_eq!(house.ask(&asked).await, RequestState::Denied);
}

#[tokio::test]
async fn a_revocation_says_who_and_why() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    house.requests.revoke(grant.request.id.into(), "enough".parse().unwrap(), PEER).await.unwrap();
    let told = house.outcome(&grant).unwrap();
    let house = house.restart().await;
    let views = house.requests.list(true);
    let view = views.iter().find(|view| view.kind == "access").unwrap();
    assert_eq!(told.reason, "Revoked by the customer: enough", "the operator is told why");
    assert_eq!(view.state_reason, "Revoked by the customer: enough (uid 1001)");
}

#[tokio::test]
async fn revoking_works_with_a_full_disk_and_is_stored_later() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    house.disk.fill();
    let revoked = house.requests.revoke(grant.request.id.into(), "".parse().unwrap(), PEER).await;
    assert!(matches!(revoked, Err(RevokeError::NotStored(_))));
    assert_eq!(house.grant(&grant).unwrap().life(), Life::Over(Over::Revoked));
    // Told only once it is stored: a kill would take it back.
    assert_eq!(house.deliver(&grant).await, ReceivedStatus::Known);
    assert_eq!(house.state(&grant), RequestState::Active);
    house.disk.free();
    house.settle().await;
    assert_eq!(house.state(&grant), RequestState::Revoked);
    let house = house.restart().await;
    assert_eq!(house.grant(&grant).unwrap().life(), Life::Over(Over::Revoked));
}

#[tokio::test]
async fn revoking_cuts_before_anybody_stores_it() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    house.stop_clerk();
    let revoked = house.requests.revoke(grant.request.id.into(), "".parse().unwrap(), PEER).await;
    assert!(matches!(revoked, Err(RevokeError::NotStored(_))));
    assert_eq!(house.grant(&grant).unwrap().life(), Life::Over(Over::Revoked));
}

#[tokio::test]
async fn only_known_live_grants_can_be_revoked() {
    let house = House::new().await;
    let pending = house.operator("ann").access(&["e.Admin/Compact"], NOW);
    house.ask(&pending).await;
    let revoke = |id: RequestId| house.requests.revoke(id.into(), "".parse().unwrap(), PEER);
    assert!(matches!(revoke(pending.request.id).await, Err(RevokeError::NotLive(_))));
    assert!(matches!(revoke(RequestId::random()).await, Err(RevokeError::Unknown)));
}

#[tokio::test]
async fn the_operator_withdraws_a_pending_request() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let pending = ann.access(&["e.Admin/Compact"], NOW);
    house.ask(&pending).await;
    assert_eq!(house.ask(&ann.withdraw(pending.request.id, NOW)).await, RequestState::Done);
    assert_eq!(house.state(&pending), RequestState::Withdrawn);
}

#[tokio::test]
async fn the_operator_withdraws_a_live_grant() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    let ann = house.operator("ann");
    assert_eq!(house.ask(&ann.withdraw(grant.request.id, NOW)).await, RequestState::Done);
    assert_eq!(house.state(&grant), RequestState::Ended);
    assert!(matches!(house.grant(&grant).unwrap().life(), Life::Over(_)));
    assert_eq!(house.ask(&ann.withdraw(grant.request.id, NOW)).await, RequestState::Denied);
}

#[tokio::test]
async fn only_the_same_operator_withdraws() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    let asked = house.operator("bob").withdraw(grant.request.id, NOW);
    assert_eq!(house.ask(&asked).await, RequestState::Denied);
    assert_eq!(house.state(&grant), RequestState::Active);
}

#[tokio::test]
async fn an_ended_grant_answers_as_a_tombstone_for_a_day() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    house.pass(HOUR / 2).await;
    house.pass(TOMBSTONE - MINUTE).await;
    assert_eq!(house.view.doors().len(), 1);
    house.pass(2 * MINUTE).await;
    assert!(house.grant(&grant).is_none() && house.view.doors().is_empty());
}
