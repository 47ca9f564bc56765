//! The shipped engine profiles as a customer uses them: a copy with the endpoints changed, beside its descriptors.

use std::{fs, path::Path};

use anyhow::Result;

use crate::supervisor;

/// A shipped profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shipped {
    /// `profiles/reference-engine.yaml`.
    ReferenceEngine,
    /// As [`Shipped::ReferenceEngine`] with gates that hold for tenths of a second.
    Hasty,
    /// As [`Shipped::ReferenceEngine`] without operations: all of its methods are for access.
    Access,
    /// As [`Shipped::Access`] without its `readOnly`: the audit log is waited for on every call.
    Mutating,
    /// `profiles/etcd.yaml`.
    Etcd,
    /// As [`Shipped::Etcd`] with what its comments say of supervisors, and gates as those of [`Shipped::Hasty`].
    SupervisedEtcd,
    /// As [`Shipped::SupervisedEtcd`] with gates that hold for seconds, in which a test can do something.
    SlowEtcd,
}

/// Where something listens, by its name in a profile.
pub type Named = [(String, String)];

impl Shipped {
    /// Writes `profile.yaml` with these endpoints, companions and further lines, and the descriptor set it names.
    pub fn write(self, folder: &Path, endpoints: &Named, companions: &Named, more: &str) -> Result<()> {
        let (name, descriptors) = self.descriptors();
        let yaml = with_endpoints(&self.yaml(companions), endpoints);
        fs::write(folder.join("profile.yaml"), yaml + more)?;
        Ok(fs::write(folder.join(name), descriptors)?)
    }

    fn yaml(self, companions: &Named) -> String {
        let engine = include_str!("../../profiles/reference-engine.yaml");
        let etcd = include_str!("../../profiles/etcd.yaml");
        match self {
            Self::ReferenceEngine => engine.to_owned(),
            Self::Hasty => gates(engine, "300ms", "5s"),
            Self::Access => without(engine, &OPERATIONS),
            Self::Mutating => without(&without(engine, &OPERATIONS), &["readOnly:"]),
            Self::Etcd => etcd.to_owned(),
            // A member takes some seconds to be back, an election included.
            Self::SupervisedEtcd => gates(&supervised(etcd, companions), "300ms", "1m"),
            Self::SlowEtcd => gates(&supervised(etcd, companions), "2s", "8s"),
        }
    }

    fn descriptors(self) -> (&'static str, Vec<u8>) {
        let etcd = include_bytes!("../../profiles/etcd.protoset");
        match self {
            Self::ReferenceEngine | Self::Hasty | Self::Access | Self::Mutating => (
                "reference-engine.protoset",
                include_bytes!("../../profiles/reference-engine.protoset").to_vec(),
            ),
            Self::Etcd => ("etcd.protoset", etcd.to_vec()),
            // Descriptor sets may be concatenated.
            Self::SupervisedEtcd | Self::SlowEtcd => {
                ("etcd.protoset", [etcd, supervisor::FILE_DESCRIPTOR_SET].concat())
            }
        }
    }
}

fn with_endpoints(yaml: &str, endpoints: &Named) -> String {
    let ours: String = endpoints.iter().map(|(target, url)| format!("  {target}: \"{url}\"\n")).collect();
    let keep = |line: &&str| !line.starts_with("  default: ");
    let lines = yaml.lines().filter(keep);
    lines.fold(String::new(), |text, line| match line {
        "endpoints:" => text + "endpoints:\n" + &ours,
        line => text + line + "\n",
    })
}

/// Without these keys and all that is indented below them.
fn without(yaml: &str, keys: &[&str]) -> String {
    let mut inside = false;
    let keep = |line: &&str| {
        inside = keys.contains(line) || inside && line.starts_with("  ");
        !inside
    };
    yaml.lines().filter(keep).fold(String::new(), |text, line| text + line + "\n")
}

/// Nothing of a test changes after a moment; what never becomes ready is not waited for any longer.
fn gates(yaml: &str, soak: &str, deadline: &str) -> String {
    yaml.replace("soak: 5s, deadline: 2m", &format!("soak: {soak}, deadline: {deadline}"))
}

/// With the lines that wait behind `#+ `; each member's companion bears its name and what it is.
fn supervised(yaml: &str, companions: &Named) -> String {
    let lines = yaml.lines().map(|line| line.strip_prefix("#+ ").unwrap_or(line));
    let text = lines.fold(String::new(), |text, line| text + line + "\n");
    let flow =
        |entry: fn(&(String, String)) -> String| companions.iter().map(entry).collect::<Vec<_>>().join(", ");
    text.replace(
        "one-supervisor: \"http://127.0.0.1:2378\"",
        &flow(|(name, url)| format!("{name}-supervisor: \"{url}\"")),
    )
    .replace("one: one-supervisor", &flow(|(name, _)| format!("{name}: {name}-supervisor")))
}

/// What makes methods those of operations.
const OPERATIONS: [&str; 4] = ["tasks:", "debug:", "companions:", "components:"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_with_all_below_them() {
        let yaml = "name: x\nreadOnly:\n  - a/B\n  - a/C\nhealth:\n  method: a/B\n";
        assert_eq!(without(yaml, &["readOnly:"]), "name: x\nhealth:\n  method: a/B\n");
        assert_eq!(without(yaml, &["readOnly:", "health:"]), "name: x\n");
    }

    #[test]
    fn endpoints_replace_the_shipped_one() {
        let yaml = "name: x\nendpoints:\n  default: \"http://127.0.0.1:1\"\nreadOnly: []\n";
        let ours = [("a".to_owned(), "unix:/a".to_owned()), ("b".to_owned(), "unix:/b".to_owned())];
        let wanted = "name: x\nendpoints:\n  a: \"unix:/a\"\n  b: \"unix:/b\"\nreadOnly: []\n";
        assert_eq!(with_endpoints(yaml, &ours), wanted);
    }

    #[test]
    fn supervisors_come_out_of_the_comments() {
        let ours = [("a".to_owned(), "http://x:1".to_owned()), ("b".to_owned(), "http://x:2".to_owned())];
        let yaml = Shipped::SupervisedEtcd.yaml(&ours);
        assert!(yaml.contains("{ a-supervisor: \"http://x:1\", b-supervisor: \"http://x:2\" }"), "{yaml}");
        assert!(yaml.contains("{ a: a-supervisor, b: b-supervisor }") && !yaml.contains("#+"), "{yaml}");
        assert!(!yaml.contains("soak: 5s"), "{yaml}");
    }
}
