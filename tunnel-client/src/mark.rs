//! Whether a file changed, by size and time; a link counts as what it leads to, since mounted folders consist of links.

use std::{path::Path, time::SystemTime};

/// A file at one moment; none if it is not there.
pub(crate) type Mark = Option<(u64, Option<SystemTime>)>;

/// Looks at a file; a pipe, which would hold its reader for ever, counts as none.
pub(crate) fn mark(path: &Path) -> Mark {
    let found = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file);
    found.map(|metadata| (metadata.len(), metadata.modified().ok()))
}
