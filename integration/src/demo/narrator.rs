//! What the demo prints: numbered steps, the commands a person would type, and their output.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

/// Prints a demo; color only on a terminal.
pub struct Narrator {
    out: Box<dyn Write + Send>,
    color: bool,
    step: usize,
    good: usize,
}

impl Narrator {
    /// To standard output.
    pub fn standard() -> Self {
        Self { color: io::stdout().is_terminal(), out: Box::new(io::stdout()), step: 0, good: 0 }
    }

    /// To nowhere, for tests.
    pub fn silent() -> Self {
        Self { color: false, out: Box::new(io::sink()), step: 0, good: 0 }
    }

    /// The headline.
    pub fn title(&mut self, text: &str) {
        let text = self.paint(BOLD, text);
        self.line(&text);
    }

    /// Begins a step: what happens, and who does it where.
    pub fn step(&mut self, title: &str, who: &str) {
        self.step += 1;
        let (title, who) = (self.paint(BOLD, title), self.paint(DIM, who));
        self.line(&format!("\n{:>2}  {title}  {who}", self.step));
    }

    /// What a reader should know of what comes.
    pub fn explain(&mut self, text: &str) {
        self.indented(text, "");
    }

    /// A command as typed.
    pub fn command(&mut self, words: &str) {
        for line in wrapped(&format!("$ {words}")) {
            let line = self.paint(CYAN, &line);
            self.line(&format!("    {line}"));
        }
    }

    /// What a command printed.
    pub fn output(&mut self, text: &str) {
        self.indented(text, DIM);
    }

    /// What was expected, and came.
    pub fn good(&mut self, text: &str) {
        self.good += 1;
        let text = format!("{} {text}", self.paint(GREEN, "✓"));
        self.line(&format!("    {text}"));
    }

    /// How much came as expected so far.
    pub fn shown(&self) -> usize {
        self.good
    }

    /// The end.
    pub fn end(&mut self, took: Duration) {
        let text = format!("\nAll {} steps passed in {:.1} s.", self.step, took.as_secs_f64());
        let text = self.paint(GREEN, &text);
        self.line(&text);
    }

    fn indented(&mut self, text: &str, style: &str) {
        for line in text.trim_end().lines() {
            let line = self.paint(style, line);
            self.line(&format!("    {line}"));
        }
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.color && !style.is_empty() { format!("{style}{text}{RESET}") } else { text.to_owned() }
    }

    /// A closed pipe (`make demo | head`) is no reason to fail.
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
    }
}

/// Breaks a long command before its flags, as a person would, so that it can still be pasted.
fn wrapped(command: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for (at, part) in command.split(" -").enumerate() {
        let part = if at == 0 { part.to_owned() } else { format!(" -{part}") };
        let last = lines.last_mut().expect("starts with one");
        if at > 0 && last.len() + part.len() > COLUMNS {
            last.push_str(" \\");
            lines.push(format!("     {part}"));
        } else {
            last.push_str(&part);
        }
    }
    lines
}

/// Fits a terminal of 120 columns with its indent.
const COLUMNS: usize = 108;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const CYAN: &str = "\x1b[36m";
const GREEN: &str = "\x1b[32m";
const RESET: &str = "\x1b[0m";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_commands_break_before_flags() {
        let long = format!("$ program --first {} --second {}", "a".repeat(60), "b".repeat(60));
        let lines = wrapped(&long);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with(" \\") && lines[1].trim_start().starts_with("--second"), "{lines:?}");
        assert_eq!(wrapped("$ short -x"), ["$ short -x"]);
    }
}
