//! What the policy commands print, for people and as JSON.

use serde_json::{Value, json};
use tunnel_protos::{MethodName, MethodPattern};

use super::Format;
use crate::policy::{Approval, Effective, Policy, PolicyError, Rule};

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

/// Which rule answers each method.
pub(super) fn explained(policy: &Policy, patterns: &[MethodPattern], raw: bool, format: Format) -> String {
    let methods = patterns.iter().flat_map(|pattern| match pattern {
        MethodPattern::Exact(method) => vec![method.clone()],
        MethodPattern::Service(_) => policy.concrete(pattern),
    });
    let answers: Vec<_> = methods.map(|method| (policy.rule(&method, raw).cloned(), method)).collect();
    match format {
        Format::Json => {
            let answers: Vec<_> =
                answers.iter().map(|(rule, method)| answer_json(rule.as_ref(), method)).collect();
            text(&json!({ "methods": answers }))
        }
        Format::Text if answers.is_empty() => {
            "No method of this engine is named so; give a profile".to_owned()
        }
        Format::Text => {
            answers.iter().map(|(rule, method)| answer(rule.as_ref(), method)).collect::<Vec<_>>().join("\n")
        }
    }
}

fn answer(rule: Option<&Rule>, method: &MethodName) -> String {
    let Some(rule) = rule else { return format!("{method}: deny (no access rule matches)") };
    let limits = rule.limits.to_string();
    let limits = if limits.is_empty() { String::new() } else { format!("; limits {limits}") };
    format!("{method}: {} ({}){limits}", rule.approval, rule.name())
}

fn answer_json(rule: Option<&Rule>, method: &MethodName) -> Value {
    let limits = rule.map(|rule| rule.limits).unwrap_or_default();
    json!({
        "method": method.to_string(),
        "approval": rule.map_or(Approval::Deny, |rule| rule.approval).name(),
        "rule": rule.map(Rule::name),
        "limits": {
            "bytes": limits.bytes, "callsPerMinute": limits.calls_per_minute, "streams": limits.streams,
        },
    })
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
