//! What is shared by all sections while a configuration is read: the environment, the errors, what is shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{self, PathBuf},
};

use super::{ConfigError, FILE_VARIABLE, PREFIX, units::FilePath};

#[derive(Debug)]
pub(super) struct Reader {
    file: String,
    environment: BTreeMap<String, String>,
    used: BTreeSet<String>,
    pub(super) errors: Vec<ConfigError>,
    pub(super) shown: String,
}

/// The way to a section or key: its names, as in the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Path(Vec<String>);

impl Path {
    pub(super) fn join(&self, key: &str) -> Self {
        let mut names = self.0.clone();
        names.push(key.to_owned());
        Self(names)
    }

    pub(super) fn depth(&self) -> usize {
        self.0.len()
    }

    pub(super) fn dotted(&self) -> String {
        self.0.join(".")
    }

    /// `quic.idleTimeout` is `POSTERN_QUIC_IDLE_TIMEOUT`.
    pub(super) fn variable(&self) -> String {
        let names = self.0.iter().map(|name| screaming(name));
        std::iter::once(PREFIX.to_owned()).chain(names).collect::<Vec<_>>().join("_")
    }
}

fn screaming(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    }
    out
}

impl Reader {
    pub(super) fn new(file: &str, environment: &BTreeMap<String, String>) -> Self {
        let (file, environment) = (file.to_owned(), environment.clone());
        Self { file, environment, used: BTreeSet::new(), errors: Vec::new(), shown: String::new() }
    }

    /// The variable that overrides `path`, and its name.
    pub(super) fn variable(&mut self, path: &Path) -> Option<(String, String)> {
        let name = path.variable();
        let value = self.environment.get(&name)?.clone();
        self.used.insert(name.clone());
        Some((value, name))
    }

    /// Where a path leads: files named in a configuration are found whatever folder the program was started in.
    pub(super) fn locate(&self, FilePath(path): FilePath) -> PathBuf {
        path::Path::new(&self.file).parent().map_or_else(|| path.clone(), |folder| folder.join(&path))
    }

    /// Whether a variable names something below `path`.
    pub(super) fn mentions(&self, path: &Path) -> bool {
        let below = path.variable() + "_";
        self.environment.keys().any(|name| name.starts_with(&below))
    }

    pub(super) fn place(&self, line: u64, column: u64) -> String {
        // A section that the file lacks stands nowhere.
        if line == 0 { self.file.clone() } else { format!("{}:{line}:{column}", self.file) }
    }

    pub(super) fn fail(&mut self, place: String, path: &Path, problem: impl Into<String>) {
        self.errors.push(ConfigError { place, key: path.dotted(), problem: problem.into() });
    }

    pub(super) fn unused(&self) -> Vec<String> {
        let ours =
            |name: &&String| name.starts_with(PREFIX) && *name != FILE_VARIABLE && !self.used.contains(*name);
        self.environment.keys().filter(ours).cloned().collect()
    }

    /// Shows a key with its value, or one that others follow below.
    pub(super) fn show(&mut self, depth: usize, key: &str, value: Option<&str>) {
        let line = match value {
            Some(value) => format!("{}{}: {}\n", indent(depth), quoted(key), quoted(value)),
            None => format!("{}{}:\n", indent(depth), quoted(key)),
        };
        self.shown.push_str(&line);
    }

    /// Shows an item of a list, or one that others follow below.
    pub(super) fn show_item(&mut self, depth: usize, value: Option<&str>) {
        let line = match value {
            Some(value) => format!("{}- {}\n", indent(depth), quoted(value)),
            None => format!("{}-\n", indent(depth)),
        };
        self.shown.push_str(&line);
    }
}

fn indent(depth: usize) -> String {
    "  ".repeat(depth)
}

/// A text that YAML could take for something else is quoted as JSON, which YAML can read.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-' | '+');
    let first =
        text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_'));
    if first && text.chars().all(plain) { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
