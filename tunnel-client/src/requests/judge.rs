//! May a request be approved or withdrawn, may a certificate be issued? Pure: what is remembered, the policy and now decide.

use std::time::Duration;

use tunnel_protos::{Digest, GrantId, OperatorName, RequestId, UnixMillis};

use super::{
    book::Book,
    orders::Orders,
    record::{Access, Deadlines, Operating, Record},
    state::{Event, State},
};
use crate::{
    approvers::AnswerError,
    policy::{Decision, Policy, Reason, Targets},
};

/// What a person was shown before a yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shown {
    /// Digest of the request's envelope.
    pub(super) request: Digest,
    /// Digest of the plan, for an operation.
    pub(super) plan: Option<Digest>,
}

/// Why it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) rule: String,
    pub(super) why: String,
}

impl Refusal {
    pub(super) fn new(rule: &str, why: impl Into<String>) -> Self {
        Self { rule: rule.to_owned(), why: why.into() }
    }
}

/// The grant under which `operator` may have a certificate: live, own, fresh, and not stricter by today's policy.
pub(super) fn certificate<'b>(
    book: &'b Book,
    policy: &Policy,
    grant: &GrantId,
    operator: &OperatorName,
    issued: UnixMillis,
    now: UnixMillis,
) -> Result<&'b Record, Refusal> {
    if now.since(issued) > FRESH {
        return Err(Refusal::new(
            "freshness",
            "By the client's clock this request for a certificate is older than 5 minutes; ask again",
        ));
    }
    let grant = own(book, &(*grant).into(), operator)?;
    if !grant.holds_grant(now) {
        return Err(Refusal::new("grant", format!("The grant is not live: {}", grant.why)));
    }
    let access = grant.access().ok_or_else(unknown)?;
    if access.serials.len() >= MAX_CERTIFICATES {
        return Err(Refusal::new("grant", "This grant had too many certificates; ask for a new one"));
    }
    not_stricter(policy, grant)?;
    Ok(grant)
}

/// The request that `operator` may end.
pub(super) fn withdraw<'b>(
    book: &'b Book,
    request: &RequestId,
    operator: &OperatorName,
) -> Result<&'b Record, Refusal> {
    let record = own(book, request, operator)?;
    match record.state.after(Event::Withdraw) {
        Some(_) => Ok(record),
        None if record.state == State::Running => {
            Err(Refusal::new("state", format!("It runs already; `tunnelctl cancel {request}` stops it")))
        }
        None => Err(Refusal::new("state", "The request is over already")),
    }
}

/// What a yes is proven against at the moment it is given.
#[derive(Debug)]
pub(super) struct Approval<'f> {
    pub(super) book: &'f Book,
    pub(super) policy: &'f Policy,
    pub(super) targets: &'f Targets,
    /// Why requests are not taken at present.
    pub(super) refusing: Option<String>,
    pub(super) now: UnixMillis,
}

/// Whether a person's yes to what was `shown` makes `record` a grant now.
pub(super) fn approval(
    facts: &Approval<'_>,
    orders: &Orders,
    record: &Record,
    shown: &Shown,
) -> Result<(), AnswerError> {
    if record.digest != shown.request {
        return Err(AnswerError::Changed);
    }
    if record.state != State::Pending || record.due().is_some_and(|due| due <= facts.now) {
        return Err(AnswerError::NotPending(record.state.to_message()));
    }
    unordered(orders, record).map_err(AnswerError::Refusing)?;
    if let Some(why) = &facts.refusing {
        return Err(AnswerError::Refusing(why.clone()));
    }
    let access = record.access().ok_or(AnswerError::Unknown)?;
    match record.operation() {
        Some(operation) => as_planned(operation, shown)?,
        None => as_shown(access, shown, facts)?,
    }
    if let Some((what, rule)) = record.stricter(facts.policy) {
        return Err(AnswerError::Policy(format!("{what} ({rule})")));
    }
    let doors = facts.book.admit_doors(&record.operator, access.targets.len());
    doors.map_err(|error| AnswerError::Refusing(error.to_string()))
}

/// The plan that was shown is the one that would be carried out.
fn as_planned(operation: &Operating, shown: &Shown) -> Result<(), AnswerError> {
    let planned = operation.planned.as_ref().ok_or(AnswerError::NotPlanned)?;
    if shown.plan == Some(Digest::new(planned.digest())) { Ok(()) } else { Err(AnswerError::PlanChanged) }
}

/// Its targets are there, and nobody was shown a plan.
fn as_shown(access: &Access, shown: &Shown, facts: &Approval<'_>) -> Result<(), AnswerError> {
    if shown.plan.is_some() {
        return Err(AnswerError::PlanChanged);
    }
    match access.targets.iter().find(|target| !facts.targets.contains(*target)) {
        Some(target) => Err(AnswerError::Policy(format!("there is no target {target} any more"))),
        None => Ok(()),
    }
}

/// Whether an operation may begin now; the error says why not, to its operator.
pub(super) fn beginning(
    record: &Record,
    policy: &Policy,
    orders: &Orders,
    now: UnixMillis,
) -> Result<(), String> {
    let dry_run = record.operation().is_some_and(|operation| operation.asked.dry_run);
    match record.state {
        State::Pending => return Err(format!("It is not approved yet: {}", record.why)),
        State::Approved | State::Active if dry_run => return Err(DRY_RUN.to_owned()),
        State::Approved if record.due().is_some_and(|due| due <= now) => {
            return Err("Its time is over; ask again".to_owned());
        }
        State::Approved => {}
        _ => return Err(format!("It is over: {}", record.why)),
    }
    if let Some(pause) = &orders.pause {
        return Err(format!("{}; it can begin when work goes on", pause.sentence()));
    }
    let_begin(record, policy, orders)
}

/// Whether an operation that was begun, and waited for its turn, may take its first step now: its time is that of an
/// approved one.
pub(super) fn turn(record: &Record, policy: &Policy, orders: &Orders, now: UnixMillis) -> Result<(), String> {
    let Deadlines { work, claim, .. } = record.deadlines;
    if record.is_cut() {
        return Err(format!("Its grant is over: {}", record.why));
    }
    if work.or(claim).is_some_and(|end| end <= now) {
        return Err("Its time was over before its turn came; ask again".to_owned());
    }
    let_begin(record, policy, orders)
}

fn let_begin(record: &Record, policy: &Policy, orders: &Orders) -> Result<(), String> {
    if orders.denied.contains_key(&record.operator) {
        return Err("The customer refuses this operator's requests".to_owned());
    }
    let stricter = record.stricter(policy);
    stricter
        .map_or(Ok(()), |(_, rule)| Err(format!("Today's policy does not let it begin ({rule}); ask again")))
}

/// Neither paused nor from a denied operator; the error says what to do.
fn unordered(orders: &Orders, record: &Record) -> Result<(), String> {
    if let Some(pause) = &orders.pause {
        return Err(format!("everything is paused by {}; resume first, then approve", pause.who));
    }
    match orders.denied.get(&record.operator) {
        Some(denied) => Err(format!("{} denied this operator; allow it first, then approve", denied.who)),
        None => Ok(()),
    }
}

/// What is open of denied operators, as it is once it is cut.
pub(super) fn cut(book: &Book, orders: &Orders, now: UnixMillis) -> Vec<Record> {
    let cut = |record: &Record| {
        let denied = orders.denied.get(&record.operator)?;
        let mut record = record.clone();
        record.cut(denied, now).is_ok().then_some(record)
    };
    // What is over stays over, and is most of what is remembered.
    let open = |record: &&Record| record.state.is_open() || record.lingers(now);
    // A run goes on until its runner says that it has stopped.
    book.all().filter(open).filter(|record| !record.is_cut()).filter_map(cut).collect()
}

/// A decision as the customer's orders leave it: nothing opens by itself while paused, nor what a person denied before.
pub(super) fn temper(decision: Decision, paused: bool, denied_before: Option<RequestId>) -> Decision {
    let (rule, text) = match (paused, denied_before) {
        (true, _) => ("pause", "Everything is paused, so a person must answer it".to_owned()),
        (false, Some(before)) => {
            let text = format!("The same was denied before ({}), so a person must answer it", before.short());
            ("denied before", text)
        }
        (false, None) => return decision,
    };
    match decision {
        Decision::Auto(methods, _) => Decision::Manual(methods, Reason { rule: rule.to_owned(), text }),
        decision => decision,
    }
}

/// Somebody else's request and none at all look the same.
fn own<'b>(book: &'b Book, id: &RequestId, operator: &OperatorName) -> Result<&'b Record, Refusal> {
    book.get(id).filter(|record| record.operator == *operator).ok_or_else(unknown)
}

fn unknown() -> Refusal {
    Refusal::new("operator", "You have no such request here")
}

fn not_stricter(policy: &Policy, grant: &Record) -> Result<(), Refusal> {
    let Some((what, rule)) = grant.stricter(policy) else { return Ok(()) };
    Err(Refusal::new(&rule, format!("The policy has become stricter about {what}; ask for a new grant")))
}

const DRY_RUN: &str = "It was asked for as a dry run, of which nothing is ever done; ask again without it";

/// A held certificate request must not open anything later.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// Every 30 seconds over the longest work window, and more than any client renews.
const MAX_CERTIFICATES: usize = 1024;
