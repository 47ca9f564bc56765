//! The shipped starting points. A preset speaks of the customer's own profile: what it marks read-only, and every
//! service that the descriptors list; never of methods that belong to operations.

use std::{fmt, str::FromStr};

use tunnel_protos::{MethodName, MethodPattern};

use super::{Approval, Limits, Methods, Operations, Rule};

/// A starting point; `access` replaces its list, `approvals` overrides it per operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Preset {
    /// Nothing is allowed.
    #[default]
    Locked,
    /// Health checks at once, everything else that the profile knows after a person's yes.
    Supervised,
    /// What the profile marks read-only at once and within limits, everything else after a person's yes.
    Delegated,
}

impl Preset {
    /// All of them, strictest first.
    pub const ALL: [Self; 3] = [Self::Locked, Self::Supervised, Self::Delegated];

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Supervised => "supervised",
            Self::Delegated => "delegated",
        }
    }

    /// Its access list for this profile.
    pub(super) fn access(self, methods: &Methods) -> Vec<Rule> {
        let lists = match self {
            Self::Locked => Vec::new(),
            Self::Supervised => vec![(Approval::Auto, health()), (Approval::Manual, everything(methods))],
            Self::Delegated => {
                vec![(Approval::Auto, reads(methods)), (Approval::Manual, everything(methods))]
            }
        };
        let lists = lists.into_iter().filter(|(_, methods)| !methods.is_empty());
        lists.zip(1..).map(|((approval, methods), number)| self.rule(number, approval, methods)).collect()
    }

    fn rule(self, number: usize, approval: Approval, methods: Vec<MethodPattern>) -> Rule {
        let limits = if approval == Approval::Auto { AUTO } else { Limits::default() };
        Rule { number, preset: Some(self), methods, approval, raw: false, limits }
    }

    /// Its answers for operations.
    pub(super) fn operations(self, methods: &Methods) -> Operations {
        let tasks = methods.tasks().into_iter().flatten().filter_map(|task| task.parse().ok());
        let run_task = tasks.map(|task| (task, Approval::Manual)).collect();
        let manual = Operations { run_task, ..Operations::all(Approval::Manual) };
        match self {
            Self::Locked => Operations::all(Approval::Deny),
            Self::Supervised => manual,
            Self::Delegated => Operations { restart: Approval::Auto, ..manual },
        }
    }
}

fn health() -> Vec<MethodPattern> {
    HEALTH.parse().map(MethodPattern::Exact).into_iter().collect()
}

fn reads(methods: &Methods) -> Vec<MethodPattern> {
    let known: std::collections::BTreeSet<MethodName> =
        methods.read_only().iter().filter(|method| !methods.is_operation(method)).cloned().collect();
    let health = HEALTH.parse().ok().filter(|health| !known.contains(health));
    health.into_iter().chain(known.clone()).map(MethodPattern::Exact).collect()
}

fn everything(methods: &Methods) -> Vec<MethodPattern> {
    methods.services().map(|service| MethodPattern::Service(service.into())).collect()
}

impl FromStr for Preset {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|preset| preset.name() == text);
        found.ok_or("not a preset: locked, supervised or delegated")
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const HEALTH: &str = "grpc.health.v1.Health/Check";

/// Generous for a person who looks around, narrow for a copy of everything.
const AUTO: Limits = Limits { bytes: Some(64 << 20), calls_per_minute: Some(600), streams: Some(20) };
