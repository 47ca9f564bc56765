//! Columns for people.

use std::fmt::Write as _;

/// Rows under headings, each column as wide as its widest cell; cells must be safe to show.
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|i| {
        let cells = rows.iter().map(|row| row[i].chars().count());
        cells.max().unwrap_or(0).max(headings[i].len())
    });
    let mut out = line(&headings, &widths);
    for row in rows {
        out.push('\n');
        out += &line(&row.each_ref().map(String::as_str), &widths);
    }
    out
}

fn line(cells: &[&str], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, &width) in cells.iter().zip(widths) {
        let _ = write!(line, "{cell:width$}  ");
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["acme/prod".into(), "1".into()], ["x".into(), "22".into()]];
        assert_eq!(table(["CLUSTER", "TUNNELS"], &rows), "CLUSTER    TUNNELS\nacme/prod  1\nx          22");
    }
}
