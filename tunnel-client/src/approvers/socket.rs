//! The socket file: 0660 in a folder that others cannot enter, and never stolen from a live process.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

/// Why the socket could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process answers on it.
    #[error("{0} is in use: another tunnel-client runs here")]
    InUse(PathBuf),
    /// Something that is not a socket lies there.
    #[error("{0} exists and is not a socket; move it away or choose another `socket`")]
    NotASocket(PathBuf),
    /// Others could enter the folder and so reach the socket while it is being made, or the group could put another
    /// socket in its place and swallow a revocation.
    #[error(
        "the folder {0} is open to others or writable by its group; run `chmod 0750` on it or choose another `socket`"
    )]
    OpenFolder(PathBuf),
    /// The file system said no.
    #[error("cannot make the socket {path}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Binds `path` with mode 0660, making its folder with 0750 if it is missing; a dead socket is replaced.
pub fn bind(path: &Path) -> Result<UnixListener, SocketError> {
    let failed = |source| SocketError::Io { path: path.to_owned(), source };
    prepare_folder(path)?;
    remove_dead(path)?;
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE)).map_err(failed)?;
    Ok(listener)
}

fn prepare_folder(path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io { path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.exists() {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(failed)?;
    }
    let mode = fs::metadata(folder).map_err(failed)?.permissions().mode();
    if mode & TOO_OPEN != 0 { Err(SocketError::OpenFolder(folder.to_owned())) } else { Ok(()) }
}

fn remove_dead(path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => Err(SocketError::NotASocket(path.to_owned())),
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
            Err(SocketError::InUse(path.to_owned()))
        }
        Ok(_) => fs::remove_file(path).map_err(failed),
    }
}

/// Owner and group may connect.
const SOCKET_MODE: u32 = 0o660;
/// Owner and group may enter.
const FOLDER_MODE: u32 = 0o750;
/// Any right of others, and writing by the group.
const TOO_OPEN: u32 = 0o027;
