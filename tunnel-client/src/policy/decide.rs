//! What is the answer to this access request? Pure: same inputs, same answer, with its reasons.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tunnel_protos::{MethodName, MethodPattern, TargetName, UnixMillis};

use super::{Approval, Policy, Targets, authorize::NO_RULE};
use crate::gate::grants::Level;

/// An older request is answered by a person: a held request must not open anything by itself.
pub const STALE_AFTER: Duration = Duration::from_secs(5 * 60);

/// What `decide` may look at besides the request.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'f> {
    /// The policy in force.
    pub policy: &'f Policy,
    /// The targets that the profile lists.
    pub targets: &'f Targets,
}

/// What an access request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Methods or patterns.
    pub methods: Vec<MethodPattern>,
    /// Targets by name.
    pub targets: BTreeSet<TargetName>,
    /// Asks for methods that the profile maps to operations, by exact name.
    pub raw: bool,
    /// When the operator signed it.
    pub issued: UnixMillis,
}

/// The policy's answer to a request as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Never.
    Deny(Reason),
    /// After a person's yes to exactly these methods.
    Manual(BTreeSet<MethodName>, Reason),
    /// At once, exactly these methods.
    Auto(BTreeSet<MethodName>, Reason),
}

impl Decision {
    /// The methods and the level at which they are granted once this decision allows it.
    pub fn extent(&self) -> BTreeMap<MethodName, Level> {
        let (methods, level) = match self {
            Self::Deny(_) => return BTreeMap::new(),
            Self::Manual(methods, _) => (methods, Level::Manual),
            Self::Auto(methods, _) => (methods, Level::Auto),
        };
        methods.iter().map(|method| (method.clone(), level)).collect()
    }

    /// Why.
    pub fn reason(&self) -> &Reason {
        match self {
            Self::Deny(reason) | Self::Manual(_, reason) | Self::Auto(_, reason) => reason,
        }
    }
}

/// Why a decision fell, for records and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The rule that decided.
    pub rule: String,
    /// One sentence.
    pub text: String,
}

impl Reason {
    pub(super) fn new(rule: impl Into<String>, text: impl Into<String>) -> Self {
        Self { rule: rule.into(), text: text.into() }
    }
}

/// Expands the patterns against the customer's descriptors, decides each method, and lets the strictest answer win.
pub fn decide(facts: &Facts<'_>, ask: &Ask, now: UnixMillis) -> Decision {
    match (known_targets(facts, ask), strictest(facts.policy, ask)) {
        (Err(reason), _) | (_, Err(reason)) => Decision::Deny(reason),
        (Ok(()), Ok((methods, Approval::Auto, _))) if now.since(ask.issued) > STALE_AFTER => {
            Decision::Manual(methods, stale())
        }
        (Ok(()), Ok((methods, Approval::Auto, reason))) => Decision::Auto(methods, reason),
        (Ok(()), Ok((methods, _, reason))) => Decision::Manual(methods, reason),
    }
}

/// Why no rule lets pass what was asked for [`STALE_AFTER`] ago.
pub(super) fn stale() -> Reason {
    let text = "By the client's clock the request is older than 5 minutes, so a person must answer it";
    Reason::new("stale request", text)
}

fn known_targets(facts: &Facts<'_>, ask: &Ask) -> Result<(), Reason> {
    if ask.targets.is_empty() {
        return Err(Reason::new("targets", "The request names no target"));
    }
    match ask.targets.iter().find(|target| !facts.targets.contains(*target)) {
        Some(target) => Err(Reason::new("targets", format!("There is no target {target}"))),
        None => Ok(()),
    }
}

/// Every method asked for, with the strictest answer among them; one denied method refuses the whole.
fn strictest(policy: &Policy, ask: &Ask) -> Result<(BTreeSet<MethodName>, Approval, Reason), Reason> {
    let methods = expand(policy, ask)?;
    let mut worst: Option<(Approval, Reason)> = None;
    for method in &methods {
        let (approval, reason) = decide_one(policy, method, ask.raw)?;
        if worst.as_ref().is_none_or(|(so_far, _)| approval > *so_far) {
            worst = Some((approval, reason));
        }
    }
    let (approval, reason) = worst.ok_or_else(|| Reason::new(NO_RULE, "The request names no method"))?;
    Ok((methods, approval, reason))
}

fn expand(policy: &Policy, ask: &Ask) -> Result<BTreeSet<MethodName>, Reason> {
    let mut methods = BTreeSet::new();
    for pattern in &ask.methods {
        match pattern {
            MethodPattern::Exact(method) => {
                methods.insert(method.clone());
            }
            MethodPattern::Service(service) => methods.extend(expand_service(policy, service)?),
        }
    }
    if methods.len() > MAX_METHODS {
        return Err(Reason::new("size", format!("The request means more than {MAX_METHODS} methods")));
    }
    Ok(methods)
}

/// Never the methods that the profile maps to operations: those take their exact names.
fn expand_service(policy: &Policy, service: &str) -> Result<BTreeSet<MethodName>, Reason> {
    let known = policy.methods();
    if !known.has_descriptors() {
        let text = format!("{service}/* cannot be expanded without descriptors; name the methods");
        return Err(Reason::new("descriptors", text));
    }
    let methods: BTreeSet<_> =
        known.of_service(service).filter(|method| !known.is_operation(method)).cloned().collect();
    if methods.is_empty() {
        return Err(Reason::new("descriptors", format!("{service}/* stands for no method of this engine")));
    }
    Ok(methods)
}

fn decide_one(policy: &Policy, method: &MethodName, raw: bool) -> Result<(Approval, Reason), Reason> {
    let Some(rule) = policy.rule(method, raw) else {
        return Err(Reason::new(NO_RULE, no_rule_text(policy, method, raw)));
    };
    match rule.approval {
        Approval::Deny => Err(Reason::new(rule.name(), format!("{method} is denied"))),
        Approval::Manual => {
            Ok((rule.approval, Reason::new(rule.name(), format!("{method} needs a person's yes"))))
        }
        Approval::Auto => Ok((rule.approval, Reason::new(rule.name(), "Allowed by the policy"))),
    }
}

fn no_rule_text(policy: &Policy, method: &MethodName, raw: bool) -> String {
    if policy.methods().is_operation(method) && !raw {
        let instead = policy.methods().suggestion(method);
        let instead = instead.map(|operation| format!(": `{operation}`")).unwrap_or_default();
        format!(
            "{method} belongs to an operation{instead}; to be called by hand, it takes its exact name and raw in the \
             request and in a rule"
        )
    } else {
        format!("{method} is not allowed by any rule")
    }
}

/// As many as an outcome can list.
const MAX_METHODS: usize = 4096;
