//! `access`: the list of rules.

use tunnel_protos::MethodPattern;
use tunnel_runtime::config::{ByteSize, FromSection, Section};

use crate::policy::{Approval, Limits, Rule};

/// The rules; none where the file leaves the list to the preset.
pub(super) fn read(section: &mut Section<'_>) -> Option<Option<Vec<Rule>>> {
    let (written, mut rules) = (section.has("access"), section.sections::<Rule>("access")?);
    rules.iter_mut().zip(1..).for_each(|(rule, number)| rule.number = number);
    Some(written.then_some(rules))
}

impl FromSection for Rule {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (methods, approval) = (section.values::<MethodPattern>("methods"), section.required("approval"));
        let (raw, limits) = (section.or("raw", false), section.section("limits"));
        let rule = Self {
            number: 0,
            preset: None,
            methods: methods?,
            approval: approval?,
            raw: raw?,
            limits: limits?,
        };
        let is_pattern = |pattern: &MethodPattern| matches!(pattern, MethodPattern::Service(_));
        if rule.methods.is_empty() {
            return section
                .reject("methods", "name at least one: package.Service/Method or package.Service/*");
        }
        if rule.raw && rule.methods.iter().any(is_pattern) {
            return section.reject("methods", "must be exact names, because the rule has raw: true");
        }
        if rule.approval == Approval::Deny && rule.limits != Limits::default() {
            return section.reject("limits", "mean nothing in a rule that denies");
        }
        Some(rule)
    }
}

impl FromSection for Limits {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let bytes = section.optional::<ByteSize>("bytes");
        let (calls, streams) = (section.optional("callsPerMinute"), section.optional("streams"));
        let limits = Self { bytes: bytes?.map(ByteSize::get), calls_per_minute: calls?, streams: streams? };
        let zeros = [
            ("bytes", limits.bytes == Some(0)),
            ("callsPerMinute", limits.calls_per_minute == Some(0)),
            ("streams", limits.streams == Some(0)),
        ];
        match zeros.into_iter().find(|(_, zero)| *zero) {
            Some((key, _)) => section.reject(key, "must be more than 0; to allow nothing, deny"),
            None => Some(limits),
        }
    }
}
