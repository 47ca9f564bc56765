//! The disk as rooms of operations use it; a test's own one fails or hangs as it is told.

use std::{fmt, fs, io, path::Path};

use tunnel_certs::file::{self, FileError};

/// Files of ours alone. Each call may take as long as the disk does: never made on a thread that serves, nor under a
/// lock that somebody takes who only looks.
pub(super) trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Writes or replaces a file at once, and returns when it is safe.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError>;

    /// Deletes a file; one that is not there is no error.
    fn remove(&self, path: &Path) -> Result<(), FileError>;
}

/// The machine's.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnDisk;

impl Disk for OwnDisk {
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
        file::write_private(path, bytes)
    }

    fn remove(&self, path: &Path) -> Result<(), FileError> {
        match fs::remove_file(path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(FileError::Io { action: "delete", path: path.to_owned(), source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
pub(super) mod sick {
    //! A disk that hangs, refuses, or deletes nothing.

    use std::sync::Arc;

    use parking_lot::{Condvar, Mutex};
    use tokio::{task::yield_now, time::timeout};

    use super::*;

    #[derive(Debug, Clone, Default)]
    pub(in crate::operations) struct SickDisk(Arc<Sick>);

    #[derive(Debug, Default)]
    struct Sick {
        faults: Mutex<Faults>,
        changed: Condvar,
    }

    #[derive(Debug, Default)]
    struct Faults {
        hangs: bool,
        keeps: bool,
        refuses: Option<&'static str>,
        waiting: usize,
    }

    impl SickDisk {
        /// Writes wait until it is told to go on.
        pub(in crate::operations) fn hang(&self, hangs: bool) {
            self.0.faults.lock().hangs = hangs;
            self.0.changed.notify_all();
        }

        /// Nothing can be deleted.
        pub(in crate::operations) fn keep(&self, keeps: bool) {
            self.0.faults.lock().keeps = keeps;
        }

        /// No file of this extension is written.
        pub(in crate::operations) fn refuse(&self, extension: Option<&'static str>) {
            self.0.faults.lock().refuses = extension;
        }

        /// Until somebody waits for a write.
        pub(in crate::operations) async fn hung(&self) {
            let hung = async {
                while self.0.faults.lock().waiting == 0 {
                    yield_now().await;
                }
            };
            timeout(std::time::Duration::from_secs(60), hung).await.unwrap();
        }
    }

    impl Disk for SickDisk {
        fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
            let mut faults = self.0.faults.lock();
            faults.waiting += 1;
            self.0.changed.wait_while(&mut faults, |faults| faults.hangs);
            faults.waiting -= 1;
            if faults.refuses.is_some_and(|refused| path.extension().is_some_and(|found| found == refused)) {
                let source = io::ErrorKind::StorageFull.into();
                return Err(FileError::Io { action: "write", path: path.to_owned(), source });
            }
            OwnDisk.write(path, bytes)
        }

        fn remove(&self, path: &Path) -> Result<(), FileError> {
            let source = io::ErrorKind::ReadOnlyFilesystem.into();
            match self.0.faults.lock().keeps {
                true => Err(FileError::Io { action: "delete", path: path.to_owned(), source }),
                false => OwnDisk.remove(path),
            }
        }
    }
}
