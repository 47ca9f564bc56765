//! Logs to standard error, plain or JSON, as the section `log` of every configuration says.

use std::{fmt, io::IsTerminal, str::FromStr};

use tracing_subscriber::{EnvFilter, filter::ParseError, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{FromSection, Section};

/// How to log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogConfig {
    /// Plain or JSON.
    pub format: Format,
    /// What is logged.
    pub level: Level,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Plain,
    /// One JSON object per line.
    Json,
}

/// A level, or levels by module: `info`, `info,tunnel_transport=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level(String);

/// A logger is installed already.
#[derive(Debug, thiserror::Error)]
#[error("the logger cannot be set")]
pub struct InstallError;

/// Installs the logger of the process; called once, by `main`.
pub fn init(config: &LogConfig) -> Result<(), InstallError> {
    let registry = tracing_subscriber::registry().with(config.level.filter());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let installed = match config.format {
        Format::Plain => registry.with(lines.with_ansi(std::io::stderr().is_terminal())).try_init(),
        Format::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    installed.map_err(|_| InstallError)
}

impl FromSection for LogConfig {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let (format, level) = (section.or("format", Format::Plain), section.or("level", Level::default()));
        Some(Self { format: format?, level: level? })
    }
}

impl Level {
    fn filter(&self) -> EnvFilter {
        // Nothing is lost: what exists was parsed before. The builder reads no environment here: only main does.
        EnvFilter::builder().parse_lossy(&self.0)
    }
}

impl Default for Level {
    fn default() -> Self {
        // It warns of every odd frame of a peer, who could fill the log with them.
        Self("info,h2=error".to_owned())
    }
}

impl FromStr for Level {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        EnvFilter::builder().parse(text).map(|_| Self(text.to_owned()))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logger_follows_its_level_and_is_installed_once() {
        let config = LogConfig { format: Format::Json, level: "error".parse().unwrap() };
        init(&config).unwrap();
        assert!(tracing::enabled!(tracing::Level::ERROR) && !tracing::enabled!(tracing::Level::INFO));
        assert!(init(&config).is_err());
    }

    #[test]
    fn levels_are_checked_when_they_are_read() {
        for good in ["off", "info", "info,tunnel_broker=debug"] {
            assert_eq!(good.parse::<Level>().unwrap().to_string(), good);
        }
        assert!("no=such=filter".parse::<Level>().is_err());
    }

    #[test]
    fn formats_have_names() {
        for format in [Format::Plain, Format::Json] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert!("xml".parse::<Format>().is_err());
    }
}
