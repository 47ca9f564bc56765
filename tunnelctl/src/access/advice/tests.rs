use super::*;
use crate::requester::{record::Record, samples::outcome, tests::scene};

fn exit(finish: &Finish) -> Exit {
    of(&scene().access(), finish).exit
}

fn granted() -> Record {
    let mut record = scene().access();
    record.answer = Some(crate::requester::samples::answer(RequestState::Active));
    record
}

#[tokio::test]
async fn every_end_has_its_exit_code() {
    let over = |state| Finish::Over(outcome(state));
    let ends = [
        (Finish::Yes(outcome(RequestState::Done)), Exit::Ok),
        (Finish::Denied(outcome(RequestState::Denied)), Exit::Denied),
        (over(RequestState::Revoked), Exit::Denied),
        (over(RequestState::Expired), Exit::Expired),
        (over(RequestState::Withdrawn), Exit::Expired),
        (over(RequestState::Ended), Exit::Expired),
        (Finish::StillWaiting { offline: false }, Exit::Waiting),
        (Finish::StillWaiting { offline: true }, Exit::Offline),
        (Finish::Undeliverable(Delivery::Lapsed), Exit::Offline),
        (Finish::Undeliverable(Delivery::Unproven), Exit::Failed),
    ];
    for (finish, expected) in ends {
        assert_eq!(exit(&finish), expected, "{finish:?}");
    }
}

#[tokio::test]
async fn waiting_says_how_to_go_on() {
    let record = scene().access();
    let told = of(&record, &Finish::StillWaiting { offline: false });
    let expected = [
        format!("tunnelctl connect acme/prod --resume {}", record.id),
        format!("tunnelctl withdraw {}", record.id),
    ];
    assert_eq!(told.commands, expected);
}

#[tokio::test]
async fn unsigned_states_are_the_brokers_word() {
    let record = scene().access();
    for finish in [Finish::StillWaiting { offline: true }, Finish::Undeliverable(Delivery::Unproven)] {
        assert!(of(&record, &finish).text.starts_with("broker says: "));
    }
}

#[tokio::test]
async fn reasons_are_escaped() {
    let mut denied = outcome(RequestState::Denied);
    denied.reason = "no\u{1b}[2J\u{202e}".into();
    denied.rule = "access[0]".into();
    let told = of(&scene().access(), &Finish::Denied(denied));
    assert_eq!(told.text, "denied by the customer: no\\u{1b}[2J\\u{202e} (rule: access[0])");
}

#[tokio::test]
async fn a_denial_is_told_as_final_with_the_same_ask_ready() {
    let told = of(&scene().access(), &Finish::Denied(outcome(RequestState::Denied)));
    assert!(told.hint.contains("denied before"));
    assert_eq!(told.commands, ["tunnelctl connect acme/prod --method a.B/C --for 30m --reason 'disk full'"]);
}

#[tokio::test]
async fn a_denial_by_a_rule_promises_no_person() {
    let mut denied = outcome(RequestState::Denied);
    denied.rule = "access[0]".into();
    let told = of(&scene().access(), &Finish::Denied(denied));
    assert!(told.hint.contains("until the customer changes that rule"), "{}", told.hint);
}

#[tokio::test]
async fn a_certificate_denied_leaves_the_grant() {
    let record = granted();
    let mut paused = outcome(RequestState::Denied);
    paused.reason = "paused by the customer since 03:02".into();
    let told = of(&record, &Finish::Denied(paused));
    assert!(told.text.contains("paused by the customer") && told.hint.contains("resumed"));
    assert_eq!(told.commands, [resume(&record)]);
}

#[tokio::test]
async fn a_revocation_carries_the_customers_note() {
    let mut revoked = outcome(RequestState::Revoked);
    revoked.reason = "work is done".into();
    let told = of(&granted(), &Finish::Over(revoked));
    assert_eq!(told.text, "revoked by the customer: work is done");
    let mut whole = outcome(RequestState::Revoked);
    whole.reason = "Revoked by the customer: work is done".into();
    whole.rule = "access rule 1".into();
    assert_eq!(of(&granted(), &Finish::Over(whole)).text, "Revoked by the customer: work is done");
}

#[tokio::test]
async fn an_unknown_target_is_not_asked_for_again() {
    let mut outcome = outcome(RequestState::Denied);
    outcome.reason = "There is no target nope".into();
    let told = of(&scene().access(), &Finish::Denied(outcome));
    assert_eq!(told.exit, Exit::Denied);
    assert_eq!(told.commands, ["tunnelctl cluster show acme/prod"]);
}

#[test]
fn a_withdraw_of_what_is_over_is_no_denial() {
    let mut outcome = outcome(RequestState::Denied);
    (outcome.reason, outcome.rule) = ("The request is over already".into(), "state".into());
    let told = nothing_to_withdraw(&outcome);
    assert_eq!(
        (told.exit, told.text.as_str()),
        (Exit::Expired, "nothing to withdraw: The request is over already")
    );
}
