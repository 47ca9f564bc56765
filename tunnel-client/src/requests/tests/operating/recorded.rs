//! What the audit log, and a receipt made of it, say of operations: who approved them, who cut them, how they ended.

use std::fs;

use tunnel_protos::UnixMillis;

use super::{super::audited::Books, *};
use crate::{
    approvers::Who,
    audit::{
        Audit,
        line::Line,
        statement::{self, Statement},
    },
    gate::grants::{Life, Over},
};

async fn audited(audit: Audit) -> House {
    let house = House::audited(audit).await;
    house.set_policy(OPERATIONS);
    house
}

async fn revoke(house: &House, sent: &Sent, by: Who) {
    house.requests.revoke(sent.request.id.into(), note(), by).await.unwrap();
}

/// Every move of `sent` from its first grant on: where to, and by whom.
fn moves(books: &Books, sent: &Sent) -> Vec<(String, String)> {
    let id = sent.request.id.to_string();
    let its = |line: &Line| line.kind == "move" && line.text("request") == id;
    let said = |line: Line| (line.text("state").to_owned(), line.text("by").to_owned());
    let moves = books.lines().into_iter().filter(its).map(said);
    moves.skip_while(|(state, _)| state == "pending").collect()
}

fn receipt(books: &Books, house: &House, sent: &Sent) -> Statement {
    let (cluster, label) = ("acme/prod".parse().unwrap(), house.keys.label);
    statement::gather(&books.folder(), sent.request.id.into(), &cluster, label, UnixMillis(0)).unwrap()
}

fn named<const N: usize>(moves: [(&str, &str); N]) -> Vec<(String, String)> {
    moves.map(|(state, by)| (state.to_owned(), by.to_owned())).to_vec()
}

#[tokio::test]
async fn a_cut_run_is_recorded_as_cut_once_and_its_end_is_nobodys() {
    let books = Books::new();
    let (audit, log) = books.open();
    let mut house = audited(audit).await;
    let (sent, _) = house.running().await;
    house.goes_on(&sent, "Step 1 of 3").await;
    revoke(&house, &sent, anybody()).await;
    revoke(&house, &sent, alice().into()).await;
    let view = house.requests.view(&sent.request.id).unwrap();
    assert_eq!(view.state_reason, "Step 1 of 3; its grant was revoked by uid 1234: looks right");
    house.moved(&sent, RunState::Succeeded).await;
    log.close().await;
    let expected = [("approved", ""), ("running", ""), ("revoked", "uid 1234"), ("succeeded", "")];
    assert_eq!(moves(&books, &sent), named(expected));
    let line = books.lines().into_iter().find(|line| line.text("state") == "revoked").unwrap();
    assert_eq!((line.text("why"), line.text("note")), ("Revoked by uid 1234: looks right", "looks right"));
    let receipt = receipt(&books, &house, &sent);
    assert_eq!(receipt.receipt.state, RequestState::Succeeded);
    let [.., (_, cut), (_, end)] = &receipt.decisions[..] else { panic!("{:?}", receipt.decisions) };
    assert_eq!(cut, "revoked by uid 1234: looks right");
    assert!(end.starts_with("succeeded (") && !end.contains("uid"), "{end}");
}

#[tokio::test]
async fn a_grant_that_is_cut_after_its_run_does_not_end_the_run_again() {
    let books = Books::new();
    let (audit, log) = books.open();
    let mut house = audited(audit).await;
    let (sent, _) = house.running().await;
    house.moved(&sent, RunState::Failed).await;
    revoke(&house, &sent, alice().into()).await;
    log.close().await;
    let expected = [("approved", ""), ("running", ""), ("failed", ""), ("revoked", "alice")];
    assert_eq!(moves(&books, &sent), named(expected));
    let receipt = receipt(&books, &house, &sent);
    assert_eq!(receipt.receipt.state, RequestState::Failed);
    assert_eq!(receipt.decisions.last().unwrap().1, "revoked by alice: looks right");
}

#[tokio::test]
async fn a_cut_that_the_disk_refuses_is_recorded_once() {
    let books = Books::new();
    let (audit, log) = books.open();
    let mut house = audited(audit).await;
    let (sent, _) = house.running().await;
    house.disk.fill();
    let id = sent.request.id.into();
    assert!(house.requests.revoke(id, note(), anybody()).await.is_err());
    assert!(house.requests.revoke(id, note(), alice().into()).await.is_err());
    house.disk.free();
    revoke(&house, &sent, alice().into()).await;
    house.settle().await;
    log.close().await;
    assert_eq!(moves(&books, &sent), named([("approved", ""), ("running", ""), ("revoked", "uid 1234")]));
    let house = house.restart().await;
    assert_eq!(house.grant(&sent).unwrap().life(), Life::Over(Over::Revoked));
    assert!(house.requests.view(&sent.request.id).unwrap().state_reason.ends_with("uid 1234: looks right"));
}

#[tokio::test]
async fn what_a_lost_log_voids_is_recorded_as_what_became_of_it() {
    let books = Books::new();
    let (audit, log) = books.open();
    let mut house = audited(audit).await;
    let (running, _) = house.running().await;
    let (over, _) = house.running().await;
    house.moved(&over, RunState::Succeeded).await;
    log.close().await;
    fs::remove_dir_all(books.folder()).unwrap();
    let (audit, log) = books.open();
    let house = house.restart_audited(audit).await;
    log.close().await;
    for (sent, became) in [(&running, "indeterminate"), (&over, "revoked")] {
        assert_eq!(house.grant(sent).unwrap().life(), Life::Over(Over::Revoked));
        assert_eq!(moves(&books, sent), named([(became, "")]));
    }
    let void = |line: &Line| line.text("why").starts_with("Void: ");
    assert_eq!(books.lines().iter().filter(|line| void(line)).count(), 2);
}

#[tokio::test]
async fn a_rule_that_lets_the_next_plan_pass_is_not_taken_for_who_approved_the_one_before() {
    let books = Books::new();
    let (audit, log) = books.open();
    let mut house = audited(audit).await;
    let pause = house.requests.pause(note(), anybody()).await;
    let (sent, planned) = house.plan(&task("compact")).await;
    house.requests.resume(pause.id.parse().unwrap(), note(), alice()).await.unwrap();
    house.yes(&sent, &planned, signed(1)).await.unwrap();
    house.settle().await;
    house.say(Word::Stale(sent.request.id, Ok(plan(&task("compact"), "second")))).await;
    log.close().await;
    let expected = [("approved", "alice"), ("running", ""), ("approved", ""), ("running", "")];
    assert_eq!(moves(&books, &sent), named(expected));
    let second = |line: &&Line| line.text("state") == "approved" && line.text("by").is_empty();
    let lines = books.lines();
    assert!(lines.iter().find(second).unwrap().text("approval").is_empty());
}

#[tokio::test]
async fn what_was_cut_before_the_clock_was_reset_is_not_recorded_again() {
    let books = Books::new();
    let (audit, log) = books.open();
    let mut house = audited(audit).await;
    let (sent, _) = house.running().await;
    house.pass(HOUR).await;
    revoke(&house, &sent, anybody()).await;
    let back = NOW.plus(MINUTE);
    house.wall.set(back);
    house.requests.reset_clock(back, note(), alice()).await.unwrap();
    log.close().await;
    assert_eq!(moves(&books, &sent), named([("approved", ""), ("running", ""), ("revoked", "uid 1234")]));
}
