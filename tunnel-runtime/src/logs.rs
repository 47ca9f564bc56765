//! Logs to standard error, plain or JSON; the level can be changed while the process runs.

use std::{fmt, str::FromStr};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Plain,
    /// One JSON object per line.
    Json,
}

/// A level or filter that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Not a filter.
    #[error("not a log filter: {filter:?}")]
    Filter {
        /// What was given.
        filter: String,
        /// What the parser said.
        source: tracing_subscriber::filter::ParseError,
    },
    /// A logger is installed already, or is gone.
    #[error("the logger cannot be set")]
    Install,
}

/// Changes the level of a running process; cheap to clone.
#[derive(Clone)]
pub struct Level {}

/// Installs the logger of the process; `filter` is like `info` or `info,tunnel_transport=debug`.
pub fn init(_format: Format, _filter: &str) -> Result<Level, LogError> {
    todo!()
}

impl Level {
    /// Replaces the filter.
    pub fn set(&self, _filter: &str) -> Result<(), LogError> {
        todo!()
    }
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "plain" => Ok(Self::Plain),
            "json" => Ok(Self::Json),
            _ => Err("neither `plain` nor `json`"),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Json => "json",
        })
    }
}
