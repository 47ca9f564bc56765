//! How an operation is taken back, stopped, cut and paused.

use futures_util::FutureExt;

use super::{super::audited::Books, *};
use crate::{
    approvers::{CancelError, RevokeError},
    gate::grants::{Life, Over},
};

async fn cancel(house: &House, sent: &Sent) -> Result<(), CancelError> {
    house.requests.cancel_operation(sent.request.id, note(), anybody()).await
}

#[tokio::test]
async fn what_has_not_begun_is_withdrawn_and_what_runs_is_cancelled() {
    let mut house = house().await;
    let ann = house.operator("ann");
    let (unplanned, _) = house.asked(&task("compact")).await;
    let (pending, _) = house.plan(&task("reindex")).await;
    let (approved, _) = house.plan(&on_call("compact")).await;
    for sent in [&unplanned, &pending, &approved] {
        assert_eq!(house.ask(&ann.withdraw(sent.request.id, NOW)).await, RequestState::Done);
        assert_eq!(house.state(sent), RequestState::Withdrawn);
        assert!(start(&house, sent).await.is_err());
    }
    let (running, _) = house.running().await;
    let withdraw = ann.withdraw(running.request.id, NOW);
    assert_eq!(house.ask(&withdraw).await, RequestState::Denied);
    assert!(house.why(&withdraw).contains("tunnelctl cancel"), "{}", house.why(&withdraw));
    assert_eq!(house.state(&running), RequestState::Running);
    assert!(house.hands.ordered().is_empty());
}

#[tokio::test]
async fn the_customer_stops_a_run_before_its_next_step() {
    let mut house = house().await;
    let (sent, _) = house.running().await;
    cancel(&house, &sent).await.unwrap();
    assert_eq!(house.hands.stopping(&sent.request.id).unwrap(), "Stopped by uid 1234: looks right");
    assert_eq!(house.state(&sent), RequestState::Running);
    house.moved(&sent, RunState::RolledBack).await;
    assert_eq!(house.state(&sent), RequestState::RolledBack);
    cancel(&house, &sent).await.unwrap();
    assert_eq!(house.state(&sent), RequestState::RolledBack);
}

#[tokio::test]
async fn of_a_plan_that_nobody_carries_out_only_its_digest_stays() {
    let mut house = house().await;
    let ann = house.operator("ann");
    let (withdrawn, planned) = house.plan(&task("reindex")).await;
    house.ask(&ann.withdraw(withdrawn.request.id, NOW)).await;
    let (cancelled, waited) = house.plan(&on_call("compact")).await;
    cancel(&house, &cancelled).await.unwrap();
    let (succeeded, _) = house.running().await;
    house.moved(&succeeded, RunState::Succeeded).await;
    let house = house.restart().await;
    let of = |sent: &Sent| house.requests.view(&sent.request.id).unwrap().running.unwrap();
    for (sent, digest) in [(&withdrawn, planned.digest()), (&cancelled, waited.digest())] {
        let shown = of(sent);
        assert!(shown.plan.is_none() && shown.steps.is_empty());
        assert_eq!(shown.plan_digest, digest);
        let record = house.requests.shared.record(&sent.request.id).unwrap();
        assert!(record.operation().unwrap().planned.as_ref().unwrap().bytes.is_empty());
    }
    assert!(of(&succeeded).plan.is_some());
}

#[tokio::test]
async fn its_operator_hears_nothing_of_the_customers_disks_and_commands() {
    let books = Books::new();
    let (audit, log) = books.open();
    let mut house = House::audited(audit).await;
    house.set_policy(OPERATIONS);
    let (approved, _) = house.plan(&on_call("compact")).await;
    let (running, _) = house.running().await;
    let (pending, _) = house.plan(&task("reindex")).await;
    let told = |refused: Result<(), Refused>| match refused {
        Err(Refused::NotNow(why)) => why,
        other => panic!("{other:?}"),
    };
    house.disk.fill();
    let unbegun = "It was not begun: the customer's client cannot store that now; try again";
    assert_eq!(told(start(&house, &approved).await), unbegun);
    let stopped = Office::cancel(&house.requests, running.request.id).await;
    let unkept = "It stops, but the customer's client cannot store that now; say it again later";
    assert_eq!(told(stopped), unkept);
    house.disk.free();
    let withdraw = format!("Nothing of it runs; `tunnelctl withdraw {}` ends it", pending.request.id);
    assert_eq!(told(Office::cancel(&house.requests, pending.request.id).await), withdraw);
    house.requests.deny(pending.request.id, None, note(), anybody()).await.unwrap();
    assert_eq!(told(Office::cancel(&house.requests, pending.request.id).await), "It is over already");
    log.close().await;
    assert_eq!(told(start(&house, &approved).await), unbegun);
}

#[tokio::test]
async fn its_operator_stops_a_run() {
    let mut house = house().await;
    let (sent, _) = house.running().await;
    Office::cancel(&house.requests, sent.request.id).await.unwrap();
    assert_eq!(house.hands.stopping(&sent.request.id).unwrap(), "Stopped by its operator ann");
}

#[tokio::test]
async fn what_waits_for_its_start_is_cancelled_at_once_and_what_waits_for_a_yes_is_not() {
    let mut house = house().await;
    let (approved, _) = house.plan(&on_call("compact")).await;
    cancel(&house, &approved).await.unwrap();
    assert_eq!(house.state(&approved), RequestState::Cancelled);
    assert!(start(&house, &approved).await.is_ok(), "it is over, so there is nothing to begin");
    assert!(house.hands.ordered().is_empty());
    let (pending, _) = house.plan(&task("reindex")).await;
    assert!(matches!(cancel(&house, &pending).await, Err(CancelError::NotNow(RequestState::Pending))));
    let access = house.operator("ann").access(&["e.Admin/Get"], NOW);
    assert!(matches!(cancel(&house, &access).await, Err(CancelError::Unknown)));
}

#[tokio::test]
async fn a_stop_outlives_a_restart_and_a_full_disk() {
    let mut house = house().await;
    let (sent, _) = house.running().await;
    house.disk.fill();
    assert!(matches!(cancel(&house, &sent).await, Err(CancelError::NotStored(_))));
    assert!(house.hands.stopping(&sent.request.id).is_some());
    house.disk.free();
    cancel(&house, &sent).await.unwrap();
    let mut house = house.restart().await;
    house.settle().await;
    assert_eq!(house.hands.ordered().len(), 1);
    house.settle().await;
    assert!(house.hands.stopping(&sent.request.id).is_some());
}

#[tokio::test]
async fn one_that_is_to_stop_is_not_begun_again_by_another_plan() {
    let mut house = house().await;
    let (sent, planned) = house.running().await;
    cancel(&house, &sent).await.unwrap();
    house.say(Word::Stale(sent.request.id, Ok(planned))).await;
    assert_eq!(house.state(&sent), RequestState::Cancelled);
    assert!(house.hands.ordered().is_empty());
}

#[tokio::test]
async fn a_revocation_cuts_the_grant_and_stops_the_run() {
    let mut house = house().await;
    let (approved, _) = house.plan(&on_call("compact")).await;
    let (sent, _) = house.running().await;
    for sent in [&approved, &sent] {
        house.requests.revoke(sent.request.id.into(), note(), anybody()).await.unwrap();
        assert_eq!(house.grant(sent).unwrap().life(), Life::Over(Over::Revoked));
    }
    assert_eq!(house.state(&approved), RequestState::Revoked);
    assert_eq!(house.state(&sent), RequestState::Running);
    house.settle().await;
    assert_eq!(house.hands.stopping(&sent.request.id).unwrap(), "Revoked by uid 1234: looks right");
    house.moved(&sent, RunState::Cancelled).await;
    assert_eq!(house.state(&sent), RequestState::Cancelled);
    let house = house.restart().await;
    assert_eq!(house.grant(&sent).unwrap().life(), Life::Over(Over::Revoked));
    let asked = house.operator("ann").certificate(sent.request.id.into(), NOW);
    assert_eq!(house.ask(&asked).await, RequestState::Denied);
}

#[tokio::test]
async fn what_is_over_can_still_be_cut_while_it_can_be_looked_at() {
    let mut house = house().await;
    let (sent, _) = house.running().await;
    house.moved(&sent, RunState::Succeeded).await;
    house.requests.revoke(sent.request.id.into(), note(), anybody()).await.unwrap();
    assert_eq!(house.grant(&sent).unwrap().life(), Life::Over(Over::Revoked));
    assert_eq!(house.state(&sent), RequestState::Succeeded);
    let (late, _) = house.running().await;
    house.moved(&late, RunState::Succeeded).await;
    house.pass(HOUR).await;
    let refused = house.requests.revoke(late.request.id.into(), note(), anybody()).await;
    assert!(matches!(refused, Err(RevokeError::NotLive(RequestState::Succeeded))));
}

#[tokio::test]
async fn nothing_of_a_denied_operator_goes_on() {
    let mut house = house().await;
    let (unplanned, _) = house.asked(&task("compact")).await;
    let (approved, _) = house.plan(&on_call("compact")).await;
    let (over, _) = house.running().await;
    house.moved(&over, RunState::Succeeded).await;
    let (running, _) = house.running().await;
    let denied = house.requests.deny_operator("ann".parse().unwrap(), note(), anybody()).await.unwrap();
    assert_eq!((denied.requests_denied, denied.grants_revoked), (1, 3));
    assert_eq!(house.state(&unplanned), RequestState::Denied);
    assert_eq!(house.state(&approved), RequestState::Revoked);
    assert_eq!(house.state(&over), RequestState::Succeeded);
    house.settle().await;
    assert!(house.hands.stopping(&running.request.id).is_some());
    for sent in [&approved, &over, &running] {
        assert_eq!(house.grant(sent).unwrap().life(), Life::Over(Over::Revoked));
    }
    house.say(Word::Planned(unplanned.request.id, Ok(plan(&task("compact"), "late")))).await;
    assert_eq!(house.state(&unplanned), RequestState::Denied);
}

#[tokio::test]
async fn nothing_begins_while_everything_is_paused() {
    let mut house = house().await;
    let (on_call, _) = house.plan(&on_call("compact")).await;
    let (unplanned, _) = house.asked(&task("compact")).await;
    let pause = house.requests.pause(note(), anybody()).await;
    let Err(Refused::NotNow(why)) = start(&house, &on_call).await else { panic!("it began") };
    assert!(why.contains("Paused"), "{why}");
    let planned = plan(&task("compact"), "first");
    house.say(Word::Planned(unplanned.request.id, Ok(planned.clone()))).await;
    assert_eq!(house.state(&unplanned), RequestState::Pending);
    assert!(house.yes(&unplanned, &planned, alice()).await.is_err());
    assert!(house.hands.ordered().is_empty());
    house.requests.resume(pause.id.parse().unwrap(), note(), alice()).await.unwrap();
    start(&house, &on_call).await.unwrap();
    assert_eq!(house.hands.ordered().len(), 1);
    assert_eq!(house.state(&unplanned), RequestState::Pending, "what was planned in a pause takes a person");
}

#[tokio::test]
async fn what_was_approved_begins_once_its_begin_can_be_stored() {
    let mut house = house().await;
    let (sent, planned) = house.plan(&task("reindex")).await;
    house.yes(&sent, &planned, alice()).await.unwrap();
    house.disk.freeze();
    house.settle().await;
    let state = house.state(&sent);
    assert!(state == RequestState::Running || house.hands.ordered().is_empty(), "it runs, and is not stored");
}

#[tokio::test]
async fn a_cut_run_hears_of_it_before_the_disk_does() {
    for denied in [false, true] {
        let mut house = house().await;
        let (sent, _) = house.running().await;
        house.disk.hang(true);
        let cut = async {
            match denied {
                true => house.requests.deny_operator("ann".parse().unwrap(), note(), anybody()).await.is_ok(),
                false => house.requests.revoke(sent.request.id.into(), note(), anybody()).await.is_ok(),
            }
        };
        let mut cut = std::pin::pin!(cut);
        assert!(cut.as_mut().now_or_never().is_none());
        assert_eq!(house.hands.stopping(&sent.request.id).unwrap(), "Revoked by uid 1234: looks right");
        house.disk.hang(false);
        assert!(cut.await);
    }
}

#[tokio::test]
async fn a_cut_run_does_not_go_on_after_a_restart() {
    let mut house = house().await;
    let (sent, _) = house.plan(&task("compact")).await;
    let order = house.hands.ordered().pop().unwrap();
    house.requests.revoke(sent.request.id.into(), note(), anybody()).await.unwrap();
    let house = house.restart().await;
    // The clerk has not had a turn yet.
    house.hands.resume(&order);
    assert_eq!(house.hands.stopping(&sent.request.id).unwrap(), "Revoked by uid 1234: looks right");
}
