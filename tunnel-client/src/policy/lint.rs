//! What is suspicious about a policy that is not wrong: rules that never count, and yeses that nobody looked at.

use std::fmt;

use tunnel_protos::{MethodName, MethodPattern};

use super::{Approval, Policy, Rule};

/// Something to look at once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// The engine has no method that this pattern stands for.
    MatchesNothing {
        /// The rule's name.
        rule: String,
        /// What was written.
        pattern: String,
    },
    /// Earlier rules answer everything that this one names.
    Shadowed {
        /// The rule's name.
        rule: String,
    },
    /// Something that mutates is allowed without a person.
    AutoMutates {
        /// The rule's name.
        rule: String,
        /// What it lets through.
        method: MethodName,
    },
    /// `auto` where only limits would let a rule answer.
    NoLimits {
        /// The rule's name.
        rule: &'static str,
    },
    /// A task that the engine profile does not list.
    NoTask {
        /// Its name.
        task: String,
    },
    /// Debug bundles leave without a person having seen them.
    BundlesLeave,
    /// A person must answer, and the policy names none.
    NobodyApproves,
}

impl Policy {
    /// Everything suspicious, rule by rule.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings: Vec<_> = self.access().iter().flat_map(|rule| self.warnings_of(rule)).collect();
        warnings.extend(self.warnings_of_operations());
        let manual = self.access().iter().any(|rule| rule.approval == Approval::Manual)
            || self.operations().needs_people();
        if manual && self.approvers().is_empty() {
            warnings.push(Warning::NobodyApproves);
        }
        warnings
    }

    fn warnings_of_operations(&self) -> Vec<Warning> {
        let operations = self.operations();
        let unlimited = [
            ("approvals.scale", operations.scale.mode, operations.scale.effective()),
            ("approvals.configure", operations.configure.mode, operations.configure.effective()),
        ];
        let unlimited = unlimited.into_iter().filter(|(_, written, counts)| written != counts);
        let mut warnings: Vec<_> = unlimited.map(|(rule, ..)| Warning::NoLimits { rule }).collect();
        if let Some(known) = self.methods().tasks() {
            let unknown = operations.run_task.keys().filter(|task| !known.contains(task.as_str()));
            warnings.extend(unknown.map(|task| Warning::NoTask { task: task.to_string() }));
        }
        if operations.collect_debug.release == Approval::Auto {
            warnings.push(Warning::BundlesLeave);
        }
        warnings
    }

    fn warnings_of(&self, rule: &Rule) -> Vec<Warning> {
        let nothing = |pattern: &&MethodPattern| self.concrete(pattern).is_empty();
        let nothing = rule
            .methods
            .iter()
            .filter(nothing)
            .map(|pattern| Warning::MatchesNothing { rule: rule.name(), pattern: pattern.to_string() });
        let mut warnings: Vec<_> = nothing.collect();
        let named: Vec<_> = rule.methods.iter().flat_map(|pattern| self.concrete(pattern)).collect();
        let own = |method: &&MethodName| {
            self.rule(method, rule.raw).is_some_and(|first| first.number == rule.number)
        };
        let own: Vec<_> = named.iter().filter(own).collect();
        if own.is_empty() && !named.is_empty() {
            warnings.push(Warning::Shadowed { rule: rule.name() });
        }
        if rule.approval == Approval::Auto {
            let mutating = own.into_iter().filter(|method| !self.methods().is_read_only(method));
            let warning =
                |method: &MethodName| Warning::AutoMutates { rule: rule.name(), method: method.clone() };
            warnings.extend(mutating.filter(|method| method.as_str() != HEALTH).map(warning));
        }
        warnings
    }

    /// The engine's methods that a pattern stands for; without descriptors exact names stand for themselves.
    pub fn concrete(&self, pattern: &MethodPattern) -> Vec<MethodName> {
        let known = self.methods();
        match pattern {
            MethodPattern::Exact(method) if known.may_exist(method) || method.as_str() == HEALTH => {
                vec![method.clone()]
            }
            MethodPattern::Exact(_) => Vec::new(),
            MethodPattern::Service(service) => known.of_service(service).cloned().collect(),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MatchesNothing { rule, pattern } => {
                write!(f, "{rule}: {pattern} stands for no method of this engine")
            }
            Self::Shadowed { rule } => {
                write!(f, "{rule} never counts: earlier rules answer all that it names")
            }
            Self::AutoMutates { rule, method } => {
                write!(
                    f,
                    "{rule} allows {method} without a person, and the profile does not mark it readOnly"
                )
            }
            Self::NoLimits { rule } => {
                write!(f, "{rule}: auto without limits counts as manual; give it `limits`")
            }
            Self::NoTask { task } => {
                write!(f, "approvals.runTask.{task}: the engine profile lists no such task")
            }
            Self::BundlesLeave => f.write_str(
                "approvals.collectDebug lets bundles leave without a person having seen them (release: auto)",
            ),
            Self::NobodyApproves => {
                write!(f, "rules ask for a person's yes, and `approvers` names nobody")
            }
        }
    }
}

/// Every engine may serve it, also one whose descriptors leave it out, and it changes nothing.
const HEALTH: &str = "grpc.health.v1.Health/Check";
