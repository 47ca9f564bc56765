//! Whether the customer's files changed.

use std::{path::PathBuf, time::Duration};

use tokio::time::Instant;

use super::Sources;
use crate::mark::{Mark, mark};

/// The files as they were seen last.
#[derive(Debug, Default)]
pub(super) struct Marks {
    bundle: Vec<(PathBuf, Mark)>,
    bundle_again: Option<Instant>,
    leaf: Mark,
    leaf_again: Option<Instant>,
}

/// What is to be read.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// The bundle's file.
    pub(super) bundle: bool,
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
            bundle_again: None,
            leaf_again: None,
        }
    }

    /// Each change is told once, and once more whenever what came of it may pass.
    pub(super) fn look(&mut self, sources: &Sources) -> Changed {
        let now = Self::of(sources);
        let bundle = now.bundle != self.bundle || is_due(&mut self.bundle_again);
        let leaf = now.leaf != self.leaf || is_due(&mut self.leaf_again);
        (self.bundle, self.leaf) = (now.bundle, now.leaf);
        Changed { bundle: bundle && sources.files.is_some(), leaf: leaf && self.leaf.is_some() }
    }

    /// The bundle's file is to be read again, though it may not change.
    pub(super) fn retry_bundle(&mut self) {
        self.bundle_again = Some(Instant::now() + AGAIN);
    }

    /// The mesh certificate's file is to be read again, though it may not change.
    pub(super) fn retry_leaf(&mut self) {
        self.leaf_again = Some(Instant::now() + AGAIN);
    }
}

fn is_due(again: &mut Option<Instant>) -> bool {
    again.take_if(|at| *at <= Instant::now()).is_some()
}

/// Soon enough for a disk that has room again, and seldom enough for the audit log.
const AGAIN: Duration = Duration::from_secs(5);
