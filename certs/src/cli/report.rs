//! What a command did, as lines for people or one JSON document for scripts.

use std::{fmt, path::Path};

use serde_json::{Map, Value};
use tunnel_protos::{UnixMillis, text};

/// How to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document, for scripts.
    Json,
}

/// Named values in the order in which they are told.
#[derive(Debug, Default)]
pub struct Report(Vec<(&'static str, Value)>);

impl Report {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A value by its text.
    pub fn with(self, name: &'static str, value: impl fmt::Display) -> Self {
        self.value(name, Value::String(value.to_string()))
    }

    /// A file that was written.
    pub fn file(self, name: &'static str, path: &Path) -> Self {
        self.with(name, path.display())
    }

    /// A point in time.
    pub fn time(self, name: &'static str, at: UnixMillis) -> Self {
        self.with(name, at)
    }

    /// Any JSON value.
    pub fn value(mut self, name: &'static str, value: Value) -> Self {
        self.0.push((name, value));
        self
    }

    /// The report in full, ending with a line break.
    pub fn print(&self, format: Format) -> String {
        match format {
            Format::Text => self.lines(),
            Format::Json => format!("{:#}\n", self.json()),
        }
    }

    /// As a JSON object.
    pub fn json(&self) -> Value {
        let fields = self.0.iter().map(|(name, value)| (camel_case(name), value.clone()));
        Value::Object(fields.collect::<Map<_, _>>())
    }

    fn lines(&self) -> String {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let line = |(name, value): &(&str, Value)| match value {
            Value::String(value) => format!("{name:width$}  {}\n", text::escape(value, LONGEST)),
            value => format!("{name}\n{}\n", indented(&format!("{value:#}"))),
        };
        self.0.iter().map(line).collect()
    }
}

/// `not after` is `notAfter`, as every program's JSON writes it.
fn camel_case(name: &str) -> String {
    let mut words = name.split(' ');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |joined, word| {
        let (head, tail) = word.split_at(word.len().min(1));
        joined + &head.to_ascii_uppercase() + tail
    })
}

fn indented(block: &str) -> String {
    let lines: Vec<_> = block.lines().map(|line| format!("  {}", text::escape(line, LONGEST))).collect();
    lines.join("\n")
}

/// Longer values would push the rest off the screen.
const LONGEST: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_names_are_in_camel_case() {
        assert_eq!(camel_case("not after"), "notAfter");
        assert_eq!(camel_case("kind"), "kind");
    }
}
