use super::*;
use crate::requester::samples::outcome;

fn wait() -> Wait {
    Wait::new(Goal::Grant)
}

fn answer(state: RequestState) -> Event {
    Event::Outcome(Box::new(outcome(state)))
}

fn finished(step: Step) -> Finish {
    match step {
        Step::Finish(finish) => *finish,
        other => panic!("not finished: {other:?}"),
    }
}

#[test]
fn only_a_signed_outcome_grants() {
    let mut wait = wait();
    for delivery in [Delivery::Waiting, Delivery::Sent, Delivery::Taken, Delivery::Full] {
        assert_eq!(wait.on(Event::Delivery(delivery)), Step::Say(News::BrokerSays(delivery)));
    }
    assert!(matches!(finished(wait.on(answer(RequestState::Approved))), Finish::Yes(_)));
}

#[test]
fn every_end_has_its_meaning() {
    let end = |state| finished(wait().on(answer(state)));
    assert!(matches!(end(RequestState::Active), Finish::Yes(_)));
    assert!(matches!(end(RequestState::Denied), Finish::Denied(_)));
    for over in [RequestState::Expired, RequestState::Withdrawn, RequestState::Ended, RequestState::Revoked] {
        assert!(matches!(end(over), Finish::Over(_)), "{over:?}");
    }
}

#[test]
fn a_certificate_needs_done() {
    let mut wait = Wait::new(Goal::Done);
    assert!(matches!(wait.on(answer(RequestState::Approved)), Step::Say(News::Granted { .. })));
    assert!(matches!(finished(wait.on(answer(RequestState::Done))), Finish::Yes(_)));
}

#[test]
fn whoever_waits_for_the_end_is_told_of_the_grant() {
    let mut wait = Wait::new(Goal::End);
    for state in [RequestState::Approved, RequestState::Active] {
        assert!(
            matches!(wait.on(answer(state)), Step::Say(News::Granted { state: said, .. }) if said == state)
        );
    }
    assert!(matches!(finished(wait.on(answer(RequestState::Ended))), Finish::Over(_)));
}

#[test]
fn an_operation_that_went_on_was_decided_and_its_end_is_an_end() {
    for state in [
        RequestState::Succeeded,
        RequestState::Failed,
        RequestState::RolledBack,
        RequestState::Cancelled,
        RequestState::Indeterminate,
    ] {
        assert!(matches!(finished(wait().on(answer(state))), Finish::Yes(_)), "{state:?}");
        assert!(matches!(finished(Wait::new(Goal::End).on(answer(state))), Finish::Over(_)), "{state:?}");
    }
    assert!(matches!(finished(wait().on(answer(RequestState::Running))), Finish::Yes(_)));
    let mut waiting = Wait::new(Goal::End);
    assert!(matches!(waiting.on(answer(RequestState::Running)), Step::Say(News::Granted { .. })));
}

#[test]
fn the_same_news_is_said_once() {
    let mut wait = wait();
    assert!(matches!(wait.on(answer(RequestState::Pending)), Step::Say(_)));
    assert_eq!(wait.on(answer(RequestState::Pending)), Step::Wait);
}

#[test]
fn forged_outcomes_are_ignored_and_said_once() {
    let mut wait = wait();
    assert!(matches!(wait.on(Event::Forged("a".into())), Step::Say(News::Ignored(_))));
    assert_eq!(wait.on(Event::Forged("b".into())), Step::Wait);
    assert!(matches!(finished(wait.on(answer(RequestState::Approved))), Finish::Yes(_)));
}

#[test]
fn time_up_tells_offline_from_undecided() {
    let mut offline = wait();
    offline.on(Event::Delivery(Delivery::Waiting));
    assert_eq!(finished(offline.on(Event::TimeUp)), Finish::StillWaiting { offline: true });
    let mut undecided = wait();
    undecided.on(Event::Delivery(Delivery::Taken));
    assert_eq!(finished(undecided.on(Event::Interrupted)), Finish::StillWaiting { offline: false });
}

#[test]
fn a_forgetful_broker_gets_the_request_again() {
    assert_eq!(wait().on(Event::Forgotten), Step::Resubmit);
}

#[test]
fn undeliverable_requests_end_the_waiting() {
    for delivery in [Delivery::Unproven, Delivery::UnknownKey, Delivery::Lapsed] {
        assert_eq!(finished(wait().on(Event::Delivery(delivery))), Finish::Undeliverable(delivery));
    }
}
