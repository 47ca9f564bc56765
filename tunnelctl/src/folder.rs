//! Private files in private folders: 0600 in 0700, each folder made when first written to.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::Path};

use tunnel_certs::file::{self, FileError};

/// Writes or replaces a private file.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    make_parent(path)?;
    file::write_private(path, bytes)
}

/// Makes the folder of `path`.
pub(crate) fn make_parent(path: &Path) -> Result<(), FileError> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
    made.map_err(|source| FileError::Io { action: "make", path: parent.into(), source })
}
