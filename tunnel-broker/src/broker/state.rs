//! The state folder: 0700, with the QUIC reset key that must survive restarts.

use std::{
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use tunnel_certs::{
    crypto,
    file::{self, FileError},
};
use tunnel_transport::quic::ResetKey;

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be made.
    #[error("cannot create {0}")]
    Create(PathBuf, #[source] io::Error),
    /// The reset key cannot be read or written.
    #[error("the QUIC reset key")]
    ResetKey(#[source] FileError),
    /// The reset key's file holds something else.
    #[error("{0} is not a QUIC reset key (32 bytes); remove it and a new one is made")]
    Length(PathBuf),
}

/// Makes the folder if it is not there.
pub(super) fn prepare(folder: &Path) -> Result<(), StateError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| StateError::Create(folder.to_owned(), error))
}

/// The reset key; made and kept at the first start, so that a restarted broker ends old tunnels at once.
pub(super) fn reset_key(folder: &Path) -> Result<ResetKey, StateError> {
    let path = folder.join("quic-reset.key");
    match file::read_private(&path) {
        Ok(bytes) => {
            let key = <[u8; ResetKey::LENGTH]>::try_from(&bytes[..]).map_err(|_| StateError::Length(path))?;
            Ok(ResetKey::new(key))
        }
        Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let key = crypto::random();
            file::create_private(&path, &key).map_err(StateError::ResetKey)?;
            Ok(ResetKey::new(key))
        }
        Err(error) => Err(StateError::ResetKey(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reset_key_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("new");
        prepare(&state).unwrap();
        prepare(&state).unwrap();
        let first = reset_key(&state).unwrap();
        assert!(reset_key(&state).unwrap() == first);
    }

    #[test]
    fn a_damaged_reset_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        file::create_private(&folder.path().join("quic-reset.key"), &[1; 31]).unwrap();
        assert!(matches!(reset_key(folder.path()), Err(StateError::Length(_))));
    }
}
