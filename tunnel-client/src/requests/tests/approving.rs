//! A person's yes and no: what is proven at that moment, and what stays true after.

use tunnel_protos::{
    Digest, PersonText, UnixMillis,
    v1::{ReceivedStatus, RequestState},
};

use super::house::{HOUR, House, MINUTE, NOW, Sent};
use crate::{
    approvers::{AnswerError, Approver, Peer, Signed, Who},
    gate::grants::Level,
};

pub(super) fn alice() -> Approver {
    Approver::by_uid("alice", 1001)
}

pub(super) fn anybody() -> Who {
    Who::Peer(Peer { uid: 1234 })
}

pub(super) fn note() -> PersonText {
    "looks right".parse().unwrap()
}

pub(super) fn signed(byte: u8) -> Approver {
    let digest = Digest::new([byte; 32]);
    Approver::by_signature("alice", Signed { digest, forget_after: NOW.plus(HOUR), envelope: vec![byte] })
}

pub(super) async fn pending(house: &House) -> Sent {
    let sent = house.operator("ann").access(&["e.Admin/Compact"], NOW);
    assert_eq!(house.ask(&sent).await, RequestState::Pending);
    sent
}

pub(super) async fn approve(house: &House, sent: &Sent, by: Approver) -> Result<(), AnswerError> {
    house.requests.approve(sent.request.id, sent.digest, None, note(), by).await
}

pub(super) async fn deny(house: &House, sent: &Sent) -> Result<(), AnswerError> {
    house.requests.deny(sent.request.id, None, note(), anybody()).await
}

#[tokio::test]
async fn a_yes_makes_a_grant_at_the_level_of_a_person() {
    let house = House::new().await;
    let sent = pending(&house).await;
    approve(&house, &sent, alice()).await.unwrap();
    assert_eq!(house.state(&sent), RequestState::Approved);
    let grant = house.grant(&sent).unwrap();
    assert!(grant.grant().methods.values().all(|level| *level == Level::Manual));
    let outcome = house.outcome(&sent).unwrap();
    assert_eq!((outcome.approvals_had, outcome.approvals_needed, outcome.sequence), (1, 1, 2));
    let house = house.restart().await;
    let view = house.requests.view(&sent.request.id).unwrap();
    assert_eq!((view.answers[0].who.as_str(), view.answers[0].note.as_str()), ("alice", "looks right"));
    assert!(house.grant(&sent).is_some());
}

#[tokio::test]
async fn a_yes_counts_only_for_what_was_shown() {
    let house = House::new().await;
    let sent = pending(&house).await;
    let other = house.requests.approve(sent.request.id, Digest::new([7; 32]), None, note(), alice()).await;
    assert!(matches!(other, Err(AnswerError::Changed)));
    let other = house.requests.deny(sent.request.id, Some(Digest::new([7; 32])), note(), anybody()).await;
    assert!(matches!(other, Err(AnswerError::Changed)));
    assert_eq!(house.state(&sent), RequestState::Pending);
}

#[tokio::test]
async fn only_what_is_pending_is_approved() {
    let house = House::new().await;
    let [expired, withdrawn, denied] = [pending(&house).await, pending(&house).await, pending(&house).await];
    deny(&house, &denied).await.unwrap();
    let ann = house.operator("ann");
    house.ask(&ann.withdraw(withdrawn.request.id, NOW)).await;
    house.wall.set(NOW.plus(2 * HOUR));
    for sent in [&expired, &withdrawn, &denied] {
        assert!(matches!(approve(&house, sent, alice()).await, Err(AnswerError::NotPending(_))));
        assert!(house.grant(sent).is_none());
    }
}

#[tokio::test]
async fn a_no_is_final() {
    let house = House::new().await;
    let sent = pending(&house).await;
    deny(&house, &sent).await.unwrap();
    let house = house.restart().await;
    assert!(matches!(approve(&house, &sent, alice()).await, Err(AnswerError::NotPending(_))));
    assert_eq!(house.deliver(&sent).await, ReceivedStatus::Known);
    assert_eq!(house.state(&sent), RequestState::Denied);
    assert!(house.outcome(&sent).unwrap().reason.contains("looks right"));
}

#[tokio::test]
async fn a_yes_is_decided_again_by_todays_policy() {
    let house = House::new().await;
    let sent = pending(&house).await;
    house.set_policy("version: 1\naccess: [{methods: [\"e.Admin/Compact\"], approval: deny}]");
    let refused = approve(&house, &sent, alice()).await.unwrap_err().to_string();
    assert!(refused.contains("e.Admin/Compact") && refused.contains("access rule 1"), "{refused}");
    assert!(house.grant(&sent).is_none());
}

#[tokio::test]
async fn the_same_ask_after_a_no_needs_a_person_and_says_so() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let held = ann.access(&["e.Admin/Get"], NOW);
    house.wall.set(NOW.plus(6 * MINUTE));
    assert_eq!(house.ask(&held).await, RequestState::Pending);
    deny(&house, &held).await.unwrap();
    let now = NOW.plus(6 * MINUTE);
    for methods in [&["e.Admin/Get"][..], &["e.Admin/Get", "e.Admin/List"]] {
        let again = ann.access(methods, now);
        assert_eq!(house.ask(&again).await, RequestState::Pending);
        let view = house.requests.view(&again.request.id).unwrap();
        assert_eq!(view.denied_before, held.request.id.to_string());
    }
    assert_eq!(house.ask(&ann.access(&["e.Admin/List"], now)).await, RequestState::Approved);
    assert_eq!(house.ask(&house.operator("bob").access(&["e.Admin/Get"], now)).await, RequestState::Approved);
}

#[tokio::test]
async fn a_no_is_not_asked_around_by_parts_or_by_company() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let (held, now) = (ann.access(&["e.Admin/Get", "e.Admin/List"], NOW), NOW.plus(6 * MINUTE));
    house.wall.set(now);
    house.ask(&held).await;
    deny(&house, &held).await.unwrap();
    for methods in [&["e.Admin/List"][..], &["e.Admin/List", "e.Admin/List", "e.Admin/Compact"]] {
        let again = ann.access(methods, now);
        assert_eq!(house.ask(&again).await, RequestState::Pending);
        let view = house.requests.view(&again.request.id).unwrap();
        assert_eq!(view.denied_before, held.request.id.to_string());
    }
}

#[tokio::test]
async fn a_no_to_what_needs_a_person_leaves_the_rest_to_its_rule() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let mixed = ann.access(&["e.Admin/Get", "e.Admin/Compact"], NOW);
    house.ask(&mixed).await;
    deny(&house, &mixed).await.unwrap();
    assert_eq!(house.ask(&ann.access(&["e.Admin/Get"], NOW)).await, RequestState::Approved);
    let again = ann.access(&["e.Admin/Compact"], NOW);
    house.ask(&again).await;
    assert!(!house.requests.view(&again.request.id).unwrap().denied_before.is_empty());
}

#[tokio::test]
async fn a_signed_approval_counts_once() {
    let house = House::new().await;
    let (first, second) = (pending(&house).await, pending(&house).await);
    approve(&house, &first, signed(1)).await.unwrap();
    assert!(matches!(approve(&house, &second, signed(1)).await, Err(AnswerError::Replayed)));
    let house = house.restart().await;
    assert!(matches!(approve(&house, &second, signed(1)).await, Err(AnswerError::Replayed)));
    approve(&house, &second, signed(2)).await.unwrap();
    assert!(house.requests.view(&second.request.id).unwrap().answers[0].signed);
}

#[tokio::test]
async fn a_yes_that_is_not_stored_opens_nothing() {
    let house = House::new().await;
    let sent = pending(&house).await;
    house.disk.fill();
    assert!(matches!(approve(&house, &sent, alice()).await, Err(AnswerError::NotStored(_))));
    assert!(house.grant(&sent).is_none());
    assert_eq!(house.state(&sent), RequestState::Pending);
    house.disk.free();
    approve(&house, &sent, alice()).await.unwrap();
}

#[tokio::test]
async fn a_no_on_a_full_disk_holds_and_is_stored_later() {
    let house = House::new().await;
    let sent = pending(&house).await;
    house.disk.fill();
    assert!(matches!(deny(&house, &sent).await, Err(AnswerError::NotStored(_))));
    assert!(matches!(approve(&house, &sent, alice()).await, Err(AnswerError::NotPending(_))));
    house.disk.free();
    house.settle().await;
    let house = house.restart().await;
    assert_eq!(house.requests.view(&sent.request.id).unwrap().state(), RequestState::Denied);
}

#[tokio::test]
async fn who_was_told_is_kept_and_told_to_the_operator() {
    let house = House::new().await;
    let sent = pending(&house).await;
    let at = UnixMillis(NOW.0 + 5);
    for _ in 0..2 {
        house.requests.notified(sent.request.id, "oncall".into(), at).await;
    }
    house.settle().await;
    let outcome = house.outcome(&sent).unwrap();
    assert_eq!((outcome.notified, outcome.sequence), (vec![("oncall".to_owned(), at)], 2));
}

#[tokio::test]
async fn only_what_people_decide_on_is_there_to_be_told_oldest_first() {
    let house = House::new().await;
    let first = pending(&house).await;
    house.wall.set(NOW.plus(MINUTE));
    let ann = house.operator("ann");
    let second = ann.access(&["e.Admin/Get"], NOW.plus(MINUTE));
    house.ask(&second).await;
    house.ask(&ann.certificate(second.request.id.into(), NOW.plus(MINUTE))).await;
    house.requests.notified(first.request.id, "oncall".into(), NOW).await;
    house.settle().await;
    let seen: Vec<_> = house.requests.glimpses().iter().map(|one| (one.id, one.state, one.told)).collect();
    let expected =
        [(first.request.id, RequestState::Pending, true), (second.request.id, RequestState::Active, false)];
    assert_eq!(seen, expected);
}
