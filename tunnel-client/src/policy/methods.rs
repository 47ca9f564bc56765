//! What the customer's own files say of the engine's methods; the vendor's word counts for nothing here.

use std::collections::{BTreeMap, BTreeSet};

use tunnel_protos::MethodName;

/// The methods of the customer's descriptor set, and those that the profile maps to operations.
#[derive(Debug, Default, Clone)]
pub struct Methods {
    services: Option<BTreeMap<Box<str>, BTreeSet<MethodName>>>,
    operations: BTreeSet<MethodName>,
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
        Self { services: Some(services), operations, digest }
    }

    /// Without descriptors only literal names can be asked for.
    pub fn without_descriptors(operations: BTreeSet<MethodName>, digest: [u8; 32]) -> Self {
        Self { services: None, operations, digest }
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

    /// False only where there are descriptors and they do not list `method`.
    pub fn may_exist(&self, method: &MethodName) -> bool {
        let Some(services) = &self.services else { return true };
        services.get(method.service()).is_some_and(|known| known.contains(method))
    }
}
