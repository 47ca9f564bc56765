//! What one session may call, looked up by path: the grant's methods with today's policy folded in.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tunnel_protos::{MethodName, UnixMillis};

use super::{
    grants::{GrantRef, Level},
    status::{Limit, Refusal},
    usage::{OpenCall, Usage},
};
use crate::policy::{Authorize, Limits, Policy};

/// The methods of one session's grant.
#[derive(Debug)]
pub(super) struct Methods {
    by_path: HashMap<Box<str>, Granted>,
    raw: bool,
}

/// One granted method under today's policy.
#[derive(Debug)]
pub(super) struct Granted {
    name: Arc<MethodName>,
    level: Level,
    mutates: bool,
    today: Today,
    open: Arc<AtomicUsize>,
}

/// What today's policy says of a granted method.
#[derive(Debug)]
enum Today {
    Allow(Arc<Metered>),
    Deny { rule: String },
}

/// A rule's limits with what the grant has used of them.
#[derive(Debug)]
pub(super) struct Metered {
    rule: String,
    limits: Limits,
    usage: Arc<Usage>,
}

impl Methods {
    /// The methods of `grant` under `policy`; `mutates` tells which change something.
    pub(super) fn new(grant: &GrantRef, policy: &Policy, mutates: impl Fn(&MethodName) -> bool) -> Self {
        let raw = grant.grant().raw;
        let one = |(name, level): (&MethodName, &Level)| {
            let granted = Granted {
                name: Arc::new(name.clone()),
                level: *level,
                mutates: mutates(name),
                today: today(grant, policy, name, *level, raw),
                open: Arc::default(),
            };
            (name.path().into_boxed_str(), granted)
        };
        // Our own services are never the engine's, whatever a grant says.
        let own = |(name, _): &(&MethodName, &Level)| !name.is_reserved();
        Self { by_path: grant.grant().methods.iter().filter(own).map(one).collect(), raw }
    }

    /// Takes a new policy in; true if a call is open that would not pass any more.
    pub(super) fn refresh(&mut self, grant: &GrantRef, policy: &Policy) -> bool {
        let raw = self.raw;
        let refreshed = self.by_path.values_mut().map(|granted| {
            granted.today = today(grant, policy, &granted.name, granted.level, raw);
            matches!(granted.today, Today::Deny { .. }) && granted.open.load(Ordering::Relaxed) > 0
        });
        refreshed.fold(false, |cut, stricter| cut | stricter)
    }

    /// The granted method behind a request path.
    pub(super) fn get(&self, path: &str) -> Option<&Granted> {
        self.by_path.get(path)
    }
}

impl Granted {
    /// The name.
    pub(super) fn name(&self) -> &Arc<MethodName> {
        &self.name
    }

    /// Whether the customer's profile does not say that it is read-only.
    pub(super) fn mutates(&self) -> bool {
        self.mutates
    }

    /// Whether today's policy lets it pass.
    pub(super) fn authorize(&self) -> Result<&Arc<Metered>, Refusal> {
        match &self.today {
            Today::Allow(metered) => Ok(metered),
            Today::Deny { rule } => {
                Err(Refusal::PolicyStricter { method: (*self.name).clone(), rule: rule.clone() })
            }
        }
    }

    /// Begins a call within the limits.
    pub(super) fn begin(&self, metered: &Arc<Metered>, now: UnixMillis) -> Result<Begun, Refusal> {
        let call = metered.usage.begin(&metered.limits, now).map_err(|limit| metered.refusal(limit))?;
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Begun { metered: metered.clone(), open: self.open.clone(), _call: call })
    }
}

impl Metered {
    fn refusal(&self, limit: Limit) -> Refusal {
        Refusal::Limit { rule: self.rule.clone(), limit }
    }
}

/// A call in progress; dropping it ends the counts.
#[derive(Debug)]
pub(super) struct Begun {
    metered: Arc<Metered>,
    open: Arc<AtomicUsize>,
    _call: OpenCall,
}

impl Begun {
    /// Counts bytes from the engine.
    pub(super) fn add_bytes(&self, count: usize) -> Result<(), Refusal> {
        let Metered { usage, limits, .. } = &*self.metered;
        usage.add_bytes(limits, count).map_err(|limit| self.metered.refusal(limit))
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The answer of `policy`; whatever is not a clear yes is a no.
fn today(grant: &GrantRef, policy: &Policy, name: &MethodName, level: Level, raw: bool) -> Today {
    match (policy.authorize(name, level, raw), policy.rule(name, raw)) {
        (Authorize::Allow, Some(rule)) => Today::Allow(Arc::new(Metered {
            rule: rule.name(),
            limits: rule.limits,
            usage: grant.usage(rule.number),
        })),
        (Authorize::Deny { rule }, _) => Today::Deny { rule },
        (Authorize::Allow, None) => Today::Deny { rule: "no access rule matches".to_owned() },
    }
}

#[cfg(test)]
mod tests;
