//! The few things a log asks of a disk; tests put a disk that is slow, full or broken in its place.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// What the writer needs.
pub trait Disk: Send + Sync + 'static {
    /// Appends bytes to a file that was opened for it; may fail halfway.
    fn append(&mut self, file: &File, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything appended will survive a loss of power.
    fn sync(&mut self, file: &File) -> io::Result<()>;
}

/// The system's.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn append(&mut self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        // What goes to a file without a name is gone with the process.
        if file.metadata()?.nlink() == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the file was removed"));
        }
        file.sync_data()
    }
}

/// Opens a private file for appending, making it if `new`.
pub(super) fn open_append(path: &Path, new: bool) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(new).mode(0o600).open(path)
}

/// Makes a folder's entries durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A few bytes at the start of a private file, written over the old ones.
pub(super) fn overwrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.write_all_at(bytes, 0)
}

/// Space that is set aside, and given up for what must be recorded on a full disk.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: bool,
}

impl Reserve {
    pub(super) fn new(path: PathBuf, bytes: u64) -> Self {
        Self { path, bytes, held: false }
    }

    /// Sets the space aside, if it is not; fails on a full disk.
    pub(super) fn hold(&mut self) -> io::Result<()> {
        if self.held {
            return Ok(());
        }
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
        if let Err(error) = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, self.bytes) {
            // A part of it would take the very space that is missing.
            self.release();
            return Err(error.into());
        }
        self.held = true;
        Ok(())
    }

    /// Whether there is space beyond the reserve: room in the last block alone would make the log flap.
    pub(super) fn probe(&self) -> io::Result<()> {
        let path = self.path.with_extension("probe");
        let mut probe = Self::new(path, PROBE);
        let room = probe.hold();
        probe.release();
        room
    }

    /// Gives the space up; it is needed now.
    pub(super) fn release(&mut self) {
        self.held = false;
        // What cannot be removed frees nothing, and the write that follows says so.
        let _ = fs::remove_file(&self.path);
    }
}

/// Some hundred records.
const PROBE: u64 = 256 * 1024;
