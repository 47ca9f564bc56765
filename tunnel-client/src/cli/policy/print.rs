//! What the policy commands print, for people and as JSON.

use std::fmt;

use serde_json::{Value, json};
use tunnel_protos::{MethodName, MethodPattern};

use super::{Asked, Format};
use crate::policy::{Approval, Effective, OperationKind, Policy, PolicyError, Rule};

/// Everything that is wrong.
pub(super) fn wrong(error: &PolicyError, format: Format) -> String {
    match format {
        Format::Json => {
            let errors = error
                .0
                .0
                .iter()
                .map(|error| json!({ "place": error.place, "key": error.key, "problem": error.problem }));
            text(&json!({ "valid": false, "errors": errors.collect::<Vec<_>>() }))
        }
        Format::Text => error.to_string(),
    }
}

/// A valid policy, and what is suspicious.
pub(super) fn checked(policy: &Policy, format: Format) -> String {
    let warnings: Vec<_> = policy.warnings().iter().map(ToString::to_string).collect();
    match format {
        Format::Json => text(&json!({
            "valid": true, "preset": policy.preset().name(), "rules": policy.access().len(),
            "approvers": policy.approvers().iter().count(), "digest": policy.digest(), "warnings": warnings,
        })),
        Format::Text => {
            let (rules, approvers) = (policy.access().len(), policy.approvers().iter().count());
            let head = format!("Valid: preset {}, rules: {rules}, approvers: {approvers}", policy.preset());
            let lines = warnings.iter().map(|warning| format!("warning: {warning}"));
            std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
        }
    }
}

/// Which rule answers each method and operation.
pub(super) fn explained(policy: &Policy, asked: &[Asked], raw: bool, format: Format) -> String {
    let patterns: Vec<_> = asked.iter().filter_map(Asked::methods).collect();
    let operations: Vec<_> = asked.iter().filter_map(|asked| Operation::of(policy, asked)).collect();
    let methods = patterns.iter().flat_map(|pattern| match pattern {
        MethodPattern::Exact(method) => vec![method.clone()],
        MethodPattern::Service(_) => policy.concrete(pattern),
    });
    let answers = methods.map(|method| Answer { rule: policy.rule(&method, raw), policy, method });
    // Else a pattern that nothing is named by would vanish.
    let empty = patterns.iter().filter(|pattern| {
        matches!(pattern, MethodPattern::Service(_)) && policy.concrete(pattern).is_empty()
    });
    match format {
        Format::Json => {
            let unmatched: Vec<_> = empty.map(ToString::to_string).collect();
            text(&json!({
                "methods": answers.map(|answer| answer.json()).collect::<Vec<_>>(), "unmatched": unmatched,
                "operations": operations.iter().map(Operation::json).collect::<Vec<_>>(),
            }))
        }
        Format::Text => {
            let hint = if policy.methods().has_descriptors() {
                "the engine profile's descriptors name no such method"
            } else {
                "a pattern takes an engine profile with descriptors (--profile)"
            };
            let empty = empty.map(|pattern| format!("{pattern}: {hint}"));
            let lines = answers.map(|answer| answer.to_string()).chain(empty);
            lines.chain(operations.iter().map(ToString::to_string)).collect::<Vec<_>>().join("\n")
        }
    }
}

impl Asked {
    fn methods(&self) -> Option<&MethodPattern> {
        match self {
            Self::Methods(pattern) => Some(pattern),
            Self::Operation(_) => None,
        }
    }
}

/// What is answered to a request for one kind of operation.
struct Operation<'a> {
    kind: &'a OperationKind,
    approval: Approval,
    limits: String,
}

impl<'a> Operation<'a> {
    fn of(policy: &Policy, asked: &'a Asked) -> Option<Self> {
        let Asked::Operation(kind) = asked else { return None };
        let operations = policy.operations();
        Some(Self { kind, approval: operations.mode(kind), limits: operations.limits(kind) })
    }

    fn json(&self) -> Value {
        json!({
            "operation": self.kind.to_string(), "approval": self.approval.name(),
            "rule": format!("approvals.{}", self.kind), "limits": self.limits,
        })
    }
}

impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, approval, limits } = self;
        write!(f, "{kind}: {approval} (approvals.{kind})")?;
        if limits.is_empty() { Ok(()) } else { write!(f, "; limits {limits}") }
    }
}

/// What is answered to a request for one method.
struct Answer<'p> {
    policy: &'p Policy,
    method: MethodName,
    rule: Option<&'p Rule>,
}

impl Answer<'_> {
    /// None without descriptors that could tell.
    fn exists(&self) -> Option<bool> {
        let methods = self.policy.methods();
        methods.has_descriptors().then(|| methods.may_exist(&self.method))
    }

    fn json(&self) -> Value {
        let limits = self.rule.map(|rule| rule.limits).unwrap_or_default();
        json!({
            "method": self.method.to_string(),
            "exists": self.exists(),
            "approval": self.rule.map_or(Approval::Deny, |rule| rule.approval).name(),
            "rule": self.rule.map(Rule::name),
            "limits": {
                "bytes": limits.bytes, "callsPerMinute": limits.calls_per_minute, "streams": limits.streams,
            },
        })
    }
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            None => write!(f, "{}: deny (no access rule matches)", self.method)?,
            Some(rule) => {
                write!(f, "{}: {} ({})", self.method, rule.approval, rule.name())?;
                let limits = rule.limits.to_string();
                if !limits.is_empty() {
                    write!(f, "; limits {limits}")?;
                }
            }
        }
        if self.exists() == Some(false) {
            f.write_str("; the engine profile's descriptors name no such method")?;
        }
        Ok(())
    }
}

/// The policy with its preset resolved.
pub(super) fn effective(policy: &Policy, format: Format) -> String {
    let yaml = Effective(policy).to_string();
    match format {
        Format::Json => {
            let rules = policy.access().iter().map(|rule| {
                let methods: Vec<_> = rule.methods.iter().map(ToString::to_string).collect();
                json!({ "name": rule.name(), "methods": methods, "approval": rule.approval.name() })
            });
            let rules: Vec<_> = rules.collect();
            text(
                &json!({ "preset": policy.preset().name(), "digest": policy.digest(), "access": rules, "yaml": yaml }),
            )
        }
        Format::Text => yaml,
    }
}

fn text(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
