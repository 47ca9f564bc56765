//! May a request be approved or withdrawn, may a certificate be issued? Pure: what is remembered, the policy and now decide.

use std::time::Duration;

use tunnel_protos::{Digest, GrantId, OperatorName, RequestId, UnixMillis};

use super::{
    book::Book,
    orders::Orders,
    record::{Access, Record},
    state::{Event, State},
};
use crate::{
    approvers::AnswerError,
    policy::{Decision, Policy, Reason, Targets},
};

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
    if !grant.state.is_live_grant() || grant.due().is_some_and(|end| end <= now) {
        return Err(Refusal::new("grant", format!("The grant is not live: {}", grant.why)));
    }
    let access = grant.access().ok_or_else(unknown)?;
    if access.serials.len() >= MAX_CERTIFICATES {
        return Err(Refusal::new("grant", "This grant had too many certificates; ask for a new one"));
    }
    not_stricter(policy, access)?;
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
    shown: &Digest,
) -> Result<(), AnswerError> {
    if record.digest != *shown {
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
    if let Some((method, rule)) = access.stricter(facts.policy) {
        return Err(AnswerError::Policy(format!("{method} ({rule})")));
    }
    if let Some(target) = access.targets.iter().find(|target| !facts.targets.contains(*target)) {
        return Err(AnswerError::Policy(format!("there is no target {target} any more")));
    }
    let doors = facts.book.admit_doors(&record.operator, access.targets.len());
    doors.map_err(|error| AnswerError::Refusing(error.to_string()))
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
    book.all().filter(|record| record.state.is_open()).filter_map(cut).collect()
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

fn not_stricter(policy: &Policy, access: &Access) -> Result<(), Refusal> {
    let Some((method, rule)) = access.stricter(policy) else { return Ok(()) };
    Err(Refusal::new(&rule, format!("The policy has become stricter about {method}; ask for a new grant")))
}

/// A held certificate request must not open anything later.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// Every 30 seconds over the longest work window, and more than any client renews.
const MAX_CERTIFICATES: usize = 1024;
