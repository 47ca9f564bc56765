use super::*;
use crate::{
    requester::{samples::outcome, tests::scene},
    surroundings::Terminal,
    testing::{Captured, NOW},
};

fn exit(finish: &Finish) -> Exit {
    describe(&scene().access(), finish).2
}

#[tokio::test]
async fn every_end_has_its_exit_code() {
    let over = |state| Finish::Over(outcome(state));
    let ends = [
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
    let (_, text, _) = describe(&record, &Finish::StillWaiting { offline: false });
    assert!(text.contains(&format!("tunnelctl connect acme/prod --resume {}", record.id)), "{text}");
}

#[tokio::test]
async fn unsigned_states_are_the_brokers_word() {
    let record = scene().access();
    for finish in [Finish::StillWaiting { offline: true }, Finish::Undeliverable(Delivery::Unproven)] {
        assert!(describe(&record, &finish).1.starts_with("broker says: "));
    }
}

#[tokio::test]
async fn reasons_are_escaped() {
    let mut denied = outcome(RequestState::Denied);
    denied.reason = "no\u{1b}[2J\u{202e}".into();
    denied.rule = "access[0]".into();
    let (_, text, _) = describe(&scene().access(), &Finish::Denied(denied));
    assert_eq!(text, "denied by the customer: no\\u{1b}[2J\\u{202e} (rule: access[0])");
}

#[test]
fn news_are_escaped_and_labeled() {
    let err = Captured::default();
    let terminal = Terminal { stderr: true, ..Terminal::default() };
    let mut console =
        Console::new(Box::new(Captured::default()), Box::new(err.clone()), terminal, Format::Text);
    let trick = || "\u{1b}[2J\u{202e}".to_owned();
    let pending = News::Pending { had: 0, needed: 1, asked: vec![trick()], until: NOW, reason: trick() };
    for event in
        [pending, News::Ignored(trick()), News::Reconnecting(trick()), News::BrokerSays(Delivery::Taken)]
    {
        news(&mut console, &event, NOW);
    }
    let shown = err.text();
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
    assert!(shown.contains("cluster says: ") && shown.contains("broker says: the cluster took"), "{shown}");
}
