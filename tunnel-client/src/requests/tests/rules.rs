//! Rules that nothing else would miss: each was taken out once, and the test here failed.

use tunnel_protos::{
    OperatorName,
    v1::{ReceivedStatus, RequestState},
};

use super::{
    approving::{alice, anybody, approve, note, pending},
    audited::Books,
    certificates::granted,
    house::{HOUR, House, MINUTE, NOW},
};
use crate::{
    approvers::{AnswerError, ClockError, OperatorError, ResumeError, RevokeError},
    gate::grants::{Life, Over},
    requests::{customer::MAX_DENIED, orders::Denied},
    tunnels::Inbox,
};

fn name(name: &str) -> OperatorName {
    name.parse().unwrap()
}

#[tokio::test]
async fn the_list_of_denied_operators_has_a_cap_and_takes_those_on_it_again() {
    let house = House::new().await;
    let denied = Denied { since: NOW, who: "alice".into(), note: String::new() };
    house.requests.shared.standing.change(|orders| {
        orders.denied = (0..MAX_DENIED).map(|n| (name(&format!("o{n}")), denied.clone())).collect();
    });
    let full = house.requests.deny_operator(name("mallory"), note(), anybody()).await;
    assert!(matches!(full, Err(OperatorError::Full)));
    assert_eq!(house.requests.denied_operators().len(), MAX_DENIED);
    house.requests.deny_operator(name("o7"), note(), anybody()).await.unwrap();
    house.requests.allow_operator(name("o7"), note(), alice()).await.unwrap();
    house.requests.deny_operator(name("mallory"), note(), anybody()).await.unwrap();
}

#[tokio::test]
async fn a_request_for_more_doors_than_may_be_announced_is_refused_when_it_arrives() {
    let house = House::new().await;
    let ann = house.operator("ann");
    let first = ann.access(&["e.Admin/Get"], NOW);
    house.ask(&first).await;
    {
        let mut book = house.requests.shared.book.write();
        let mut record = book.get(&first.request.id).unwrap().clone();
        let access = record.access_mut().unwrap();
        let door = *access.doors.values().next().unwrap();
        access.doors = (0..1024).map(|n| (format!("t{n}").parse().unwrap(), door)).collect();
        book.put(record);
    }
    for method in ["e.Admin/List", "e.Admin/Compact"] {
        let second = ann.access(&[method], NOW);
        assert_eq!(house.ask(&second).await, RequestState::Denied, "{method}");
        assert!(house.outcome(&second).unwrap().reason.contains("doors"));
    }
    assert_eq!(house.ask(&house.operator("bob").access(&["e.Admin/Get"], NOW)).await, RequestState::Approved);
}

#[tokio::test]
async fn a_revocation_that_was_not_stored_is_stored_when_it_is_given_again() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    let revoke = || house.requests.revoke(grant.request.id.into(), note(), anybody());
    house.disk.fill();
    assert!(matches!(revoke().await, Err(RevokeError::NotStored(_))));
    assert!(matches!(revoke().await, Err(RevokeError::NotStored(_))), "as long as the disk is full");
    house.disk.free();
    revoke().await.unwrap();
    let house = house.restart().await;
    assert_eq!(house.grant(&grant).unwrap().life(), Life::Over(Over::Revoked));
    assert_eq!(house.state(&grant), RequestState::Revoked);
}

#[tokio::test]
async fn a_revocation_that_is_stored_is_not_told_again() {
    let house = House::new().await;
    let (grant, _) = granted(&house).await;
    let revoke = || house.requests.revoke(grant.request.id.into(), note(), anybody());
    revoke().await.unwrap();
    let told = house.outcome(&grant).unwrap().sequence;
    let again = revoke().await;
    assert!(matches!(again, Err(RevokeError::NotLive(RequestState::Revoked))));
    assert_eq!(house.outcome(&grant).unwrap().sequence, told);
}

#[tokio::test]
async fn a_clock_is_not_reset_while_what_it_voids_is_not_stored() {
    let house = House::new().await;
    house.wall.set(NOW.plus(2 * HOUR));
    let waiting = house.operator("ann").access(&["e.Admin/Compact"], NOW.plus(2 * HOUR));
    house.ask(&waiting).await;
    let back = NOW.plus(MINUTE);
    house.wall.set(back);
    house.disk.freeze();
    let reset = house.requests.reset_clock(back, note(), alice()).await;
    assert!(matches!(reset, Err(ClockError::NotStored(_))));
    assert!(house.requests.clock().now() > NOW.plus(HOUR));
    assert_eq!(
        house.requests.view(&waiting.request.id).unwrap().state(),
        RequestState::Denied,
        "void already"
    );
    let house = house.restart().await;
    assert!(house.requests.clock().now() > NOW.plus(HOUR));
}

#[tokio::test]
async fn what_cannot_be_recorded_is_neither_approved_nor_loosened() {
    let books = Books::new();
    let (audit, log) = books.open();
    let house = House::audited(audit).await;
    let waiting = pending(&house).await;
    house.requests.deny_operator(name("bob"), note(), anybody()).await.unwrap();
    log.close().await;
    assert!(matches!(approve(&house, &waiting, alice()).await, Err(AnswerError::NotStored(_))));
    assert!(house.grant(&waiting).is_none());
    let allowed = house.requests.allow_operator(name("bob"), note(), alice()).await;
    assert!(matches!(allowed, Err(OperatorError::NotStored(_))));
    assert_eq!(house.requests.denied_operators(), ["bob"]);
    let reset = house.requests.reset_clock(NOW.plus(MINUTE / 60), note(), alice()).await;
    assert!(reset.is_err());
    let pause = house.requests.pause(note(), anybody()).await;
    assert!(pause.stored, "what tightens needs no log");
    let resumed = house.requests.resume(pause.id.parse().unwrap(), note(), alice()).await;
    assert!(matches!(resumed, Err(ResumeError::NotStored(_))));
    assert!(house.requests.paused().borrow().is_some());
}

#[tokio::test]
async fn a_request_is_known_again_after_a_restart_in_the_very_words_it_was_answered_with() {
    let house = House::new().await;
    let sent = pending(&house).await;
    let told = house.outcome(&sent).unwrap();
    let house = house.restart().await;
    assert_eq!(house.deliver(&sent).await, ReceivedStatus::Known);
    assert_eq!(house.outcome(&sent).unwrap().sequence, told.sequence);
    assert_eq!(house.requests.outcomes().len(), 1);
}
