//! Lines that are written over again and again while something takes time.

/// What of them is on the screen.
#[derive(Debug, Default)]
pub(super) struct Lines {
    shown: Vec<String>,
}

impl Lines {
    /// What to write so that `lines` stand there instead; nothing if they stand there already.
    pub(super) fn show<L: AsRef<str>>(&mut self, lines: &[L], columns: usize) -> String {
        let columns = if columns == 0 { COLUMNS } else { columns };
        let lines: Vec<_> = lines.iter().map(|line| fit(line.as_ref(), columns)).collect();
        if self.shown == lines {
            return String::new();
        }
        let out = format!("{}{}", self.clear(), lines.join("\n"));
        self.shown = lines;
        // The first line may have been left as somebody else's.
        if out.starts_with(ERASE) { out } else { format!("{ERASE}{out}") }
    }

    /// What to write so that nothing stands there; the place is where they began.
    pub(super) fn clear(&mut self) -> String {
        match std::mem::take(&mut self.shown).len() {
            0 => String::new(),
            lines => format!("{ERASE}{}", UP_ERASE.repeat(lines - 1)),
        }
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
/// To the line above, and erase all of it.
const UP_ERASE: &str = "\x1b[1A\x1b[2K";
/// As wide as terminals are when nobody says.
const COLUMNS: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_over_and_only_when_it_changed() {
        let mut line = Lines::default();
        assert_eq!(line.show(&["1 s"], 80), "\r\x1b[K1 s");
        assert_eq!(line.show(&["1 s"], 80), "");
        assert_eq!(line.show(&["2 s"], 80), "\r\x1b[K2 s");
        assert_eq!(line.clear(), "\r\x1b[K");
        assert_eq!(line.clear(), "");
    }

    #[test]
    fn a_line_never_wraps() {
        assert_eq!(Lines::default().show(&["0123456789"], 6), "\r\x1b[K0123…");
    }

    #[test]
    fn several_lines_are_taken_away_from_the_last_to_the_first() {
        let mut lines = Lines::default();
        assert_eq!(lines.show(&["a", "b", "c"], 80), "\r\x1b[Ka\nb\nc");
        assert_eq!(lines.show(&["d"], 80), "\r\x1b[K\x1b[1A\x1b[2K\x1b[1A\x1b[2Kd");
        assert_eq!(lines.clear(), "\r\x1b[K");
    }
}
