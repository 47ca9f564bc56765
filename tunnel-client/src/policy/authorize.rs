//! May this call pass under today's policy? Pure; asked for every call.

use tunnel_protos::MethodName;

use super::{Approval, Policy};
use crate::gate::grants::Level;

/// The answer to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorize {
    /// It may pass.
    Allow,
    /// Today's policy is stricter than the level granted.
    Deny {
        /// The rule that says so.
        rule: String,
    },
}

impl Policy {
    /// Lets a call pass only if today's first match is not stricter than the level that was granted.
    pub fn authorize(&self, method: &MethodName, granted: Level, raw: bool) -> Authorize {
        match self.rule(method, raw) {
            Some(rule) if rule.approval <= widest(granted) => Authorize::Allow,
            Some(rule) => Authorize::Deny { rule: rule.name() },
            None => Authorize::Deny { rule: NO_RULE.to_owned() },
        }
    }
}

/// The strictest rule that a grant of this level still passes: a person's yes outlives a rule's change to `manual`.
fn widest(granted: Level) -> Approval {
    match granted {
        Level::Auto => Approval::Auto,
        Level::Manual => Approval::Manual,
    }
}

/// How a refusal names the end of the access list.
pub(super) const NO_RULE: &str = "no access rule matches";
/// What the names of rules for operations begin with; the kind follows.
pub const APPROVALS: &str = "approvals.";
/// What the names of rules for methods begin with.
pub(super) const ACCESS_RULE: &str = "access rule ";

/// Whether a decision bears the name of a rule of the policy, and not of another of the client's checks.
pub fn is_rule(name: &str) -> bool {
    name == NO_RULE || name.starts_with(ACCESS_RULE) || name.starts_with(APPROVALS)
}
