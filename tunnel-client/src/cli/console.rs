//! What the customer's commands print and ask: results on standard output, questions and hints on standard error.
//!
//! Invariant: JSON leaves here with deceptive characters escaped; text is escaped where it is laid out.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use serde_json::Value;
use tunnel_protos::{
    operations::Paint,
    text::{escape, escape_json},
};

use super::output::Format;

/// The three streams of one run, and what is known of them.
pub struct Console {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    input: Box<dyn BufRead + Send>,
    /// A person can be asked: standard input and standard error are a terminal.
    pub(super) person: Person,
    output: Output,
    pub(super) format: Format,
}

/// Whether somebody can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Person {
    Present,
    Absent,
}

/// What standard output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    ColorTerminal,
    Terminal,
    Pipe,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console")
            .field("person", &self.person)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Console {
    /// The process's own streams; colors only on a terminal, and not if `no_color`.
    pub fn standard(no_color: bool) -> Self {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let person =
            if stdin.is_terminal() && stderr.is_terminal() { Person::Present } else { Person::Absent };
        let output = match (stdout.is_terminal(), no_color) {
            (true, false) => Output::ColorTerminal,
            (true, true) => Output::Terminal,
            (false, _) => Output::Pipe,
        };
        let input = Box::new(io::BufReader::new(stdin));
        Self { out: Box::new(stdout), err: Box::new(stderr), input, person, output, format: Format::Text }
    }

    #[cfg(test)]
    pub(super) fn of(
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
        input: &'static str,
        person: Person,
        format: Format,
    ) -> Self {
        let input = Box::new(input.as_bytes());
        Self { out: Box::new(out), err: Box::new(err), input, person, output: Output::Pipe, format }
    }

    /// Whether results go to a terminal that shows colors.
    pub(super) fn is_painted(&self) -> bool {
        self.output == Output::ColorTerminal
    }

    /// Whether standard output is a terminal that can be drawn on.
    pub(super) fn is_screen(&self) -> bool {
        self.output != Output::Pipe
    }

    /// Prints a result in the format that was asked for.
    pub(super) fn result(&mut self, text: &str, json: &Value) -> io::Result<()> {
        match self.format {
            Format::Text => self.text(text),
            Format::Json => self.text(&(escape_json(&format!("{json:#}")) + "\n")),
        }
    }

    /// Prints one line of JSON, for what comes again and again.
    pub(super) fn json_line(&mut self, json: &Value) -> io::Result<()> {
        self.text(&(escape_json(&json.to_string()) + "\n"))
    }

    /// How changes are marked in what goes to standard output.
    pub(super) fn paint(&self) -> Paint {
        if self.is_painted() { Paint::Colors } else { Paint::Plain }
    }

    /// Prints what came from elsewhere: escaped on a terminal, as it is elsewhere.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.is_screen() {
            self.out.write_all(bytes)?;
            return self.out.flush();
        }
        let text = String::from_utf8_lossy(bytes);
        let lines = text.lines().map(|line| escape(line, usize::MAX) + "\n");
        let shown: String = lines.collect();
        self.text(&shown)
    }

    /// Prints text that is safe to show.
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Tells a person something that is not the result.
    pub(super) fn hint(&mut self, text: &str) {
        // A closed standard error must not fail a command that works.
        let _ = self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush());
    }

    /// Asks a person; only `y` and `yes` are a yes.
    pub(super) fn confirms(&mut self, question: &str) -> io::Result<bool> {
        self.hint(&format!("{question} [y/N] "));
        let mut line = String::new();
        (&mut self.input).take(LONGEST_LINE).read_line(&mut line)?;
        Ok(matches!(line.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
    }

    /// All of standard input, within a bound.
    pub(super) fn read_all(&mut self) -> io::Result<zeroize::Zeroizing<String>> {
        let mut text = zeroize::Zeroizing::new(String::new());
        (&mut self.input).take(LONGEST_INPUT).read_to_string(&mut text)?;
        Ok(text)
    }
}

/// Longer than any answer.
const LONGEST_LINE: u64 = 256;
/// Longer than any key.
const LONGEST_INPUT: u64 = 64 * 1024;
