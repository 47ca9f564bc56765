//! What the program says: results on standard output, everything else on standard error.
//!
//! Text that came from elsewhere passes [`safe`] (text) or [`Console::json`] (JSON) before it is shown.

use std::{
    collections::VecDeque,
    fmt::Display,
    io::{self, Write},
};

use serde::Serialize;
use tunnel_protos::text::escape_json;

use crate::surroundings::Terminal;

pub mod table;
pub mod when;

mod live;
mod text;

pub use self::text::{counted, safe};

/// The form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON value per line.
    Json,
}

/// The two outputs of one run. Write errors are kept until the end: [`Console::finish`].
pub struct Console {
    stdout: Box<dyn Write + Send>,
    stderr: Box<dyn Write + Send>,
    terminal: Terminal,
    format: Format,
    live: live::Lines,
    /// The newest lines of [`Console::once`].
    said: VecDeque<String>,
    failed: Option<io::Error>,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Console {
    /// A console that writes results in `format`.
    pub fn new(
        stdout: Box<dyn Write + Send>,
        stderr: Box<dyn Write + Send>,
        terminal: Terminal,
        format: Format,
    ) -> Self {
        Self {
            stdout,
            stderr,
            terminal,
            format,
            live: live::Lines::default(),
            said: VecDeque::new(),
            failed: None,
        }
    }

    /// The form of results.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Prints a result: `text` or `value`, as the format says.
    pub fn result(&mut self, value: &impl Serialize, text: impl Display) {
        match self.format {
            Format::Text => self.print(text),
            Format::Json => self.json(value),
        }
    }

    /// One line of text on standard output.
    pub fn print(&mut self, line: impl Display) {
        self.settle();
        let written = writeln!(self.stdout, "{line}").and_then(|()| self.stdout.flush());
        self.keep(written);
    }

    /// One line of JSON on standard output.
    pub fn json(&mut self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(line) => self.json_text(&line),
            Err(error) => self.keep(Err(error.into())),
        }
    }

    /// JSON that was written elsewhere, on standard output.
    pub fn json_text(&mut self, json: &str) {
        self.print(escape_json(json));
    }

    /// Shows what goes on right now, in one line that is written over again and again; only on a terminal.
    pub fn live(&mut self, line: &str) {
        self.live_lines(&[line]);
    }

    /// The same for several lines.
    pub fn live_lines<L: AsRef<str>>(&mut self, lines: &[L]) {
        if self.terminal.stderr {
            let text = self.live.show(lines, self.terminal.columns);
            let _ = self.stderr.write_all(text.as_bytes()).and_then(|()| self.stderr.flush());
        }
    }

    /// Whether results go to a terminal that shows colors.
    pub const fn is_painted(&self) -> bool {
        self.terminal.stdout && self.terminal.color
    }

    /// Whether a person sees standard error as it is written.
    pub const fn is_watched(&self) -> bool {
        self.terminal.stderr
    }

    /// A line that a person should see but a program does not read.
    pub fn note(&mut self, line: impl Display) {
        self.settle();
        // A closed standard error must not fail a command that works.
        let _ = writeln!(self.stderr, "{line}");
    }

    /// A note that is not repeated while it is among the newest of its kind: a log is no live line.
    pub fn once(&mut self, line: &str) {
        if self.said.iter().any(|said| said == line) {
            return;
        }
        self.note(line);
        self.said.push_back(line.to_owned());
        if self.said.len() > REMEMBERED {
            self.said.pop_front();
        }
    }

    /// A note that is shown only on a terminal.
    pub fn progress(&mut self, line: impl Display) {
        if self.terminal.stderr {
            let dimmed = self.paint(DIM, line);
            self.note(dimmed);
        }
    }

    /// Something is wrong, and the command goes on.
    pub fn warn(&mut self, line: impl Display) {
        let mark = self.paint(YELLOW, "warning:");
        self.note(format_args!("{mark} {line}"));
    }

    /// Why the command ends without its result.
    pub fn error(&mut self, line: impl Display) {
        let mark = self.paint(RED, "error:");
        self.note(format_args!("{mark} {line}"));
    }

    /// The first error of writing results, if any.
    pub fn finish(mut self) -> io::Result<()> {
        self.settle();
        let flushed = self.stdout.flush();
        self.keep(flushed);
        self.failed.map_or(Ok(()), Err)
    }

    /// Takes the live line away, so that what follows stands alone.
    pub fn settle(&mut self) {
        let _ = self.stderr.write_all(self.live.clear().as_bytes()).and_then(|()| self.stderr.flush());
    }

    fn keep(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.failed.get_or_insert(error);
        }
    }

    fn paint(&self, color: &str, text: impl Display) -> String {
        if self.terminal.stderr && self.terminal.color {
            format!("\x1b[{color}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }
}

/// More than one waiting says.
const REMEMBERED: usize = 32;
const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const DIM: &str = "2";

#[cfg(test)]
mod tests;
