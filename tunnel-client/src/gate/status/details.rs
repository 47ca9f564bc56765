//! What machines read of a refusal: `ErrorInfo` always, `RetryInfo` and `QuotaFailure` where they say something.

use std::{collections::HashMap, time::Duration};

use tonic_types::ErrorDetails;
use tunnel_protos::MethodName;

use super::{Caller, DOMAIN, Limit, Refusal};

impl Refusal {
    /// The details of the status.
    pub(super) fn details(&self, caller: &Caller, method: Option<&MethodName>) -> ErrorDetails {
        let facts = self.facts(caller, method).into_iter().map(|(key, value)| (key.to_owned(), value));
        let mut details =
            ErrorDetails::with_error_info(self.reason(), DOMAIN, facts.collect::<HashMap<_, _>>());
        if let Some(again) = self.retry_after() {
            details.set_retry_info(Some(again));
        }
        if let Self::Limit { rule, limit } = self {
            details.add_quota_failure_violation(format!("grant:{}", caller.grant), limit.violation(rule));
        }
        details
    }

    fn facts(&self, caller: &Caller, method: Option<&MethodName>) -> Vec<(&'static str, String)> {
        let mut facts = vec![("cluster", caller.cluster.to_string()), ("grant", caller.grant.to_string())];
        facts.extend(method.map(|method| ("method", method.to_string())));
        match self {
            Self::PolicyStricter { rule, .. } => facts.push(("rule", rule.clone())),
            Self::Limit { rule, limit } => {
                facts.extend([("rule", rule.clone()), ("limit", limit.name().to_owned())]);
                facts.push(("value", limit.value().to_string()));
            }
            Self::Paused { since, .. } => facts.push(("since_ms", since.0.to_string())),
            _ => {}
        }
        facts
    }

    /// When the same call may succeed without anybody having done something; none if somebody has to.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limit { limit: Limit::CallsPerMinute { again, .. }, .. } => Some(*again),
            Self::Limit { limit: Limit::Streams(_), .. } | Self::Sessions => Some(SOON),
            Self::EngineDown | Self::EngineLost | Self::EngineFlood | Self::Draining => Some(SOON),
            Self::AuditUnwritable => Some(LATER),
            _ => None,
        }
    }
}

impl Limit {
    /// As the policy names it.
    fn name(self) -> &'static str {
        match self {
            Self::Bytes(_) => "bytes",
            Self::CallsPerMinute { .. } => "callsPerMinute",
            Self::Streams(_) => "streams",
        }
    }

    fn value(self) -> u64 {
        match self {
            Self::Bytes(most) => most,
            Self::CallsPerMinute { most, .. } | Self::Streams(most) => most.into(),
        }
    }

    fn violation(self, rule: &str) -> String {
        format!("{rule}: {} = {}", self.name(), self.value())
    }
}

/// An engine or a client that restarts is back in about this time.
const SOON: Duration = Duration::from_secs(1);
/// Somebody has to free a disk.
const LATER: Duration = Duration::from_secs(30);
