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
    cut::Cut,
    grants::{GrantRef, Level},
    operations,
    status::{Limit, Refusal},
    usage::{OpenCall, Usage},
};
use crate::policy::{Authorize, Limits, Policy};

/// The methods of one session's grant.
#[derive(Debug)]
pub(super) struct Methods {
    by_path: HashMap<Box<str>, Granted>,
    raw: bool,
    reflection: Vec<Granted>,
}

/// One granted method under today's policy.
#[derive(Debug)]
pub(super) struct Granted {
    name: Arc<MethodName>,
    level: Level,
    mutates: bool,
    today: Today,
    place: usize,
    open: Arc<AtomicUsize>,
    cut: Cut,
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
        let one = |(place, (name, level)): (usize, (&MethodName, &Level))| {
            let granted = Granted {
                name: Arc::new(name.clone()),
                level: *level,
                mutates: mutates(name),
                today: today(grant, policy, name, *level, raw),
                place,
                open: Arc::default(),
                cut: Cut::default(),
            };
            (name.path().into_boxed_str(), granted)
        };
        // Our own services are never the engine's, whatever a grant says; and an operation's grant leads nowhere else.
        let operated = grant.grant().operation.is_some();
        let own = |(name, _): &(&MethodName, &Level)| {
            if operated { operations::is_own(name) } else { !name.is_reserved() }
        };
        let own = grant.grant().methods.iter().filter(own);
        let by_path: HashMap<_, _> = own.enumerate().map(one).collect();
        let reflection = reflection(grant, by_path.len());
        Self { by_path, raw, reflection }
    }

    /// Takes a new policy in and cuts the open calls that would not pass any more; true if there were some.
    pub(super) fn refresh(&mut self, grant: &GrantRef, policy: &Policy) -> bool {
        let raw = self.raw;
        let refreshed = self.by_path.values_mut().map(|granted| {
            granted.today = today(grant, policy, &granted.name, granted.level, raw);
            // A profile that says no longer that it only reads counts at once; one that begins to, in new sessions.
            granted.mutates |= !granted.name.is_reserved() && !policy.methods().is_read_only(&granted.name);
            granted.cut_if_denied()
        });
        refreshed.fold(false, |cut, stricter| cut | stricter)
    }

    /// Cuts every open call, and every later one too.
    pub(super) fn cut(&self, refusal: &Refusal) {
        let cuts = self.by_path.values().map(|granted| &granted.cut);
        let own = self.reflection.iter().map(|own| &own.cut);
        cuts.chain(own).for_each(|cut| cut.say(refusal.clone()));
    }

    /// The method behind a request path, if the gate answers it by itself.
    pub(super) fn reflection(&self, path: &str) -> Option<&Granted> {
        self.reflection.iter().find(|own| path.strip_prefix('/') == Some(own.name.as_str()))
    }

    /// The granted methods and the gate's own, each at its place.
    pub(super) fn names(&self) -> Vec<Arc<MethodName>> {
        let mut granted: Vec<_> = self.by_path.values().chain(&self.reflection).collect();
        granted.sort_by_key(|granted| granted.place);
        granted.into_iter().map(|granted| granted.name.clone()).collect()
    }

    /// The methods that pass under today's policy.
    pub(super) fn allowed(&self) -> impl Iterator<Item = &MethodName> {
        let allowed = self.by_path.values().filter(|granted| granted.authorize().is_ok());
        allowed.map(|granted| &*granted.name)
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

    /// Its place in [`Methods::names`].
    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// What cuts its calls.
    pub(super) fn cut(&self) -> &Cut {
        &self.cut
    }

    fn cut_if_denied(&mut self) -> bool {
        let Err(refusal) = self.authorize() else { return false };
        // Later calls, under a policy that allows it again, must not find the old cut.
        std::mem::take(&mut self.cut).say(refusal);
        self.open.load(Ordering::Relaxed) > 0
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
    /// Over all sessions of the grant; rules count from 1.
    fn reflection(grant: &GrantRef) -> Self {
        Self { rule: "reflection".to_owned(), limits: REFLECTION_LIMITS, usage: grant.usage(0) }
    }

    /// Over all sessions of the grant; no rule counts so far.
    fn operations(grant: &GrantRef) -> Self {
        let usage = grant.usage(usize::MAX);
        Self { rule: operations::RULE.to_owned(), limits: operations::LIMITS, usage }
    }

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

/// The gate's own methods, from `first` on; they need no grant, but count like any other.
fn reflection(grant: &GrantRef, first: usize) -> Vec<Granted> {
    let metered = Arc::new(Metered::reflection(grant));
    let names = REFLECTION.iter().filter_map(|path| MethodName::from_path(path).ok());
    let own = |(place, name): (usize, MethodName)| Granted {
        name: Arc::new(name),
        level: Level::Auto,
        mutates: false,
        today: Today::Allow(metered.clone()),
        place: first + place,
        open: Arc::default(),
        cut: Cut::default(),
    };
    names.enumerate().map(own).collect()
}

/// The answer of `policy`; whatever is not a clear yes is a no.
fn today(grant: &GrantRef, policy: &Policy, name: &MethodName, level: Level, raw: bool) -> Today {
    if let Some(operation) = &grant.grant().operation {
        return match policy.authorize_operation(&operation.asked, &operation.facts, level) {
            Authorize::Allow => Today::Allow(Arc::new(Metered::operations(grant))),
            Authorize::Deny { rule } => Today::Deny { rule },
        };
    }
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

/// Both speak the same messages.
pub(super) const REFLECTION: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Whether this is a method of it, without the leading slash.
pub(super) fn is_reflection(name: &str) -> bool {
    REFLECTION.iter().any(|path| path.strip_prefix('/') == Some(name))
}

/// Tools use one call; an answer may be as large as all descriptors, and making it costs the client's own thread.
const REFLECTION_LIMITS: Limits = Limits { bytes: None, calls_per_minute: Some(600), streams: Some(16) };

#[cfg(test)]
mod tests;
