//! Pause, denied operators and the clock: in force at once, kept over restarts, lifted by approvers alone.

use tunnel_protos::{OperatorName, PauseId, v1::RequestState};

use super::{
    approving::{alice, anybody, approve, note, pending, signed},
    certificates::granted,
    house::{HOUR, House, MINUTE, NOW},
};
use crate::{
    approvers::{AnswerError, ClockError, OperatorError, ResumeError},
    gate::grants::{Life, Over},
    requests::orders::Denied,
};

#[tokio::test]
async fn a_pause_refuses_certificates_and_leaves_requests_pending() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    let waiting = pending(&house).await;
    let view = house.requests.pause(note(), anybody()).await;
    assert!(view.stored && house.requests.paused().borrow().is_some());
    let ann = house.operator("ann");
    assert_eq!(house.ask(&ann.certificate(grant.request.id.into(), NOW)).await, RequestState::Denied);
    assert_eq!(house.ask(&ann.access(&["e.Admin/Get"], NOW)).await, RequestState::Pending);
    assert!(matches!(approve(&house, &waiting, alice()).await, Err(AnswerError::Refusing(_))));
    assert_eq!(house.state(&waiting), RequestState::Pending);
}

#[tokio::test]
async fn a_pause_holds_over_restarts_until_its_own_id_is_resumed() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    let id: PauseId = house.requests.pause(note(), anybody()).await.id.parse().unwrap();
    let again = house.requests.pause(note(), anybody()).await;
    assert_eq!(again.id, id.to_string());
    let house = house.restart().await;
    let other = house.requests.resume(PauseId::random(), note(), alice()).await;
    assert!(matches!(other, Err(ResumeError::Other(now)) if now == id));
    house.requests.resume(id, note(), signed(1)).await.unwrap();
    assert!(house.requests.paused().borrow().is_none());
    let house = house.restart().await;
    assert!(matches!(house.requests.resume(id, note(), alice()).await, Err(ResumeError::NotPaused)));
    let certificate = house.operator("ann").certificate(grant.request.id.into(), NOW);
    assert_eq!(house.ask(&certificate).await, RequestState::Done);
    let next: PauseId = house.requests.pause(note(), anybody()).await.id.parse().unwrap();
    assert!(matches!(house.requests.resume(next, note(), signed(1)).await, Err(ResumeError::Replayed)));
}

#[tokio::test]
async fn a_pause_works_with_a_full_disk_and_is_stored_when_there_is_room() {
    let house = House::new().await;
    house.disk.fill();
    let view = house.requests.pause(note(), anybody()).await;
    assert!(!view.stored && house.requests.paused().borrow().is_some());
    let resumed = house.requests.resume(view.id.parse().unwrap(), note(), alice()).await;
    assert!(matches!(resumed, Err(ResumeError::NotStored(_))));
    house.disk.free();
    house.settle().await;
    assert!(house.requests.pause_view().unwrap().stored);
    let house = house.restart().await;
    assert_eq!(house.requests.pause_view().unwrap().id, view.id);
}

#[tokio::test]
async fn a_denied_operator_loses_everything_and_gets_nothing_new() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    let waiting = pending(&house).await;
    let done = house.requests.deny_operator(ann(), note(), anybody()).await.unwrap();
    assert_eq!((done.requests_denied, done.grants_revoked), (1, 1));
    assert_eq!(house.grant(&grant).unwrap().life(), Life::Over(Over::Revoked));
    assert_eq!(house.state(&waiting), RequestState::Denied);
    let house = house.restart().await;
    let operator = house.operator("ann");
    assert_eq!(house.ask(&operator.access(&["e.Admin/Get"], NOW)).await, RequestState::Denied);
    assert_eq!(house.ask(&house.operator("bob").access(&["e.Admin/Get"], NOW)).await, RequestState::Approved);
    let view = house.requests.operators().into_iter().find(|view| view.operator == "ann").unwrap();
    assert_eq!((view.denied_by.as_str(), view.grants_live), ("uid 1234", 0));
    house.requests.allow_operator(ann(), note(), alice()).await.unwrap();
    assert_eq!(house.ask(&operator.access(&["e.Admin/List"], NOW)).await, RequestState::Approved);
    let again = house.requests.allow_operator(ann(), note(), alice()).await;
    assert!(matches!(again, Err(OperatorError::NotDenied)));
}

#[tokio::test]
async fn a_deny_that_a_kill_cut_short_is_finished_at_start() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    let denied = Denied { since: NOW, who: "alice".into(), note: String::new() };
    house.requests.shared.standing.change(|orders| orders.denied.insert(ann(), denied));
    house.pass(MINUTE).await;
    let house = house.restart().await;
    assert_eq!(house.requests.denied_operators(), ["ann"]);
    assert_eq!(house.grant(&grant).unwrap().life(), Life::Over(Over::Revoked));
}

#[tokio::test]
async fn an_operator_is_denied_with_a_full_disk_too() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    house.disk.fill();
    let done = house.requests.deny_operator(ann(), note(), anybody()).await;
    assert!(matches!(done, Err(OperatorError::NotStored(_))));
    assert_eq!(house.grant(&grant).unwrap().life(), Life::Over(Over::Revoked));
    house.disk.free();
    house.settle().await;
    let house = house.restart().await;
    assert_eq!(house.requests.denied_operators(), ["ann"]);
    assert_eq!(house.grant(&grant).unwrap().life(), Life::Over(Over::Revoked));
}

#[tokio::test]
async fn a_clock_reset_voids_what_lived_by_the_wrong_clock() {
    let house = House::new().await;
    let held = house.operator("ann").access(&["e.Admin/Get"], NOW.plus(MINUTE));
    house.wall.set(NOW.plus(2 * HOUR));
    let waiting = pending_at(&house).await;
    house.wall.set(NOW.plus(2 * MINUTE));
    let back = NOW.plus(2 * MINUTE);
    assert!(house.requests.clock().now() > NOW.plus(HOUR));
    for wrong in [NOW.plus(3 * HOUR), NOW.minus(HOUR)] {
        let reset = house.requests.reset_clock(wrong, note(), alice()).await;
        assert!(matches!(reset, Err(ClockError::Bounds)));
    }
    let from = house.requests.reset_clock(back, note(), alice()).await.unwrap();
    assert!(from >= NOW.plus(2 * HOUR));
    assert_eq!(house.requests.clock().now(), back);
    assert_eq!(house.requests.view(&waiting.request.id).unwrap().state(), RequestState::Denied);
    assert_eq!(house.ask(&held).await, RequestState::Denied);
    let house = house.restart().await;
    assert_eq!(house.requests.clock().now(), back);
    let later = back.plus(3 * MINUTE);
    house.wall.set(later);
    assert_eq!(
        house.ask(&house.operator("ann").access(&["e.Admin/Get"], later)).await,
        RequestState::Approved
    );
}

async fn pending_at(house: &House) -> super::house::Sent {
    let sent = house.operator("ann").access(&["e.Admin/Compact"], NOW.plus(2 * HOUR));
    assert_eq!(house.ask(&sent).await, RequestState::Pending);
    sent
}

fn ann() -> OperatorName {
    "ann".parse().unwrap()
}

#[tokio::test]
async fn a_signed_approval_lifts_one_order_only() {
    let house = House::new().await;
    let waiting = pending(&house).await;
    house.wall.set(NOW.plus(MINUTE));
    let pause = house.requests.pause(note(), anybody()).await.id.parse().unwrap();
    house.requests.resume(pause, note(), signed(1)).await.unwrap();
    house.requests.deny_operator("bob".parse().unwrap(), note(), anybody()).await.unwrap();
    let allowed = house.requests.allow_operator("bob".parse().unwrap(), note(), signed(1)).await;
    assert!(matches!(allowed, Err(OperatorError::Replayed)));
    let reset = house.requests.reset_clock(NOW, note(), signed(1)).await;
    assert!(matches!(reset, Err(ClockError::Replayed)));
    let denied = house.requests.deny(waiting.request.id, None, note(), signed(1).into()).await;
    assert!(matches!(denied, Err(AnswerError::Replayed)));
}

#[tokio::test]
async fn a_denied_operator_is_told_as_kept_only_when_all_it_had_is_stored_as_ended() {
    let house = House::new().await;
    granted(&house).await;
    house.requests.deny_operator("bob".parse().unwrap(), note(), anybody()).await.unwrap();
    house.disk.freeze();
    let denied = house.requests.deny_operator(ann(), note(), anybody()).await;
    assert!(matches!(denied, Err(OperatorError::NotStored(_))));
}

#[tokio::test]
async fn a_sick_disk_is_tried_once_a_turn_however_much_waits_for_it() {
    const MANY: usize = 8;
    let house = House::new().await;
    for _ in 0..MANY {
        house.ask(&house.operator("ann").access(&["e.Admin/Get"], NOW)).await;
    }
    house.disk.fill();
    let denied = house.requests.deny_operator(ann(), note(), anybody()).await;
    assert!(matches!(denied, Err(OperatorError::NotStored(_))));
    let before = house.disk.refused();
    house.settle().await;
    assert!(house.disk.refused() - before < MANY, "two turns or three");
}
