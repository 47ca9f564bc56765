//! What a yes, and a certificate, are proven against at the moment they are given: each rule by itself, without disk or task.

use std::time::Duration;

use tunnel_certs::{key::SealingKey, statement::request::Reply};
use tunnel_protos::{Digest, EnvelopeId, GrantId, RequestId, TargetName, UnixMillis};

use super::house::{HOUR, MINUTE, NOW, POLICY, load};
use crate::{
    approvers::{AnswerError, Signed},
    gate::grants::{Level, Serial},
    policy::{Policy, Targets},
    requests::{
        Record, SKEW, State, TOMBSTONE,
        book::Book,
        judge::{self, Approval, Shown},
        orders::{Denied, Orders},
        record::{Access, Notice, Subject},
    },
};

fn shown(record: &Record) -> Shown {
    Shown { request: record.digest, plan: None }
}

/// A pending request of ann's for one method, with a day to live.
fn pending() -> Record {
    let reply = Reply { id: RequestId::random(), outcome_key: *SealingKey::generate().unwrap().public() };
    let (envelope, digest) = (EnvelopeId::new([1; 32]), Digest::new([1; 32]));
    let mut record = Record::unreadable(&reply, envelope, digest, "ann".parse().unwrap(), NOW);
    let methods = [("e.Admin/Compact".parse().unwrap(), Level::Manual)].into();
    record.subject = Subject::Access(Access { methods, targets: targets(), ..Access::default() });
    record.deadlines.pending = Some(NOW.plus(HOUR));
    record
}

fn targets() -> Targets {
    [TargetName::default_target()].into()
}

/// The answer to a yes, with `change` made to what it is proven against.
fn yes(record: &Record, change: impl FnOnce(&mut Approval<'_>, &mut Orders)) -> Result<(), AnswerError> {
    let (book, policy, targets): (Book, Policy, _) = (Book::default(), load(POLICY), targets());
    let mut facts = Approval { book: &book, policy: &policy, targets: &targets, refusing: None, now: NOW };
    let mut orders = Orders::default();
    change(&mut facts, &mut orders);
    judge::approval(&facts, &orders, record, &shown(record))
}

#[test]
fn a_yes_to_what_is_pending_counts() {
    yes(&pending(), |_, _| ()).unwrap();
}

#[test]
fn a_yes_needs_a_pending_request_whose_time_is_not_over() {
    let over = Record { state: State::Withdrawn, ..pending() };
    assert!(matches!(yes(&over, |_, _| ()), Err(AnswerError::NotPending(_))));
    let late = yes(&pending(), |facts, _| facts.now = NOW.plus(HOUR));
    assert!(matches!(late, Err(AnswerError::NotPending(_))));
}

#[test]
fn a_yes_counts_for_nothing_while_requests_are_refused() {
    let refused = yes(&pending(), |facts, _| facts.refusing = Some("the trust bundle has expired".into()));
    assert!(matches!(refused, Err(AnswerError::Refusing(why)) if why.contains("trust bundle")));
}

#[test]
fn a_yes_counts_for_nothing_while_its_operator_is_denied() {
    let refused = yes(&pending(), |_, orders| {
        let denied = Denied { since: NOW, who: "bob".into(), note: String::new() };
        orders.denied.insert("ann".parse().unwrap(), denied);
    });
    assert!(matches!(refused, Err(AnswerError::Refusing(why)) if why.contains("bob")));
}

#[test]
fn a_yes_to_a_target_that_is_gone_counts_for_nothing() {
    let mut record = pending();
    record.access_mut().unwrap().targets.insert("pod-9".parse().unwrap());
    assert!(matches!(yes(&record, |_, _| ()), Err(AnswerError::Policy(why)) if why.contains("pod-9")));
}

#[test]
fn a_yes_never_gives_more_doors_than_may_be_announced() {
    let mut record = pending();
    let many: Targets = (0..1025).map(|n| format!("t{n}").parse().unwrap()).collect();
    record.access_mut().unwrap().targets = many.clone();
    let (book, policy) = (Book::default(), load(POLICY));
    let facts = Approval { book: &book, policy: &policy, targets: &many, refusing: None, now: NOW };
    let refused = judge::approval(&facts, &Orders::default(), &record, &shown(&record));
    assert!(matches!(refused, Err(AnswerError::Refusing(why)) if why.contains("doors")));
}

/// Whether a certificate under `record` is allowed now.
fn certificate(record: Record) -> bool {
    let (grant, mut book): (GrantId, _) = (record.id.into(), Book::default());
    book.put(record);
    judge::certificate(&book, &load(POLICY), &grant, &"ann".parse().unwrap(), NOW, NOW).is_ok()
}

#[test]
fn a_grant_gives_certificates_while_it_lives_and_no_more_than_it_can_remember() {
    let mut live = Record { state: State::Active, ..pending() };
    live.deadlines.work = Some(NOW.plus(MINUTE));
    assert!(certificate(live.clone()));
    live.deadlines.work = Some(NOW);
    assert!(!certificate(live.clone()));
    live.deadlines.work = Some(UnixMillis(NOW.0 + 1));
    live.access_mut().unwrap().serials = (0..1024).map(|_| Serial::new([7; 16])).collect();
    assert!(!certificate(live));
}

#[test]
fn a_grant_never_outlives_the_policys_work_window() {
    let clocks = *load(POLICY).clocks();
    let mut record = pending();
    for (wanted, ends) in [(8 * HOUR, HOUR), (MINUTE, MINUTE), (Duration::ZERO, HOUR)] {
        record.access_mut().unwrap().wanted = wanted;
        assert_eq!(record.work_end(&clocks, NOW), NOW.plus(ends), "{wanted:?}");
    }
}

#[test]
fn what_is_open_or_could_be_replayed_is_never_forgotten() {
    assert_eq!(pending().forget_at(), None);
    let long = Record { state: State::Denied, expires: NOW.plus(48 * HOUR), ..pending() };
    assert_eq!(long.forget_at(), Some(NOW.plus(48 * HOUR + SKEW)));
    let short = Record { expires: NOW, ..long };
    assert_eq!(short.forget_at(), Some(NOW.plus(TOMBSTONE)));
}

#[test]
fn a_used_approval_is_remembered_until_it_is_too_old() {
    let signed = |byte, end| Signed { digest: Digest::new([byte; 32]), forget_after: end, envelope: vec![] };
    let mut orders = Orders::default();
    orders.spend(Some(&signed(1, NOW.plus(MINUTE))), NOW);
    orders.spend(Some(&signed(2, NOW.plus(HOUR))), NOW.plus(MINUTE));
    assert_eq!(orders.used.len(), 2);
    orders.spend(None, NOW.plus(2 * MINUTE));
    assert_eq!(orders.used.keys().collect::<Vec<_>>(), [&Digest::new([2; 32])]);
}

#[test]
fn no_more_people_are_listed_as_told_than_an_outcome_can_carry() {
    let mut record = pending();
    let mut tell = |n: usize| record.notify(Notice { who: format!("p{n}"), time: NOW });
    assert!((0..16).all(&mut tell) && !tell(3) && !tell(16));
}
