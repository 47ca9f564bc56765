//! Layout of what programs print for people: columns, fields, words for a shell.
//!
//! Nothing is escaped here: cells and values must be safe to show.

use std::fmt::Write;

/// Rows, each column as wide as its widest cell; each row ends its line.
pub fn columns<R: AsRef<[String]>>(rows: &[R]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.as_ref().get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    rows.iter().fold(String::new(), |mut text, row| {
        for (column, cell) in row.as_ref().iter().enumerate() {
            let _infallible = write!(text, "{cell:width$}  ", width = width(column));
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
        text
    })
}

/// `Name: value` lines with values aligned; empty values are left out. A long value goes on under its own beginning:
/// no part of it may stand where a name stands.
pub fn fields(rows: &[(&str, String)]) -> String {
    let shown = || rows.iter().filter(|(_, value)| !value.is_empty());
    let width = shown().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
    shown().fold(String::new(), |mut text, (name, value)| {
        let value = lines(value).join(&format!("\n{:width$}  ", ""));
        let _infallible = writeln!(text, "{:width$}  {value}", format!("{name}:"));
        text
    })
}

/// Broken at the last space before the line is full, or inside a word that is longer; characters that are not ASCII may
/// be two columns wide.
fn lines(text: &str) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for c in text.chars() {
        let full = wide(&line) + width_of(c) > VALUE;
        if full && c == ' ' {
            lines.push(std::mem::take(&mut line));
            continue;
        }
        if full {
            let rest = line.rfind(' ').map_or_else(String::new, |space| line.split_off(space));
            lines.push(std::mem::replace(&mut line, rest.trim_start().to_owned()));
        }
        line.push(c);
    }
    lines.push(line);
    lines
}

fn wide(line: &str) -> usize {
    line.chars().map(width_of).sum()
}

fn width_of(c: char) -> usize {
    if c.is_ascii() { 1 } else { 2 }
}

/// `word` as a POSIX shell must be given it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Eight words fit, and beside the longest name not much more than 80 columns are used.
const VALUE: usize = 72;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows =
            [["NAME", "N"], ["acme/prod", "1"], ["x", "22"], ["", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(columns(&rows), "NAME       N\nacme/prod  1\nx          22\n\n");
    }

    #[test]
    fn values_line_up_and_empty_ones_are_left_out() {
        let rows = [("A", "1".into()), ("Longest", String::new()), ("Long", "2".into())];
        assert_eq!(fields(&rows), "A:     1\nLong:  2\n");
    }

    #[test]
    fn a_long_value_never_stands_where_a_name_stands() {
        let long = format!("{}{}", "x".repeat(71), "State: approved ".repeat(20));
        let text = fields(&[("Reason", long), ("State", "pending".into())]);
        assert_eq!(text.lines().filter(|line| !line.starts_with(' ')).count(), 2, "{text}");
        assert!(text.lines().all(|line| line.len() <= 81), "{text}");
        assert_eq!(lines(&"再".repeat(80)).len(), 3);
    }

    #[test]
    fn words_stay_whole_where_they_fit() {
        let text = "tunnel-client enroll confirm ".repeat(9);
        let broken = lines(text.trim_end());
        assert!(broken.len() > 3 && broken.iter().all(|line| wide(line) <= VALUE), "{broken:?}");
        assert_eq!(broken.join(" "), text.trim_end());
        assert_eq!(
            lines(&format!("a {}", "x".repeat(100))),
            ["a".to_owned(), "x".repeat(72), "x".repeat(28)]
        );
    }

    #[test]
    fn a_shell_reads_a_quoted_word_as_one() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted("a.B/C"), "a.B/C");
        assert_eq!(quoted("a.B/*"), "'a.B/*'");
        assert_eq!(quoted(""), "''");
    }
}
