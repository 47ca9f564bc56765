//! Which operator sees which clusters at this broker. Pure.

use std::collections::BTreeMap;

use tunnel_protos::{ClusterName, OperatorName};

use crate::config::{EVERYBODY, OperatorConfig};

/// Who sees what, as configured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Visible(BTreeMap<String, OperatorConfig>);

impl Visible {
    /// Takes what was configured.
    pub(crate) fn new(operators: BTreeMap<String, OperatorConfig>) -> Self {
        Self(operators)
    }

    /// Whether `operator` sees `cluster`; an operator with an entry of its own has that alone.
    pub(crate) fn sees(&self, operator: &OperatorName, cluster: &ClusterName) -> bool {
        let own = self.0.get(operator.as_str()).or_else(|| self.0.get(EVERYBODY));
        own.is_some_and(|config| config.clusters.iter().any(|pattern| pattern.matches(cluster)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visible(operators: &[(&str, &str)]) -> Visible {
        let config = |pattern: &str| OperatorConfig { clusters: vec![pattern.parse().unwrap()] };
        Visible::new(operators.iter().map(|(name, pattern)| ((*name).to_owned(), config(pattern))).collect())
    }

    fn sees(visible: &Visible, operator: &str, cluster: &str) -> bool {
        visible.sees(&operator.parse().unwrap(), &cluster.parse().unwrap())
    }

    #[test]
    fn nobody_sees_anything_unless_told() {
        assert!(!sees(&Visible::default(), "alice", "acme/prod"));
    }

    #[test]
    fn an_own_entry_replaces_everybodys() {
        let visible = visible(&[("*", "*"), ("robot", "acme/*")]);
        assert!(sees(&visible, "alice", "globex/prod"));
        assert!(sees(&visible, "robot", "acme/prod"));
        assert!(!sees(&visible, "robot", "globex/prod"));
    }
}
