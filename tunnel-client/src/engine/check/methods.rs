//! What every method of a profile would be: read-only or mutating, and whether a pattern can stand for it. Pure.

use tunnel_protos::{
    MethodName,
    dynamic::{CallKind, Descriptors},
};

use crate::engine::{
    Profile,
    profile::{HealthProbe, Suggestion},
};

/// How a method can be named in requests and policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// In the descriptors: by its name and by `package.Service/*`.
    ByPattern,
    /// There are no descriptors: by its exact name.
    ByName,
    /// Not in the descriptors: it can neither be asked for nor granted.
    Never,
}

/// One method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodLine {
    /// Its name.
    pub method: MethodName,
    /// Which sides stream; unknown without a descriptor.
    pub kind: Option<CallKind>,
    /// Whether calls of it wait for the audit log.
    pub mutates: bool,
    /// The operation to ask for instead; access takes its exact name and `raw`.
    pub operation: Option<Suggestion>,
    /// How it can be named.
    pub known: Known,
}

/// Every method that the profile knows, in the order of their names.
pub(super) fn of(profile: &Profile) -> Vec<MethodLine> {
    let described = profile.descriptors().into_iter().flat_map(Descriptors::methods);
    let described = described.map(|method| MethodLine {
        kind: Some(method.kind()),
        mutates: !profile.is_read_only(method.name()),
        operation: profile.operation_of(method.name()).cloned(),
        known: Known::ByPattern,
        method: method.name().clone(),
    });
    let named = |method: &&MethodName| !described_by(profile, method);
    let named = profile.read_only().iter().filter(named).map(|method| MethodLine {
        method: method.clone(),
        kind: None,
        mutates: false,
        operation: None,
        known: if profile.descriptors().is_some() { Known::Never } else { Known::ByName },
    });
    let mut lines: Vec<_> = described.chain(named).collect();
    lines.sort_by(|a, b| a.method.cmp(&b.method));
    lines
}

/// What a customer may have overlooked; none of it is wrong for sure.
pub(super) fn notes(profile: &Profile) -> Vec<String> {
    let mut notes: Vec<String> = of(profile).iter().filter_map(MethodLine::note).collect();
    if profile.descriptors().is_none() && !profile.wants_reflection() {
        notes.push("no descriptors: only literal names can be granted, and nothing is reflected".to_owned());
    }
    if let HealthProbe::Method(call) = profile.health()
        && !profile.is_read_only(&call.method)
    {
        let method = &call.method;
        notes.push(format!("health.method: {method} is asked every 5 s and not marked read-only"));
    }
    notes.extend(looks(profile));
    notes.extend(profile.operable().collectors().values().flat_map(|collector| {
        let redacted = collector.allow.redacted().iter();
        redacted.map(|path| {
            format!("debug.{}: {path} leaves, though the schema marks it debug_redact", collector.name)
        })
    }));
    notes
}

/// Methods that are called to look, and not marked as reads.
fn looks(profile: &Profile) -> impl Iterator<Item = String> {
    profile.operable().components().values().flat_map(|component| {
        let methods = component.find.looks.iter().map(|look| look.call.method.name());
        let unmarked = methods.filter(|method| !profile.is_read_only(method));
        unmarked.map(|method| {
            format!("components.{}.find: {method} is called to look and not marked read-only", component.name)
        })
    })
}

fn described_by(profile: &Profile, method: &MethodName) -> bool {
    profile.descriptors().is_some_and(|descriptors| descriptors.method(method).is_some())
}

impl MethodLine {
    fn note(&self) -> Option<String> {
        let method = &self.method;
        let (reads, writes) = (starts_with(method, READS), starts_with(method, WRITES));
        match (self.mutates, self.known) {
            _ if self.operation.is_some() => None,
            (true, _) if reads => Some(format!("{method} sounds like a read, but counts as mutating")),
            (false, _) if writes => Some(format!("{method} is marked read-only, but does not sound like it")),
            (_, Known::Never) => {
                Some(format!("{method} is not in the descriptors: nobody can be granted it"))
            }
            _ => None,
        }
    }
}

/// Whether the method's name begins with one of these words.
fn starts_with(method: &MethodName, words: &[&str]) -> bool {
    words.iter().any(|word| {
        let rest = method.method().strip_prefix(word);
        rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_lowercase()))
    })
}

/// First words of methods that rarely change anything.
const READS: &[&str] = &["Get", "List", "Describe", "Status", "Watch", "Show", "Count"];
/// First words of methods that nearly always do.
const WRITES: &[&str] = &[
    "Set", "Put", "Delete", "Remove", "Add", "Create", "Update", "Write", "Grant", "Revoke", "Restart",
    "Drop", "Import", "Apply",
];
