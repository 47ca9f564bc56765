//! The customer's policy: which methods may be asked for and called, and for how long.
//!
//! Everything that decides here is pure; only `reload` touches a file. Whatever no rule allows is denied.

mod authorize;
mod decide;
mod file;
mod methods;
mod reload;
mod units;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tunnel_protos::{MethodName, MethodPattern, TargetName};

pub use self::{
    authorize::Authorize,
    decide::{Ask, Decision, Facts, Reason, STALE_AFTER, decide},
    file::PolicyError,
    methods::Methods,
    reload::{PolicyFile, PolicyState},
};

/// A policy in force; it cannot be wrong, only strict.
#[derive(Debug)]
pub struct Policy {
    clocks: Clocks,
    access: Vec<Rule>,
    methods: Arc<Methods>,
    digest: String,
}

impl Policy {
    /// Reads a policy file's text; unknown keys and values out of bounds refuse it with line and column.
    pub fn load(text: &str, methods: Arc<Methods>) -> Result<Self, PolicyError> {
        let (clocks, access) = file::parse(text)?;
        Ok(Self { clocks, access, digest: digest(text, &methods), methods })
    }

    /// The policy where there is no file: everything is denied.
    pub fn locked(methods: Arc<Methods>) -> Self {
        let digest = digest("", &methods);
        Self { clocks: Clocks::default(), access: Vec::new(), methods, digest }
    }

    /// How long things may take.
    pub fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// SHA-256 over policy, profile and descriptors, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What the customer's profile says of methods.
    pub fn methods(&self) -> &Methods {
        &self.methods
    }

    /// The first rule that matches `method`; `raw` says whether methods of operations were asked for by name.
    pub fn rule(&self, method: &MethodName, raw: bool) -> Option<&Rule> {
        self.access.iter().find(|rule| rule.matches(method, raw, &self.methods))
    }
}

/// One entry of the access list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its place in the list, from 1.
    pub number: usize,
    /// The methods it covers.
    pub methods: Vec<MethodPattern>,
    /// What it answers.
    pub approval: Approval,
    /// Whether it covers methods that the profile maps to operations, by their exact names.
    pub raw: bool,
    /// Bounds of what is called under it.
    pub limits: Limits,
}

impl Rule {
    /// How refusals and records name this rule.
    pub fn name(&self) -> String {
        format!("access rule {}", self.number)
    }

    fn matches(&self, method: &MethodName, raw: bool, methods: &Methods) -> bool {
        // A no covers all that it names; only a yes needs care.
        if self.approval == Approval::Deny {
            return self.methods.iter().any(|pattern| pattern.matches(method));
        }
        let by_name_only = methods.is_operation(method);
        if by_name_only && !(self.raw && raw) {
            return false;
        }
        self.methods.iter().any(|pattern| match pattern {
            MethodPattern::Exact(_) => pattern.matches(method),
            // A pattern stands for what the descriptors list: a method they do not know was never looked at by anyone.
            MethodPattern::Service(_) => {
                !by_name_only && pattern.matches(method) && methods.may_exist(method)
            }
        })
    }
}

/// What a rule answers; a later one is stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Approval {
    /// At once.
    Auto,
    /// After a person's yes.
    Manual,
    /// Never.
    Deny,
}

/// Bounds of what is called under a rule; absent ones do not bind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes from the engine under one grant.
    pub bytes: Option<u64>,
    /// Calls begun in one minute.
    pub calls_per_minute: Option<u32>,
    /// Streams open at the same time.
    pub streams: Option<u32>,
}

/// The policy's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// A request stays pending at most this long after its first receipt.
    pub request_ttl: Duration,
    /// An approved grant that was never used expires after this.
    pub claim_window: Duration,
    /// A grant ends at most this long after its first certificate.
    pub work_window: Duration,
    /// A grant certificate lives at most this long.
    pub certificate_ttl: Duration,
}

impl Clocks {
    /// Nothing stays open longer: a longer window is standing access.
    pub const MAX_WORK_WINDOW: Duration = Duration::from_secs(8 * 3600);
    /// The gate refuses certificates that live longer.
    pub const MAX_CERTIFICATE_TTL: Duration = Duration::from_secs(15 * 60);
    /// No request lives longer than 24 h.
    pub const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);
}

impl Default for Clocks {
    /// A day to answer, an hour to begin, an hour to work, and certificates that die with a coffee break.
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self {
            request_ttl: Self::MAX_WAIT,
            claim_window: hour,
            work_window: hour,
            certificate_ttl: Self::MAX_CERTIFICATE_TTL,
        }
    }
}

/// The targets that a request may name.
pub type Targets = BTreeSet<TargetName>;

fn digest(text: &str, methods: &Methods) -> String {
    let mut bytes = methods.digest().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    data_encoding::HEXLOWER.encode(&tunnel_certs::crypto::sha256(&bytes))
}

#[cfg(test)]
mod tests;
