//! Configuration: one YAML file, every key overridable by `POSTERN_…`, all errors at once.
//!
//! A program's configuration is read by [`FromSection`]: each key is asked for by name, and what nobody asked
//! for is an unknown key. Invariant: a value that exists has passed every check; there is no later validation.

mod units;

use std::{collections::BTreeMap, fmt};

pub use self::units::{ByteSize, FilePath, Secret, Span};

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
#[derive(Debug, PartialEq, Eq)]
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
    /// Name of the YAML file, for messages.
    pub file: String,
    /// Its text.
    pub yaml: String,
    /// The environment; only `POSTERN_…` is looked at.
    pub environment: BTreeMap<String, String>,
}

/// A mapping of the configuration that is being read.
#[derive(Debug)]
pub struct Section<'r> {
    marker: std::marker::PhantomData<&'r mut ()>,
}

/// Reads a configuration.
pub fn load<T: FromSection>(_sources: &Sources) -> Result<Loaded<T>, ConfigErrors> {
    todo!()
}

impl Section<'_> {
    /// The value of `key`, which must be there.
    pub fn required<T: Value>(&mut self, _key: &'static str) -> Option<T> {
        todo!()
    }

    /// The value of `key`, or `default`.
    pub fn or<T: Value>(&mut self, _key: &'static str, _default: T) -> Option<T> {
        todo!()
    }

    /// The value of `key`, if it is there (the outer `None` is an error).
    pub fn optional<T: Value>(&mut self, _key: &'static str) -> Option<Option<T>> {
        todo!()
    }

    /// The list of values under `key`; empty if it is not there. In the environment: separated by commas.
    pub fn values<T: Value>(&mut self, _key: &'static str) -> Option<Vec<T>> {
        todo!()
    }

    /// The section under `key`; an absent one reads as an empty one, so that defaults apply.
    pub fn section<T: FromSection>(&mut self, _key: &'static str) -> Option<T> {
        todo!()
    }

    /// The section under `key`, if it is there in the file or the environment (the outer `None` is an error).
    pub fn optional_section<T: FromSection>(&mut self, _key: &'static str) -> Option<Option<T>> {
        todo!()
    }

    /// The list of sections under `key`; empty if it is not there. In the environment: `…_KEY_0_…`, `…_KEY_1_…`.
    pub fn sections<T: FromSection>(&mut self, _key: &'static str) -> Option<Vec<T>> {
        todo!()
    }

    /// The mapping under `key` whose own keys people choose (for example targets by name).
    pub fn named<T: FromSection>(&mut self, _key: &'static str) -> Option<BTreeMap<String, T>> {
        todo!()
    }

    /// Records that `key` is wrong for a reason that only the program knows, and gives `None`.
    pub fn reject<T>(&mut self, _key: &'static str, _problem: impl Into<String>) -> Option<T> {
        todo!()
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
