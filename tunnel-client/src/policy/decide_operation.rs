//! What is the answer to this operation? Pure: what is asked, what its plan found, the policy and now decide.
//!
//! A kind that is denied is refused before anything is planned; everything else is decided by the plan's facts, and a
//! fact that is missing is a no.

use std::collections::BTreeSet;

use tunnel_certs::statement::request::{Operation, operation::What};
use tunnel_protos::{MethodName, UnixMillis};

use super::{
    APPROVALS, Approval, Authorize, Configure, Decision, Policy, Scale,
    decide::{Reason, STALE_AFTER, stale},
    operations::Kind,
};
use crate::{gate::grants::Level, operations::Facts};

/// The answer to an operation that was asked for at `issued` and planned with these facts.
pub fn decide_operation(
    policy: &Policy,
    asked: &Operation,
    facts: &Facts,
    issued: UnixMillis,
    now: UnixMillis,
) -> Decision {
    let methods = operation_methods(asked.dry_run);
    match policy.operation(asked, facts) {
        Err(reason) => Decision::Deny(reason),
        Ok((Approval::Auto, _)) if now.since(issued) > STALE_AFTER => Decision::Manual(methods, stale()),
        Ok((Approval::Auto, reason)) => Decision::Auto(methods, reason),
        Ok((_, reason)) => Decision::Manual(methods, reason),
    }
}

/// The methods that the grant of an operation holds: one that only plans can be looked at, and no more.
pub fn operation_methods(dry_run: bool) -> BTreeSet<MethodName> {
    let names: &[&str] = if dry_run { &METHODS[..1] } else { &METHODS };
    names.iter().filter_map(|name| format!("{OPERATIONS_SERVICE}/{name}").parse().ok()).collect()
}

impl Policy {
    /// Why an operation is refused whatever its plan would find; none if it may be planned.
    pub fn refuses(&self, what: &What) -> Option<Reason> {
        let (rule, mode) = self.mode(what);
        (mode == Approval::Deny).then(|| Reason::new(rule, denied(what)))
    }

    /// Today's answer to an operation, however old it is; an error is a no.
    pub fn operation(&self, asked: &Operation, facts: &Facts) -> Result<(Approval, Reason), Reason> {
        let (rule, mode) = self.mode(&asked.what);
        if mode == Approval::Deny {
            return Err(Reason::new(rule, denied(&asked.what)));
        }
        let person = match &asked.what {
            What::Scale(_) => self.operations().scale.person(facts)?,
            What::Configure(_) => self.operations().configure.person(facts),
            What::Upgrade(upgrade) => {
                (upgrade.allow_downgrade || facts.downgrade).then(|| Reason::new(DOWNGRADE, DOWNGRADE_TEXT))
            }
            What::Restart(_) | What::RunTask(_) | What::CollectDebug(_) => None,
        };
        Ok(match (mode, person) {
            (Approval::Auto, None) => (Approval::Auto, Reason::new(rule, "Allowed by the policy")),
            (Approval::Auto, Some(reason)) => (Approval::Manual, reason),
            _ => (Approval::Manual, Reason::new(rule, format!("{} needs a person's yes", said(&asked.what)))),
        })
    }

    /// Lets a call about an operation pass only if today's answer to it is not stricter than the level granted.
    pub fn authorize_operation(&self, asked: &Operation, facts: &Facts, granted: Level) -> Authorize {
        match (self.operation(asked, facts), granted) {
            (Ok((Approval::Auto, _)), _) | (Ok(_), Level::Manual) => Authorize::Allow,
            (Ok((_, reason)), Level::Auto) | (Err(reason), _) => Authorize::Deny { rule: reason.rule },
        }
    }

    /// The name of the rule for an operation, and what it says.
    fn mode(&self, what: &What) -> (String, Approval) {
        let kind = Kind::from(what);
        (format!("{APPROVALS}{kind}"), self.operations().mode(&kind))
    }
}

impl From<&What> for Kind {
    fn from(what: &What) -> Self {
        match what {
            What::Scale(_) => Self::Scale,
            What::Upgrade(_) => Self::Upgrade,
            What::Restart(_) => Self::Restart,
            What::Configure(_) => Self::Configure,
            What::RunTask(run) => Self::RunTask(run.task.clone()),
            What::CollectDebug(_) => Self::CollectDebug,
        }
    }
}

impl Scale {
    /// Why a person has to answer although the mode is `auto`; an error is a no. Limits hold for a person's yes, too.
    fn person(&self, facts: &Facts) -> Result<Option<Reason>, Reason> {
        if facts.resources {
            let text = "The policy's limits speak of replicas, not of resources, so a person must answer it";
            return Ok(Some(Reason::new("approvals.scale", text)));
        }
        let Some((found, wanted)) = facts.replicas else {
            return Err(Reason::new("approvals.scale", "The plan does not say how many replicas there are"));
        };
        if let Some(most) = self.max_replicas.filter(|most| wanted > *most) {
            let text = format!("{wanted} replicas are more than the {most} that the policy allows");
            return Err(Reason::new("approvals.scale limits.maxReplicas", text));
        }
        let step = found.abs_diff(wanted);
        if let Some(most) = self.max_step.filter(|most| step > *most) {
            let text = format!("{step} replicas at once are more than the {most} that the policy allows");
            return Err(Reason::new("approvals.scale limits.maxStep", text));
        }
        Ok(None)
    }
}

impl Configure {
    /// Why a person has to answer although the mode is `auto`.
    fn person(&self, facts: &Facts) -> Option<Reason> {
        let covered = |name: &str| self.settings.iter().any(|setting| setting == name);
        let other = facts.settings.iter().find(|name| !covered(name.as_str()));
        let text = match other {
            Some(name) => format!("The policy lets nobody change {name} without a person"),
            None if facts.settings.is_empty() => "The plan names no setting".to_owned(),
            None => return None,
        };
        Some(Reason::new("approvals.configure limits.settings", text))
    }
}

fn denied(what: &What) -> String {
    format!("{} is denied by the policy", said(what))
}

/// As people name it.
fn said(what: &What) -> String {
    match what {
        What::RunTask(run) => format!("The task {}", run.task),
        What::Scale(_) => "Scaling".to_owned(),
        What::Upgrade(_) => "An upgrade".to_owned(),
        What::Restart(_) => "A restart".to_owned(),
        What::Configure(_) => "A change of settings".to_owned(),
        What::CollectDebug(_) => "A debug bundle".to_owned(),
    }
}

/// The service of our own that the grant of an operation leads to.
pub const OPERATIONS_SERVICE: &str = "postern.operations.v1.Operations";

/// What it lets an operator do, looking first.
const METHODS: [&str; 5] = ["Get", "Start", "Watch", "Cancel", "FetchBundle"];

const DOWNGRADE: &str = "downgrade";
const DOWNGRADE_TEXT: &str =
    "It admits a release that is not above the highest seen, so a person must answer it";

#[cfg(test)]
mod tests;
