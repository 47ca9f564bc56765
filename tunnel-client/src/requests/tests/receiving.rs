//! What happens between a delivery and a decision.

use std::sync::Arc;

use tunnel_protos::{
    RequestId,
    v1::{ReceivedStatus, RequestState},
};

use super::house::{HOUR, House, MINUTE, NOW, access, trusting};
use crate::{
    requests::{Admission, MAX_PENDING, SKEW, TOMBSTONE},
    tunnels::Inbox,
};

#[tokio::test]
async fn an_allowed_request_becomes_a_grant_at_once() {
    let house = House::new().await;
    let sent = house.operator("ann").access(&["e.Admin/Get"], NOW);
    assert_eq!(house.ask(&sent).await, RequestState::Approved);
    let outcome = house.outcome(&sent).unwrap();
    assert_eq!((outcome.sequence, outcome.rule.as_str()), (1, "access rule 1"));
    assert_eq!(outcome.granted.unwrap().methods.len(), 1);
    assert!(house.grant(&sent).is_some());
}

#[tokio::test]
async fn a_manual_request_stays_pending_until_its_time_is_over() {
    let house = House::new().await;
    let sent = house.operator("ann").access(&["e.Admin/Compact"], NOW);
    assert_eq!(house.ask(&sent).await, RequestState::Pending);
    assert_eq!(house.outcome(&sent).unwrap().deadlines.pending_until_ms, NOW.plus(2 * HOUR).0);
    assert!(house.grant(&sent).is_none());
    house.pass(2 * HOUR - MINUTE).await;
    assert_eq!(house.state(&sent), RequestState::Pending);
    house.pass(MINUTE).await;
    assert_eq!(house.state(&sent), RequestState::Expired);
    assert_eq!(house.outcome(&sent).unwrap().sequence, 2);
}

#[tokio::test]
async fn a_pending_request_never_outlives_its_own_end() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let (mut request, key) = ann.request(access(&["e.Admin/Compact"], &["default"]), NOW);
    request.expires = NOW.plus(MINUTE);
    let sent = ann.send((request, key));
    house.ask(&sent).await;
    house.pass(MINUTE).await;
    assert_eq!(house.state(&sent), RequestState::Expired);
}

#[tokio::test]
async fn a_denied_request_is_answered_with_its_rule() {
    let house = House::new().await;
    let sent = house.operator("ann").access(&["e.Admin/Drop"], NOW);
    assert_eq!(house.ask(&sent).await, RequestState::Denied);
    assert!(house.outcome(&sent).unwrap().reason.contains("e.Admin/Drop"));
}

#[tokio::test]
async fn a_stale_request_waits_for_a_person() {
    let house = House::new().await;
    let sent = house.operator("ann").access(&["e.Admin/Get"], NOW);
    house.wall.set(NOW.plus(6 * MINUTE));
    assert_eq!(house.ask(&sent).await, RequestState::Pending);
}

#[tokio::test]
async fn requests_are_refused_until_there_is_an_entry_with_our_own_keys() {
    let house = House::with(Admission::Refusing("no entry".into())).await;
    let sent = house.operator("ann").access(&["e.Admin/Get"], NOW);
    assert_eq!(house.deliver(&sent).await, ReceivedStatus::Full);
    assert!(house.requests.list(true).is_empty() && house.requests.outcomes().is_empty());
}

#[tokio::test]
async fn an_expired_trust_bundle_proves_no_operator() {
    let house = House::new().await;
    house.live.operators.send_replace(Arc::new(trusting(&house.keys.operator_ca, NOW.plus(MINUTE))));
    let ann = house.operator("ann");
    assert_eq!(house.ask(&ann.access(&["e.Admin/Get"], NOW)).await, RequestState::Approved);
    assert_eq!(house.requests.refusing(), None);
    house.wall.set(NOW.plus(MINUTE));
    let late = ann.access(&["e.Admin/Get"], NOW.plus(MINUTE));
    assert_eq!(house.deliver(&late).await, ReceivedStatus::Full);
    assert!(house.requests.refusing().unwrap().contains("trust bundle"));
}

#[tokio::test]
async fn more_than_64_pending_are_refused_and_none_is_evicted() {
    let house = House::new().await;
    let (ann, bob) = (house.operator("ann"), house.operator("bob"));
    for _ in 0..MAX_PENDING {
        assert_eq!(house.ask(&ann.access(&["e.Admin/Compact"], NOW)).await, RequestState::Pending);
    }
    assert_eq!(house.ask(&ann.access(&["e.Admin/Compact"], NOW)).await, RequestState::Denied);
    assert_eq!(house.requests.counts().0, MAX_PENDING);
    assert_eq!(house.ask(&bob.access(&["e.Admin/Compact"], NOW)).await, RequestState::Pending);
}

#[tokio::test]
async fn an_id_is_kept_until_no_replay_can_live() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let sent = ann.access(&["e.Admin/Drop"], NOW);
    house.ask(&sent).await;
    house.pass(4 * HOUR + SKEW).await;
    assert_eq!(house.deliver(&sent).await, ReceivedStatus::Known);
    house.pass(TOMBSTONE).await;
    assert!(house.requests.list(true).is_empty());
    // Forgotten, but long expired.
    assert_eq!(house.deliver(&sent).await, ReceivedStatus::Unproven);
}

#[tokio::test]
async fn a_wrong_but_proven_request_is_denied_and_remembered() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let (mut request, key) = ann.request(access(&["e.Admin/Get"], &["default"]), NOW);
    request.cluster = "acme/other".parse().unwrap();
    let sent = ann.send((request, key));
    assert_eq!(house.ask(&sent).await, RequestState::Denied);
    assert_eq!(house.deliver(&sent).await, ReceivedStatus::Known);
    assert_eq!(house.requests.list(true)[0].kind, "unreadable");
}

#[tokio::test]
async fn a_full_disk_takes_no_request_and_opens_nothing() {
    let house = House::new().await;
    let sent = house.operator("ann").access(&["e.Admin/Get"], NOW);
    house.disk.fill();
    assert_eq!(house.deliver(&sent).await, ReceivedStatus::Full);
    assert!(house.grant(&sent).is_none() && house.outcome(&sent).is_none());
    house.disk.free();
    assert_eq!(house.ask(&sent).await, RequestState::Approved);
}

#[tokio::test]
async fn the_customer_sees_words_reason_and_deadlines() {
    let house = House::new().await;
    let sent = house.operator("ann").access(&["e.Admin/Compact"], NOW);
    house.ask(&sent).await;
    let view = &house.requests.list(false)[0];
    assert_eq!(view.words, tunnel_certs::words::Words::of(&sent.digest).to_string());
    assert_eq!(view.reason.as_ref().unwrap().text, "disk fills");
    assert_eq!(view.id.parse::<RequestId>(), Ok(sent.request.id));
    assert_eq!(view.deadlines.unwrap().pending_until_ms, NOW.plus(2 * HOUR).0);
}
