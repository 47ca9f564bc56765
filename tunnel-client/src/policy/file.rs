//! The policy file: YAML in camelCase, where an unknown key refuses the whole.

use std::time::Duration;

use serde::Deserialize;
use tunnel_protos::MethodPattern;
use tunnel_runtime::config::{ByteSize, Span};

use super::{Approval, Clocks, Limits, Rule, units::Written};

/// Why a policy file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not YAML of the expected keys.
    #[error("policy is not valid: {0}")]
    Syntax(String),
    /// Written for another version.
    #[error("policy version {0} is not known; this build knows version 1")]
    Version(u32),
    /// A clock out of its bounds.
    #[error("clocks.{clock} must be more than 0 and at most {}", Span(*most))]
    Clock {
        /// The clock's key.
        clock: &'static str,
        /// Its upper bound.
        most: Duration,
    },
    /// A rule that says nothing.
    #[error("access rule {number} names no methods")]
    EmptyRule {
        /// Its place in the list, from 1.
        number: usize,
    },
    /// A rule's method outside the grammar.
    #[error("access rule {number}: {text:?} is not a pattern: package.Service/Method or package.Service/*")]
    Pattern {
        /// The rule's place in the list, from 1.
        number: usize,
        /// What was written.
        text: String,
    },
    /// A rule that would let patterns reach operations.
    #[error("access rule {number} has raw: true, so it must name methods exactly")]
    RawPattern {
        /// The rule's place in the list, from 1.
        number: usize,
    },
}

/// Clocks and access list of a policy file.
pub(super) fn parse(text: &str) -> Result<(Clocks, Vec<Rule>), PolicyError> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| PolicyError::Syntax(error.to_string()))?;
    if file.version != 1 {
        return Err(PolicyError::Version(file.version));
    }
    let rules =
        file.access.into_iter().enumerate().map(|(at, rule)| rule.build(at + 1)).collect::<Result<_, _>>()?;
    Ok((file.clocks.build()?, rules))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    clocks: FileClocks,
    #[serde(default)]
    access: Vec<FileRule>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileClocks {
    request_ttl: Option<Written<Span>>,
    claim_window: Option<Written<Span>>,
    work_window: Option<Written<Span>>,
    certificate_ttl: Option<Written<Span>>,
}

impl FileClocks {
    fn build(&self) -> Result<Clocks, PolicyError> {
        let standard = Clocks::default();
        Ok(Clocks {
            request_ttl: clock("requestTtl", self.request_ttl, standard.request_ttl, Clocks::MAX_WAIT)?,
            claim_window: clock("claimWindow", self.claim_window, standard.claim_window, Clocks::MAX_WAIT)?,
            work_window: clock(
                "workWindow",
                self.work_window,
                standard.work_window,
                Clocks::MAX_WORK_WINDOW,
            )?,
            certificate_ttl: clock(
                "certificateTtl",
                self.certificate_ttl,
                standard.certificate_ttl,
                Clocks::MAX_CERTIFICATE_TTL,
            )?,
        })
    }
}

fn clock(
    clock: &'static str,
    written: Option<Written<Span>>,
    standard: Duration,
    most: Duration,
) -> Result<Duration, PolicyError> {
    let value = written.map_or(standard, |span| span.0.get());
    if value.is_zero() || value > most { Err(PolicyError::Clock { clock, most }) } else { Ok(value) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileRule {
    methods: Vec<String>,
    approval: Approval,
    #[serde(default)]
    raw: bool,
    #[serde(default)]
    limits: FileLimits,
}

impl FileRule {
    fn build(self, number: usize) -> Result<Rule, PolicyError> {
        let methods = self.methods.iter().map(|text| pattern(number, text)).collect::<Result<Vec<_>, _>>()?;
        if methods.is_empty() {
            return Err(PolicyError::EmptyRule { number });
        }
        if self.raw && methods.iter().any(|pattern| matches!(pattern, MethodPattern::Service(_))) {
            return Err(PolicyError::RawPattern { number });
        }
        Ok(Rule { number, methods, approval: self.approval, raw: self.raw, limits: self.limits.build() })
    }
}

fn pattern(number: usize, text: &str) -> Result<MethodPattern, PolicyError> {
    text.parse().map_err(|_| PolicyError::Pattern { number, text: text.to_owned() })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileLimits {
    bytes: Option<Written<ByteSize>>,
    calls_per_minute: Option<u32>,
    streams: Option<u32>,
}

impl FileLimits {
    fn build(&self) -> Limits {
        Limits {
            bytes: self.bytes.map(|bytes| bytes.0.get()),
            calls_per_minute: self.calls_per_minute,
            streams: self.streams,
        }
    }
}
