//! Files of keys and certificates: private ones are 0600, written atomically and never over another. One that root owns
//! may be 0640: so orchestrators hand secrets to a process that is not root.

use std::{
    fs::{File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::process::{Uid, geteuid};
use tempfile::{Builder, NamedTempFile};
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
    let (bytes, _) = read_with_access(path)?;
    Ok(bytes)
}

/// Reads a private file, refusing one that others can read, or its group unless root lent it to our group.
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let (bytes, access) = read_with_access(path)?;
    let bytes = Zeroizing::new(bytes);
    if access.is_private_to(geteuid()) {
        return Ok(bytes);
    }
    Err(FileError::TooOpen { path: path.into(), mode: access.mode })
}

/// Writes or replaces a public file (0644) atomically: temporary file, sync, rename.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    replace(path, bytes, 0o644)
}

/// Creates a private file (0600) atomically; never replaces one.
pub fn create_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let temporary = temporary(path, bytes, 0o600)?;
    temporary.persist_noclobber(path).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => FileError::Exists { path: path.into() },
        _ => FileError::write(path, error.error),
    })?;
    sync_folder(path)
}

/// Writes or replaces a private file (0600) atomically; for files that a program renews, never for keys.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    replace(path, bytes, 0o600)
}

/// Who may read a file.
struct Access {
    mode: u32,
    owner: Uid,
}

impl Access {
    /// A user's own file is for that user alone. What root owns, a user can read only by its group, whose members are
    /// root's choice.
    fn is_private_to(&self, user: Uid) -> bool {
        let lent = self.owner.is_root() && !user.is_root();
        self.mode & if lent { 0o037 } else { 0o077 } == 0
    }
}

impl FileError {
    fn read(path: &Path, source: io::Error) -> Self {
        Self::Io { action: "read", path: path.into(), source }
    }

    fn write(path: &Path, source: io::Error) -> Self {
        Self::Io { action: "write", path: path.into(), source }
    }

    /// Whether the file is simply not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Content and rights of the same open file: a check by path could be about another one.
fn read_with_access(path: &Path) -> Result<(Vec<u8>, Access), FileError> {
    let error = |source| FileError::read(path, source);
    let file = File::open(path).map_err(error)?;
    let metadata = file.metadata().map_err(error)?;
    let access =
        Access { mode: metadata.permissions().mode() & 0o7777, owner: Uid::from_raw(metadata.uid()) };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(error)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(FileError::TooLarge { path: path.into(), limit: MAX_BYTES });
    }
    Ok((bytes, access))
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let temporary = temporary(path, bytes, mode)?;
    temporary.persist(path).map_err(|error| FileError::write(path, error.error))?;
    sync_folder(path)
}

/// A synced file beside `path`; it disappears unless persisted.
fn temporary(path: &Path, bytes: &[u8], mode: u32) -> Result<NamedTempFile, FileError> {
    let error = |source| FileError::write(path, source);
    let permissions = Permissions::from_mode(mode);
    let mut file = Builder::new().permissions(permissions).tempfile_in(folder(path)).map_err(error)?;
    file.write_all(bytes).map_err(error)?;
    file.as_file().sync_all().map_err(error)?;
    Ok(file)
}

/// A rename is durable only once its folder is.
fn sync_folder(path: &Path) -> Result<(), FileError> {
    let synced = File::open(folder(path)).and_then(|folder| folder.sync_all());
    synced.map_err(|source| FileError::write(path, source))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// More than any key, certificate or envelope has; bounds what a wrong path can cost.
const MAX_BYTES: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn private_files_are_0600_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        create_private(&path, b"secret").unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(matches!(create_private(&path, b"other"), Err(FileError::Exists { .. })));
        assert_eq!(read_private(&path).unwrap().as_slice(), b"secret");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays behind");
    }

    #[test]
    fn refuses_a_private_file_that_others_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        create_private(&path, b"secret").unwrap();
        for bits in [0o640, 0o604, 0o644, 0o660, 0o620] {
            fs::set_permissions(&path, Permissions::from_mode(bits)).unwrap();
            let error = read_private(&path).unwrap_err();
            assert!(matches!(error, FileError::TooOpen { mode, .. } if mode == bits));
            assert!(error.to_string().contains("chmod 600"), "says what to do: {error}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert!(read_private(&path).is_ok());
    }

    #[test]
    fn root_may_lend_a_file_to_a_group_and_nobody_else_may() {
        let (root, user) = (Uid::ROOT, Uid::from_raw(65532));
        let private = |owner, mode, to| Access { mode, owner }.is_private_to(to);
        for mode in [0o400, 0o440, 0o640] {
            assert!(private(root, mode, user), "{mode:o}");
        }
        for mode in [0o444, 0o604, 0o660, 0o620, 0o650] {
            assert!(!private(root, mode, user), "{mode:o}");
        }
        assert!(!private(user, 0o640, user) && !private(root, 0o640, root) && !private(user, 0o440, root));
    }

    #[test]
    fn replaces_public_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
        assert_eq!(mode(&path), 0o644);
        write_private(&path, b"three").unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn bounds_what_it_reads_and_tells_a_missing_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        assert!(read(&path).unwrap_err().is_missing());
        write(&path, &vec![0; 1024 * 1024 + 1]).unwrap();
        assert!(matches!(read(&path), Err(FileError::TooLarge { .. })));
    }
}
