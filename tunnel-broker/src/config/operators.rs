//! Which clusters an operator sees at this broker. Gives no power over them: that is the customer's to grant.

use std::{collections::BTreeMap, fmt, str::FromStr};

use tunnel_protos::{ClusterName, Name, OperatorName};
use tunnel_runtime::config::{FromSection, Section};

/// What one operator may do at this broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorConfig {
    /// Clusters it sees.
    pub clusters: Vec<ClusterPattern>,
}

/// Clusters by name: `*`, `acme/*` or `acme/prod`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterPattern {
    /// Every cluster.
    All,
    /// Every cluster of one customer.
    Customer(Name),
    /// One cluster.
    One(ClusterName),
}

impl ClusterPattern {
    /// Whether `cluster` is meant.
    pub fn matches(&self, cluster: &ClusterName) -> bool {
        match self {
            Self::All => true,
            Self::Customer(customer) => {
                cluster.as_str().split_once('/').is_some_and(|(name, _)| name == customer.as_str())
            }
            Self::One(one) => one == cluster,
        }
    }
}

impl FromStr for ClusterPattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "not clusters: `*`, `acme/*` or `acme/prod`";
        match text.split_once('/') {
            None if text == "*" => Ok(Self::All),
            Some((customer, "*")) => customer.parse().map(Self::Customer).map_err(|_| wrong),
            _ => text.parse().map(Self::One).map_err(|_| wrong),
        }
    }
}

impl fmt::Display for ClusterPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Customer(customer) => write!(f, "{customer}/*"),
            Self::One(one) => one.fmt(f),
        }
    }
}

impl FromSection for OperatorConfig {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        Some(Self { clusters: section.values("clusters")? })
    }
}

/// The key that stands for every operator without one of its own.
pub const EVERYBODY: &str = "*";

pub(super) fn read(section: &mut Section<'_>) -> Option<BTreeMap<String, OperatorConfig>> {
    let operators = section.named::<OperatorConfig>("operators")?;
    let wrong = |name: &&String| *name != EVERYBODY && name.parse::<OperatorName>().is_err();
    match operators.keys().find(wrong) {
        Some(name) => section.reject("operators", format!("{name:?} is not an operator's name, nor `*`")),
        None => Some(operators),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, cluster: &str) -> bool {
        pattern.parse::<ClusterPattern>().unwrap().matches(&cluster.parse().unwrap())
    }

    #[test]
    fn patterns_name_all_a_customers_or_one() {
        assert!(matches("*", "acme/prod"));
        assert!(matches("acme/*", "acme/prod"));
        assert!(!matches("acme/*", "acme-two/prod"));
        assert!(matches("acme/prod", "acme/prod"));
        assert!(!matches("acme/prod", "acme/staging"));
    }

    #[test]
    fn other_patterns_are_refused() {
        for bad in ["", "acme", "*/prod", "acme/", "acme/*x", "Acme/*", "**"] {
            assert!(bad.parse::<ClusterPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pattern_prints_as_it_is_read() {
        for text in ["*", "acme/*", "acme/prod"] {
            assert_eq!(text.parse::<ClusterPattern>().unwrap().to_string(), text);
        }
    }
}
