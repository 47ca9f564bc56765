//! Configuration: one YAML file, every key overridable by `POSTERN_…`, all errors at once.
//!
//! A program's configuration is read by [`FromSection`]: each key is asked for by name, and what nobody asked
//! for is an unknown key. Invariant: a value that exists has passed every check; there is no later validation.

mod node;
mod reader;
mod section;
mod units;

use std::{collections::BTreeMap, fmt};

use self::reader::Reader;
pub use self::{
    section::Section,
    units::{ByteSize, Secret, Span, UnitError},
};

/// A part of the configuration that is read from a section (a YAML mapping).
///
/// Ask for every key first and only then use `?`, so that all errors are found in one go:
/// `let (a, b) = (section.required("a"), section.or("b", 7)); Some(Self { a: a?, b: b? })`.
pub trait FromSection: Sized {
    /// Reads the part; `None` only after an error was recorded.
    fn from_section(section: &mut Section<'_>) -> Option<Self>;
}

/// A single value: anything that is parsed from and printed as text.
pub trait Value: Sized + fmt::Display {
    /// Parses the text of the value; the error says what would be right.
    fn parse(text: &str) -> Result<Self, String>;
}

impl<T> Value for T
where
    T: std::str::FromStr + fmt::Display,
    T::Err: fmt::Display,
{
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: T::Err| error.to_string())
    }
}

/// What was read: the configuration and how to show it.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The configuration.
    pub config: T,
    /// The effective configuration as YAML, secrets masked.
    pub effective: String,
    /// `POSTERN_…` variables that name no key; for a warning (an orchestrator may set such ones by itself).
    pub unused_environment: Vec<String>,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// `file:line:column`, or the environment variable.
    pub place: String,
    /// The key, dotted; empty for the whole file.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Where a configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Name of the YAML file: for messages, and because relative paths start at its folder.
    pub file: String,
    /// Its text.
    pub yaml: String,
    /// The environment; only `POSTERN_…` is looked at.
    pub environment: BTreeMap<String, String>,
}

/// Before the name of every variable that overrides a key.
pub const PREFIX: &str = "POSTERN";

/// By which every program is told its file; no key of it.
pub(crate) const FILE_VARIABLE: &str = "POSTERN_CONFIG";

/// Reads a configuration.
pub fn load<T: FromSection>(sources: &Sources) -> Result<Loaded<T>, ConfigErrors> {
    let root = node::parse(&sources.file, &sources.yaml).map_err(|error| ConfigErrors(vec![error]))?;
    let mut reader = Reader::new(&sources.file, &sources.environment);
    let config = section::read::<T>(&mut reader, root);
    match config {
        Some(config) if reader.errors.is_empty() => {
            Ok(Loaded { config, unused_environment: reader.unused(), effective: reader.shown })
        }
        _ => Err(ConfigErrors(reader.errors)),
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.place, self.problem),
            key => write!(f, "{}: {key}: {}", self.place, self.problem),
        }
    }
}

impl std::error::Error for ConfigErrors {}

#[cfg(test)]
mod tests;
