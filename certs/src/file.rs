//! Files of keys and certificates: private ones are 0600, written atomically and never over another.

use std::{
    io,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A private file that others can read.
    #[error("{path} can be read by others (mode {mode:04o}); run: chmod 600 {path}")]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A private file is never replaced.
    #[error("{path} exists already and is not overwritten; move it away or choose another name")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// More bytes than any of our files has.
    #[error("{path} is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        limit: u64,
    },
}

/// Reads a file of at most 1 MiB.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    todo!()
}

/// Reads a private file, refusing one that its group or others can read.
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    todo!()
}

/// Writes or replaces a public file atomically (temporary file, sync, rename).
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    todo!()
}

/// Creates a private file with mode 0600 atomically; never replaces one.
pub fn create_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    todo!()
}

/// Writes or replaces a private file with mode 0600 atomically.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    todo!()
}
