//! Lists under headings.

use tunnel_runtime::layout;

/// Rows under headings; cells must be safe to show.
pub fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let mut all = vec![headings.map(str::to_owned)];
    all.extend_from_slice(rows);
    layout::columns(&all).trim_end().to_owned()
}
