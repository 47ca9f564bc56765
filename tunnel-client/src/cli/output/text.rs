//! Layout for people: aligned columns and fields, points in time, amounts. Every cell is escaped here.

use tunnel_protos::{UnixMillis, text::escape, time::lasting};
use tunnel_runtime::layout;

/// `text` as it may be shown.
pub(in crate::cli) fn safe(text: &str) -> String {
    escape(text, LONGEST)
}

/// Rows under headings, each column as wide as its widest cell.
pub(in crate::cli) fn columns(rows: &[Vec<String>]) -> String {
    let safe_row = |row: &Vec<String>| row.iter().map(|cell| safe(cell)).collect::<Vec<_>>();
    layout::columns(&rows.iter().map(safe_row).collect::<Vec<_>>())
}

/// `Name: value` lines with values aligned; empty values are left out. A long value goes on under its own beginning:
/// no part of it may stand where a name stands.
pub(super) fn fields(rows: Vec<(&str, String)>) -> String {
    let rows: Vec<_> = rows.into_iter().map(|(name, value)| (name, safe(&value))).collect();
    layout::fields(&rows)
}

/// `lines` moved to the right, under `title`.
pub(super) fn block(title: &str, lines: &str) -> String {
    let indented = lines.lines().map(|line| format!("  {line}\n"));
    format!("\n{title}\n{}", indented.collect::<String>())
}

/// `2026-11-20T13:32:27Z`; nothing for a time that is not set.
pub(in crate::cli) fn stamp(ms: i64) -> String {
    if ms == 0 { String::new() } else { UnixMillis(ms).to_string() }
}

/// `in 12m 3s` or `5m ago`; nothing for a time that is not set.
pub(super) fn relative(ms: i64, now: UnixMillis) -> String {
    match UnixMillis(ms) {
        UnixMillis(0) => String::new(),
        time if time > now => format!("in {}", lasting(time.since(now))),
        time => format!("{} ago", lasting(now.since(time))),
    }
}

/// `in 12m 3s (2026-11-20T13:32:27Z)`; nothing for a time that is not set.
pub(super) fn moment(ms: i64, now: UnixMillis) -> String {
    if ms == 0 { String::new() } else { format!("{} ({})", relative(ms, now), stamp(ms)) }
}

/// `512 B`, `1.5 KiB`, `64.0 MiB`.
pub(in crate::cli) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut tenths = count.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Errors and notes are shorter; a cell that is longer would push the rest off the screen.
const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        assert_eq!(
            [0, 1023, 1536, 64 << 20, u64::MAX].map(bytes)[..4],
            ["0 B", "1023 B", "1.5 KiB", "64.0 MiB"]
        );
    }

    #[test]
    fn times_are_relative_and_utc() {
        assert_eq!(moment(3_723_000, UnixMillis(0)), "in 1h 2m (1970-01-01T01:02:03Z)");
        assert_eq!(moment(1000, UnixMillis(61_000)), "1m ago (1970-01-01T00:00:01Z)");
        assert_eq!(moment(0, UnixMillis(5)), "");
        assert_eq!(stamp(i64::MAX), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn cells_cannot_leave_their_place() {
        let text = columns(&[vec!["a\nb\u{1b}[2J".into(), "c\u{202e}".into()]]);
        assert_eq!(text, "a\\u{a}b\\u{1b}[2J  c\\u{202e}\n");
    }
}
