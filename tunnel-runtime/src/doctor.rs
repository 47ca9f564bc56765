//! What a program's `doctor` found: for each check what was tried, what was seen, and what to do about it.
//!
//! Invariant: no finding holds a secret; values come from outside and are escaped when they are printed.

pub mod bundle;
pub mod datagrams;
pub mod machine;
pub mod network;
mod paper;
mod report;

use std::fmt::Write as _;

use serde_json::json;

pub use self::{paper::Paper, report::Report};
use crate::exit::Exit;

/// How a check went, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Could not be tried, because something before it is bad or is not configured.
    Skipped,
    /// Works now, and may not for long or not well.
    Doubtful,
    /// Does not work.
    Bad,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Skipped => "skipped",
            Self::Doubtful => "warning",
            Self::Bad => "FAILED",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, for example `udp`; the same word in every release.
    pub check: &'static str,
    /// How it went.
    pub verdict: Verdict,
    /// What was tried.
    pub tried: String,
    /// What was seen.
    pub seen: String,
    /// What to do; empty if there is nothing to do.
    pub advice: String,
}

impl Finding {
    /// Nothing to do.
    pub fn good(check: &'static str, tried: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, tried: tried.into(), seen: seen.into(), advice: String::new() }
    }

    /// Not tried; `seen` says why.
    pub fn skipped(check: &'static str, tried: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, ..Self::good(check, tried, seen) }
    }

    /// Works, but.
    #[must_use]
    pub fn doubtful(self, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Doubtful, advice: advice.into(), ..self }
    }

    /// Does not work.
    #[must_use]
    pub fn bad(self, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, advice: advice.into(), ..self }
    }
}

/// All checks, in the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Adds one.
    pub fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// The worst verdict; good if nothing was checked.
    pub fn worst(&self) -> Verdict {
        self.0.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Good)
    }

    /// Failed if anything is bad; a warning is no failure.
    pub fn exit(&self) -> Exit {
        if self.worst() == Verdict::Bad { Exit::Failed } else { Exit::Ok }
    }

    /// For people: a line for each, and for what is not good what to do.
    pub fn to_text(&self, escape: impl Fn(&str) -> String) -> String {
        let mut text = String::new();
        for finding in &self.0 {
            let Finding { check, verdict, tried, seen, advice } = finding;
            // A file may have several faults, each in a line.
            let seen = seen.lines().map(&escape).collect::<Vec<_>>().join("; ");
            let tried = escape(tried);
            let _infallible = writeln!(text, "{:<8} {check:<14} {tried}: {seen}", verdict.word());
            if !advice.is_empty() {
                let _infallible = writeln!(text, "{:>23} do: {}", "", escape(advice));
            }
        }
        let count = |verdict| self.0.iter().filter(|finding| finding.verdict == verdict).count();
        let (bad, doubtful) = (count(Verdict::Bad), count(Verdict::Doubtful));
        let _infallible =
            writeln!(text, "\n{} checks, {bad} failed, {doubtful} with a warning", self.0.len());
        text
    }

    /// For programs: `{"verdict": …, "checks": [{check, verdict, tried, seen, advice}]}`.
    pub fn to_json(&self) -> serde_json::Value {
        let checks: Vec<_> = self.0.iter().map(Finding::to_json).collect();
        json!({ "verdict": self.worst().word().to_lowercase(), "checks": checks })
    }
}

impl Finding {
    fn to_json(&self) -> serde_json::Value {
        json!({
            "check": self.check,
            "verdict": self.verdict.word().to_lowercase(),
            "tried": self.tried,
            "seen": self.seen,
            "advice": self.advice,
        })
    }
}

impl Extend<Finding> for Findings {
    fn extend<T: IntoIterator<Item = Finding>>(&mut self, findings: T) {
        self.0.extend(findings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        let mut findings = Findings::default();
        findings.push(Finding::good("dns", "b1.example", "192.0.2.1"));
        findings.push(Finding::good("buffers", "net.core.rmem_max", "212992").doubtful("sysctl"));
        findings
    }

    #[test]
    fn the_worst_verdict_decides_and_a_warning_is_no_failure() {
        let mut all = findings();
        assert_eq!((all.worst(), all.exit()), (Verdict::Doubtful, Exit::Ok));
        all.push(Finding::good("udp", "b1.example:443", "no answer").bad("open UDP 443 outbound"));
        assert_eq!((all.worst(), all.exit()), (Verdict::Bad, Exit::Failed));
        assert_eq!(all.to_json()["verdict"], "failed");
    }

    #[test]
    fn what_is_to_be_done_is_told_and_values_are_escaped() {
        let text = findings().to_text(|value| value.replace('2', "#"));
        assert!(text.contains("ok       dns            b1.example: 19#.0.#.1"), "{text}");
        assert!(
            text.contains("do: sysctl") && text.ends_with("2 checks, 0 failed, 1 with a warning\n"),
            "{text}"
        );
    }

    #[test]
    fn several_faults_stand_in_one_line() {
        let mut findings = Findings::default();
        findings.push(Finding::good("configuration", "broker.yaml", "no key\nno state\u{1b}"));
        let text = findings.to_text(|value| value.escape_debug().to_string());
        assert!(text.contains("broker.yaml: no key; no state\\u{1b}\n"), "{text}");
    }

    #[test]
    fn nothing_found_is_good() {
        assert_eq!(Findings::default().exit(), Exit::Ok);
    }
}
