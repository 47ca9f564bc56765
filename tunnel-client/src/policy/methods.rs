//! What the customer's own files say of the engine's methods; the vendor's word counts for nothing here.

use std::collections::{BTreeMap, BTreeSet};

use tunnel_protos::MethodName;

use crate::engine::{Profile, profile::Suggestion};

/// The methods of the customer's descriptor set, and those that the profile maps to operations.
#[derive(Debug, Default, Clone)]
pub struct Methods {
    services: Option<BTreeMap<Box<str>, BTreeSet<MethodName>>>,
    operations: BTreeSet<MethodName>,
    suggestions: BTreeMap<MethodName, Suggestion>,
    read_only: BTreeSet<MethodName>,
    tasks: Option<BTreeSet<Box<str>>>,
    digest: [u8; 32],
}

impl Methods {
    /// All methods of a descriptor set, the operations among them, and the SHA-256 of profile and descriptors.
    pub fn new(
        all: impl IntoIterator<Item = MethodName>,
        operations: BTreeSet<MethodName>,
        digest: [u8; 32],
    ) -> Self {
        let mut services: BTreeMap<Box<str>, BTreeSet<MethodName>> = BTreeMap::new();
        for method in all {
            services.entry(method.service().into()).or_default().insert(method);
        }
        Self { services: Some(services), operations, digest, ..Self::default() }
    }

    /// What a profile says.
    pub fn of(profile: &Profile) -> Self {
        let operations = profile.operable().operations().keys().cloned().collect();
        let digest = *profile.digest();
        let methods = match profile.descriptors() {
            Some(all) => Self::new(all.methods().map(|method| method.name().clone()), operations, digest),
            None => Self::without_descriptors(operations, digest),
        };
        let tasks = profile.operable().tasks().keys().map(ToString::to_string);
        let methods = methods.with_read_only(profile.read_only().clone()).with_tasks(tasks);
        Self { suggestions: profile.operable().operations().clone(), ..methods }
    }

    /// Without descriptors only literal names can be asked for.
    pub fn without_descriptors(operations: BTreeSet<MethodName>, digest: [u8; 32]) -> Self {
        Self { operations, digest, ..Self::default() }
    }

    /// With the methods that the profile marks as changing nothing; all others mutate, whatever their names.
    #[must_use]
    pub fn with_read_only(mut self, read_only: BTreeSet<MethodName>) -> Self {
        self.read_only = read_only;
        self
    }

    /// With the tasks that the profile lists.
    #[must_use]
    pub fn with_tasks(mut self, tasks: impl IntoIterator<Item = String>) -> Self {
        self.tasks = Some(tasks.into_iter().map(String::into_boxed_str).collect());
        self
    }

    /// The tasks that the profile lists; none without a profile.
    pub fn tasks(&self) -> Option<&BTreeSet<Box<str>>> {
        self.tasks.as_ref()
    }

    /// The methods that the profile marks as changing nothing.
    pub fn read_only(&self) -> &BTreeSet<MethodName> {
        &self.read_only
    }

    /// The services of the descriptors; none without descriptors.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.iter().flat_map(BTreeMap::keys).map(|service| &**service)
    }

    /// Whether calls of `method` change nothing.
    pub fn is_read_only(&self, method: &MethodName) -> bool {
        self.read_only.contains(method)
    }

    /// SHA-256 of profile and descriptors.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Whether there are descriptors to expand patterns against.
    pub fn has_descriptors(&self) -> bool {
        self.services.is_some()
    }

    /// The methods of a service; none where it or the descriptors are unknown.
    pub fn of_service(&self, service: &str) -> impl Iterator<Item = &MethodName> {
        self.services.as_ref().and_then(|services| services.get(service)).into_iter().flatten()
    }

    /// Whether the profile maps `method` to an operation: it takes its exact name and `raw` to reach it.
    pub fn is_operation(&self, method: &MethodName) -> bool {
        self.operations.contains(method)
    }

    /// The operation to ask for instead of `method`, where the profile says so.
    pub fn suggestion(&self, method: &MethodName) -> Option<&Suggestion> {
        self.suggestions.get(method)
    }

    /// False only where there are descriptors and they do not list `method`.
    pub fn may_exist(&self, method: &MethodName) -> bool {
        let Some(services) = &self.services else { return true };
        services.get(method.service()).is_some_and(|known| known.contains(method))
    }
}
