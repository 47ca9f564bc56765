//! The customer's policy: which methods may be asked for and called, and for how long.
//!
//! Everything that decides here is pure; only `reload` touches a file. Whatever no rule allows is denied.

mod access;
mod approvers;
mod authorize;
mod decide;
mod decide_operation;
mod effective;
mod file;
mod lint;
mod methods;
mod operations;
mod preset;
mod reload;
mod streams;

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc, time::Duration};

use tunnel_protos::{MethodName, MethodPattern, TargetName};

use self::{access::AccessList, authorize::ACCESS_RULE};
pub use self::{
    approvers::{Approver, Approvers},
    authorize::{APPROVALS, Authorize, is_rule},
    decide::{Ask, Decision, Facts, Reason, STALE_AFTER, decide},
    decide_operation::{OPERATIONS_SERVICE, decide_operation, operation_methods},
    effective::Effective,
    file::PolicyError,
    lint::Warning,
    methods::Methods,
    operations::{CollectDebug, Configure, Kind as OperationKind, Operations, Scale},
    preset::Preset,
    reload::{PolicyFile, PolicyState},
    streams::Streams,
};

/// A policy in force; it cannot be wrong, only strict.
#[derive(Debug)]
pub struct Policy {
    clocks: Clocks,
    streams: Streams,
    preset: Preset,
    approvers: Approvers,
    operations: Operations,
    access: AccessList,
    methods: Arc<Methods>,
    digest: String,
}

impl Policy {
    /// Reads a policy file's text; whatever is wrong with it refuses the whole, with line and column.
    pub fn load(text: &str, methods: Arc<Methods>) -> Result<Self, PolicyError> {
        Self::load_named("policy", text, methods)
    }

    /// As [`Policy::load`]; errors name the place in `file`.
    pub fn load_named(file: &str, text: &str, methods: Arc<Methods>) -> Result<Self, PolicyError> {
        let digest = digest(text, &methods);
        file::parse(file, text).map(|written| Self::resolve(written, methods, digest))
    }

    /// The policy where there is no file: everything is denied.
    pub fn locked(methods: Arc<Methods>) -> Self {
        let digest = digest("", &methods);
        Self::resolve(file::File::default(), methods, digest)
    }

    fn resolve(written: file::File, methods: Arc<Methods>, digest: String) -> Self {
        let file::File { clocks, streams, preset, approvers, approvals, access } = written;
        Self {
            access: AccessList::new(access.unwrap_or_else(|| preset.access(&methods))),
            operations: approvals.over(preset.operations(&methods)),
            clocks,
            streams,
            preset,
            approvers,
            methods,
            digest,
        }
    }

    /// How long things may take.
    pub fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// What ends open calls by itself.
    pub fn streams(&self) -> Streams {
        self.streams
    }

    /// The starting point; what the file says counts over it.
    pub fn preset(&self) -> Preset {
        self.preset
    }

    /// Who may say yes.
    pub fn approvers(&self) -> &Approvers {
        &self.approvers
    }

    /// How operations are approved.
    pub fn operations(&self) -> &Operations {
        &self.operations
    }

    /// The access list, the preset's if the file has none.
    pub fn access(&self) -> &[Rule] {
        self.access.rules()
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
        self.access.first(method, raw, &self.methods)
    }
}

/// One entry of the access list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its place in the list, from 1.
    pub number: usize,
    /// The preset whose list it is in; none for the file's own.
    pub preset: Option<Preset>,
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
        match self.preset {
            None => format!("{ACCESS_RULE}{}", self.number),
            Some(preset) => format!("{ACCESS_RULE}{} of preset {preset}", self.number),
        }
    }
}

/// What a rule answers; a later one is stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Approval {
    /// At once.
    Auto,
    /// After a person's yes.
    Manual,
    /// Never.
    Deny,
}

impl FromStr for Approval {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Auto, Self::Manual, Self::Deny];
        all.into_iter()
            .find(|approval| approval.name() == text)
            .ok_or("not an approval: auto, manual or deny")
    }
}

impl Approval {
    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Manual => "manual",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
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
