//! One line that is written over again and again while something takes time.

use std::fmt::Write as _;

/// What of it is on the screen.
#[derive(Debug, Default)]
pub(super) struct Line {
    shown: Option<String>,
}

impl Line {
    /// What to write so that `text` stands there instead; nothing if it stands there already.
    pub(super) fn show(&mut self, text: &str, columns: usize) -> String {
        let text = fit(text, if columns == 0 { COLUMNS } else { columns });
        if self.shown.as_ref() == Some(&text) {
            return String::new();
        }
        let mut out = ERASE.to_owned();
        let _ = write!(out, "{text}");
        self.shown = Some(text);
        out
    }

    /// What to write so that nothing stands there.
    pub(super) fn clear(&mut self) -> &'static str {
        if self.shown.take().is_some() { ERASE } else { "" }
    }
}

/// A line that wraps could not be written over.
fn fit(text: &str, columns: usize) -> String {
    let room = columns.saturating_sub(1);
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

/// To the first column, and erase to the end of the line.
const ERASE: &str = "\r\x1b[K";
/// As wide as terminals are when nobody says.
const COLUMNS: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_over_and_only_when_it_changed() {
        let mut line = Line::default();
        assert_eq!(line.show("1 s", 80), "\r\x1b[K1 s");
        assert_eq!(line.show("1 s", 80), "");
        assert_eq!(line.show("2 s", 80), "\r\x1b[K2 s");
        assert_eq!(line.clear(), "\r\x1b[K");
        assert_eq!(line.clear(), "");
    }

    #[test]
    fn a_line_never_wraps() {
        assert_eq!(Line::default().show("0123456789", 6), "\r\x1b[K0123…");
    }
}
