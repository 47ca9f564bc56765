//! Whether the customer's files changed.

use std::path::{Path, PathBuf};

use tracing::warn;
use tunnel_certs::file;
use tunnel_runtime::chain;

use super::Sources;
use crate::mark::{Mark, mark};

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
