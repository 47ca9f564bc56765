//! The shipped engine profiles as a customer uses them: a copy with the endpoints changed, beside its descriptors.

use std::{fs, path::Path};

use anyhow::Result;

/// A shipped profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shipped {
    /// `profiles/reference-engine.yaml`.
    ReferenceEngine,
    /// As [`Shipped::ReferenceEngine`] without its `readOnly`: the audit log is waited for on every call.
    Mutating,
    /// `profiles/etcd.yaml`.
    Etcd,
}

impl Shipped {
    /// Writes `profile.yaml` with these endpoints and further lines, and the descriptor set it names.
    pub fn write(self, folder: &Path, endpoints: &[(String, String)], more: &str) -> Result<()> {
        let (yaml, name, descriptors) = self.files();
        let yaml = if self == Self::Mutating { without_read_only(yaml) } else { yaml.to_owned() };
        fs::write(folder.join("profile.yaml"), with_endpoints(&yaml, endpoints) + more)?;
        Ok(fs::write(folder.join(name), descriptors)?)
    }

    fn files(self) -> (&'static str, &'static str, &'static [u8]) {
        match self {
            Self::ReferenceEngine | Self::Mutating => (
                include_str!("../../profiles/reference-engine.yaml"),
                "reference-engine.protoset",
                include_bytes!("../../profiles/reference-engine.protoset"),
            ),
            Self::Etcd => (
                include_str!("../../profiles/etcd.yaml"),
                "etcd.protoset",
                include_bytes!("../../profiles/etcd.protoset"),
            ),
        }
    }
}

fn with_endpoints(yaml: &str, endpoints: &[(String, String)]) -> String {
    let ours: String = endpoints.iter().map(|(target, url)| format!("  {target}: \"{url}\"\n")).collect();
    let keep = |line: &&str| !line.starts_with("  default: ");
    let lines = yaml.lines().filter(keep);
    lines.fold(String::new(), |text, line| match line {
        "endpoints:" => text + "endpoints:\n" + &ours,
        line => text + line + "\n",
    })
}

fn without_read_only(yaml: &str) -> String {
    let mut inside = false;
    let keep = |line: &&str| {
        inside = *line == "readOnly:" || inside && line.starts_with("  - ");
        !inside
    };
    yaml.lines().filter(keep).fold(String::new(), |text, line| text + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_its_list_nothing_is_read_only() {
        let yaml = "name: x\nreadOnly:\n  - a/B\n  - a/C\nhealth:\n  method: a/B\n";
        assert_eq!(without_read_only(yaml), "name: x\nhealth:\n  method: a/B\n");
    }

    #[test]
    fn endpoints_replace_the_shipped_one() {
        let yaml = "name: x\nendpoints:\n  default: \"http://127.0.0.1:1\"\nreadOnly: []\n";
        let ours = [("a".to_owned(), "unix:/a".to_owned()), ("b".to_owned(), "unix:/b".to_owned())];
        let wanted = "name: x\nendpoints:\n  a: \"unix:/a\"\n  b: \"unix:/b\"\nreadOnly: []\n";
        assert_eq!(with_endpoints(yaml, &ours), wanted);
    }
}
