//! Names that people choose, and the DNS names built from them.

use std::{fmt, str::FromStr};

use crate::{Door, Label};

/// A text outside the grammar of names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not `[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?`.
    #[error("not a name: 1 to 32 of a-z, 0-9 and '-', beginning and ending with a letter or digit")]
    Name,
    /// Not a word of the engine's own.
    #[error("not a word: 1 to 128 letters, digits, '.', '_', '-' and '/'")]
    Word,
    /// Not two names with a slash between.
    #[error("not a cluster name: two names with a slash between, like acme/prod")]
    Cluster,
    /// Not a DNS name that doors can hang under.
    #[error(
        "not a DNS suffix: lower-case labels with dots between, at most 190 characters, no dot at the ends"
    )]
    Suffix,
    /// Not `<door>.<label>.<suffix>`.
    #[error("not a door's name: <door>.<label>.<suffix>")]
    DoorName,
}

/// `[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?`, the grammar of every name that people choose.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<str>);

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let inner = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == b'-';
        let bytes = text.as_bytes();
        let ends = bytes.first() != Some(&b'-') && bytes.last() != Some(&b'-');
        if (1..=32).contains(&bytes.len()) && ends && bytes.iter().all(inner) {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Name)
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What the engine names itself: 1 to 128 letters, digits, `.`, `_`, `-` and `/`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Word(Box<str>);

impl Word {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Word {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b"._-/".contains(&c);
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Word)
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

macro_rules! named {
    ($(#[$doc:meta])* $name:ident) => {
        named! { $(#[$doc])* $name of Name }
    };
    ($(#[$doc:meta])* $name:ident of $grammar:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name($grammar);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

named! {
    /// A vendor: the authority of mesh and operator identities.
    VendorName
}

named! {
    /// An operator, human or robot.
    OperatorName
}

named! {
    /// A person of the customer who may say yes, as the policy names them.
    ApproverName
}

named! {
    /// One running client of a cluster.
    ReplicaId
}

named! {
    /// One broker of the vendor's fleet.
    BrokerId
}

named! {
    /// One engine endpoint behind a cluster.
    TargetName
}

named! {
    /// A part of the engine that operations are about, as the engine profile names it.
    ComponentName
}

named! {
    /// A task that the engine profile lists.
    TaskName
}

named! {
    /// A collector of debug bundles that the engine profile lists.
    CollectorName
}

named! {
    /// One machine or process of a component, as the engine names it.
    NodeName of Word
}

named! {
    /// A setting of a component or an argument of a task, as the engine names it.
    SettingName of Word
}

impl TargetName {
    /// The target that most clusters have: `default`.
    pub fn default_target() -> Self {
        Self(Name("default".into()))
    }

    /// The client's own API of an operation, which no engine profile may call a target of its own.
    pub fn operations() -> Self {
        Self(Name("operations".into()))
    }
}

/// A cluster: `customer/cluster`, two names.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterName(Box<str>);

impl ClusterName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (customer, cluster) = text.split_once('/').ok_or(NameError::Cluster)?;
        let both = customer.parse::<Name>().and(cluster.parse::<Name>());
        both.map(|_| Self(text.into())).map_err(|_| NameError::Cluster)
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterName({self})")
    }
}

/// The DNS name under which the vendor's brokers, labels and doors live; lower case, no dots at the ends.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Suffix(Box<str>);

impl Suffix {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the operators' API under this suffix.
    pub fn api(&self) -> String {
        format!("api.{self}")
    }

    /// The part before `.<suffix>`, or none if `host` is not under this suffix.
    pub fn strip<'h>(&self, host: &'h str) -> Option<&'h str> {
        host.strip_suffix(self.as_str())?.strip_suffix('.')
    }
}

impl FromStr for Suffix {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let label = |part: &str| {
            (1..=63).contains(&part.len())
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
        };
        // 190 leaves room for a door, a label and their dots within the 253 of a DNS name.
        if text.len() <= 190 && text.split('.').all(label) {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Suffix)
        }
    }
}

impl fmt::Display for Suffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Suffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suffix({self})")
    }
}

/// Where an operator connects to: `<door>.<label>.<suffix>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DoorName {
    /// The grant and target.
    pub door: Door,
    /// The cluster.
    pub label: Label,
}

impl DoorName {
    /// Reads a host name under `suffix`; anything but exactly `<door>.<label>.<suffix>` is refused.
    pub fn parse(host: &str, suffix: &Suffix) -> Result<Self, NameError> {
        let front = suffix.strip(host).ok_or(NameError::DoorName)?;
        let (door, label) = front.split_once('.').ok_or(NameError::DoorName)?;
        let door = door.parse().map_err(|_| NameError::DoorName)?;
        let label = label.parse().map_err(|_| NameError::DoorName)?;
        Ok(Self { door, label })
    }

    /// The host name under `suffix`.
    pub fn host(&self, suffix: &Suffix) -> String {
        format!("{}.{}.{suffix}", self.door, self.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_grammar() {
        for good in ["a", "a1", "prod-eu", &"a".repeat(32)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "é", "a b", &"a".repeat(33)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cluster_is_two_names() {
        assert!("acme/prod".parse::<ClusterName>().is_ok());
        for bad in ["acme", "acme/", "/prod", "acme/prod/x", "acme/Prod", "acme//prod"] {
            assert_eq!(bad.parse::<ClusterName>(), Err(NameError::Cluster), "{bad}");
        }
    }

    #[test]
    fn a_suffix_is_a_lower_case_dns_name() {
        for good in ["tunnel.example", "localhost", "a-b.c1.test"] {
            assert!(good.parse::<Suffix>().is_ok(), "{good}");
        }
        for bad in ["", ".a", "a.", "a..b", "A.b", "-a.b", "a-.b", &"a.".repeat(100)] {
            assert!(bad.parse::<Suffix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_door_name_is_door_label_suffix_and_nothing_else() {
        let suffix: Suffix = "tunnel.example".parse().unwrap();
        let name = DoorName { door: Door::from_random([7; 17]), label: Label::from_random([9; 17]) };
        let host = name.host(&suffix);
        assert_eq!(DoorName::parse(&host, &suffix).as_ref(), Ok(&name));
        for bad in [
            format!("x.{host}"),
            host.to_uppercase(),
            host.replace("tunnel.", "tunnel"),
            format!("{}.tunnel.example", name.label),
            "tunnel.example".to_owned(),
            format!("{host}."),
        ] {
            assert!(DoorName::parse(&bad, &suffix).is_err(), "{bad}");
        }
    }
}
