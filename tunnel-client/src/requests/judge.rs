//! May a certificate be issued, may a request be withdrawn? Pure: what is remembered, the policy and now decide.

use std::time::Duration;

use tunnel_protos::{GrantId, OperatorName, RequestId, UnixMillis};

use super::{
    book::Book,
    record::{Access, Record},
    state::Event,
};
use crate::policy::{Authorize, Policy};

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
            "A certificate request older than 5 minutes is refused; ask again",
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

/// Somebody else's request and none at all look the same.
fn own<'b>(book: &'b Book, id: &RequestId, operator: &OperatorName) -> Result<&'b Record, Refusal> {
    book.get(id).filter(|record| record.operator == *operator).ok_or_else(unknown)
}

fn unknown() -> Refusal {
    Refusal::new("operator", "You have no such request here")
}

fn not_stricter(policy: &Policy, access: &Access) -> Result<(), Refusal> {
    access.methods.iter().try_for_each(|(method, level)| match policy.authorize(method, *level, access.raw) {
        Authorize::Allow => Ok(()),
        Authorize::Deny { rule } => {
            let why = format!("The policy has become stricter about {method}; ask for a new grant");
            Err(Refusal::new(&rule, why))
        }
    })
}

/// A held certificate request must not open anything later.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// Every 30 seconds over the longest work window, and more than any client renews.
const MAX_CERTIFICATES: usize = 1024;
