//! Whether the customer's files changed, by size and time; a link counts as what it leads to.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use tracing::warn;
use tunnel_certs::file;
use tunnel_runtime::chain;

use super::Sources;

/// A file at one moment; none if it is not there.
type Mark = Option<(u64, Option<SystemTime>)>;

/// The files as they were seen last.
#[derive(Debug, Default)]
pub(super) struct Marks {
    bundle: Vec<(PathBuf, Mark)>,
    leaf: Mark,
}

/// What changed since.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// The bundle's file, read.
    pub(super) bundle: Option<Vec<u8>>,
    /// The mesh certificate's file.
    pub(super) leaf: bool,
}

impl Marks {
    pub(super) fn of(sources: &Sources) -> Self {
        let files = sources.files.iter();
        let paths = files.flat_map(|files| std::iter::once(&files.bundle).chain(&files.vendor_keys));
        Self {
            bundle: paths.map(|path| (path.clone(), mark(path))).collect(),
            leaf: sources.mesh_certificate.as_deref().and_then(mark),
        }
    }

    /// Each change is told once.
    pub(super) fn look(&mut self, sources: &Sources) -> Changed {
        let now = Self::of(sources);
        let (bundle, leaf) = (now.bundle != self.bundle, now.leaf != self.leaf && now.leaf.is_some());
        *self = now;
        Changed {
            bundle: sources.files.as_ref().filter(|_| bundle).and_then(|files| read(&files.bundle)),
            leaf,
        }
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    file::read(path).map_err(|error| warn!(error = %chain(&error), "Trust bundle's file not read")).ok()
}

/// A pipe would hold its reader for ever.
fn mark(path: &Path) -> Mark {
    let found = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file);
    found.map(|metadata| (metadata.len(), metadata.modified().ok()))
}
