//! Which releases were brought here: the highest sequence of each component, in a file that no backup of the store
//! brings back.
//!
//! Invariant: a sequence in the file only rises, and it is raised before the first step that brings the release.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Semaphore,
    task::{JoinError, spawn_blocking},
    time::timeout,
};
use tunnel_certs::{
    file::{self, FileError},
    statement::{
        envelope::EnvelopeError,
        release::{ImageError, OpenError, Opened},
    },
};
use tunnel_protos::{ComponentName, operations::v1::PlannedRelease, text::escape};
use tunnel_runtime::chain;

use super::{
    PlanRefusal,
    disk::{Disk, OwnDisk},
};

/// The file and what it says; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Releases(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    disk: Box<dyn Disk>,
    /// Locked for changes in memory alone: who plans never waits for the disk.
    known: Mutex<Known>,
    /// Of those who write, one at a time.
    turn: Arc<Semaphore>,
}

/// What was brought to each component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Known {
    components: BTreeMap<String, Brought>,
}

/// What was brought to one component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Brought {
    /// The first one seen: sequences of another say nothing.
    product: String,
    highest: u64,
    /// Sequences by the releases' names, to know what runs.
    sequences: BTreeMap<String, u64>,
}

/// Why the file cannot be gone on with; without it an old release could be brought.
#[derive(Debug, thiserror::Error)]
pub enum ReleasesError {
    /// It cannot be read or written.
    #[error("the releases that were seen")]
    File(#[source] FileError),
    /// Nobody knows whether it was written.
    #[error("the releases that were seen were not written")]
    Lost(#[source] JoinError),
    /// The disk hangs; it may be written yet.
    #[error("the releases that were seen were not written in time")]
    Late,
    /// It holds something else.
    #[error("{path} does not list releases; restore it from a backup of this folder")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Releases {
    /// Reads the file in `folder`; none means that nothing was brought yet.
    pub(super) fn open(folder: &Path) -> Result<Self, ReleasesError> {
        Self::on(OwnDisk, folder)
    }

    fn on(disk: impl Disk, folder: &Path) -> Result<Self, ReleasesError> {
        let path = folder.join(FILE);
        let known = match file::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| ReleasesError::Malformed { path: path.clone(), source })?,
            Err(error) if error.is_missing() => Known::default(),
            Err(error) => return Err(ReleasesError::File(error)),
        };
        let (disk, known, turn) = (Box::new(disk), Mutex::new(known), Arc::new(Semaphore::new(1)));
        Ok(Self(Arc::new(Shared { path, disk, known, turn })))
    }

    /// What was brought so far.
    pub(super) fn known(&self) -> Known {
        self.0.known.lock().clone()
    }

    /// These are about to be brought: on disk before this returns.
    pub(super) async fn raise(&self, releases: &[PlannedRelease]) -> Result<(), ReleasesError> {
        let turn = timeout(PATIENCE, Arc::clone(&self.0.turn).acquire_owned());
        let turn = turn.await.ok().and_then(Result::ok).ok_or(ReleasesError::Late)?;
        let (own, releases) = (self.clone(), releases.to_vec());
        let written = spawn_blocking(move || {
            let _turn = turn;
            own.write(&releases)
        });
        let written = timeout(PATIENCE, written).await.map_err(|_| ReleasesError::Late)?;
        written.unwrap_or_else(|panic| Err(ReleasesError::Lost(panic)))
    }

    fn write(&self, releases: &[PlannedRelease]) -> Result<(), ReleasesError> {
        let known = self.known();
        let mut raised = known.clone();
        releases.iter().for_each(|release| raised.raise(release));
        if raised != known {
            let bytes = serde_json::to_vec_pretty(&raised).expect("names and numbers are JSON");
            self.0.disk.write(&self.0.path, &bytes).map_err(ReleasesError::File)?;
            *self.0.known.lock() = raised;
        }
        Ok(())
    }
}

/// What is asked for one component, beside its manifest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) component: &'a ComponentName,
    /// What runs now, by name.
    pub(super) running: &'a str,
    pub(super) allow_downgrade: bool,
}

impl Known {
    fn raise(&mut self, release: &PlannedRelease) {
        let brought = self.components.entry(release.component.clone()).or_default();
        if brought.product.is_empty() {
            brought.product.clone_from(&release.product);
        }
        brought.highest = brought.highest.max(release.release_seq);
        brought.sequences.insert(release.name.clone(), release.release_seq);
        while brought.sequences.len() > MOST_NAMES {
            let lowest = brought.sequences.iter().min_by_key(|(_, sequence)| **sequence);
            let Some(name) = lowest.map(|(name, _)| name.clone()) else { return };
            brought.sequences.remove(&name);
        }
    }

    /// Whether a release may be planned, as it would stand in the plan.
    pub(super) fn judge(
        &self,
        wanted: Wanted<'_>,
        opened: Result<Opened, OpenError>,
    ) -> Result<PlannedRelease, PlanRefusal> {
        let component = wanted.component;
        let opened = opened.map_err(|error| refused(component, &error))?;
        let release = &opened.release;
        if release.component != *component {
            let why = format!("Release {} is one of {}, not of {component}", release.name, release.component);
            return Err(PlanRefusal::new(RULE, why));
        }
        let brought = self.components.get(component.as_str()).cloned().unwrap_or_default();
        if !brought.product.is_empty() && brought.product != release.product.as_str() {
            let why = |of: &str| {
                let (name, product) = (&release.name, &release.product);
                format!("Release {name} is one of the product {product}, but {component} is of {of}")
            };
            return Err(PlanRefusal::found(RULE, why(&brought.product), why("another")));
        }
        brought.takes(wanted, release.min_source_seq)?;
        let downgrade = release.seq <= brought.highest;
        if downgrade && !wanted.allow_downgrade {
            let why = |highest: &str| {
                format!(
                    "Release {} of {component} has the sequence {}, which is not above {highest} seen here; a \
                     downgrade must be asked for, and a person decides about it",
                    release.name, release.seq
                )
            };
            let highest = format!("{}, the highest", brought.highest);
            return Err(PlanRefusal::found(OLD, why(&highest), why("the highest")));
        }
        Ok(planned(&opened, downgrade))
    }
}

impl Brought {
    /// Whether what runs now may be left for a release that takes sources from `least` on.
    fn takes(&self, wanted: Wanted<'_>, least: u64) -> Result<(), PlanRefusal> {
        let running = self.sequences.get(wanted.running);
        if least == 0 || running.is_some_and(|sequence| *sequence >= least) {
            return Ok(());
        }
        let is = running.map_or("of an unknown one".to_owned(), |sequence| format!("of sequence {sequence}"));
        let why = |is: &str| {
            let running = escape(wanted.running, SHOWN);
            format!(
                "The release can be brought to {} from sequence {least} on, and {running} is {is}",
                wanted.component
            )
        };
        Err(PlanRefusal::found(SOURCE, why(&is), why("not known to be")))
    }
}

fn refused(component: &ComponentName, error: &OpenError) -> PlanRefusal {
    let why = match error {
        OpenError::Envelope(EnvelopeError::Count(0)) => {
            format!("The release for {component} is not signed")
        }
        OpenError::Envelope(EnvelopeError::Unproven { got, wanted }) => format!(
            "The release for {component} is signed by {got} of the vendor's release keys, and {wanted} are needed"
        ),
        OpenError::Image { number, source: ImageError::Repository } => format!(
            "The release for {component} names its image {number} by a tag or by no repository at all, and images go by \
             digest alone"
        ),
        OpenError::Image { number, source: ImageError::Digest } => format!(
            "The release for {component} names its image {number} without a digest of 32 bytes, and images go by digest \
             alone"
        ),
        error => format!("The release for {component} is refused: {}", chain(error)),
    };
    PlanRefusal::new(RULE, why)
}

fn planned(opened: &Opened, downgrade: bool) -> PlannedRelease {
    let release = &opened.release;
    PlannedRelease {
        component: release.component.to_string(),
        name: release.name.to_string(),
        release_seq: release.seq,
        images: release.images.iter().map(tunnel_certs::statement::release::Image::reference).collect(),
        signed_by: opened.signed_by.iter().map(|key| HEXLOWER.encode(&key.keyid()[..8])).collect(),
        downgrade,
        product: release.product.to_string(),
    }
}

const RULE: &str = "release";
const OLD: &str = "release sequence";
const SOURCE: &str = "source release";
const FILE: &str = "releases.json";
/// For the disk; the runner tries again.
const PATIENCE: Duration = Duration::from_secs(30);
/// Enough to know what runs; what is older is of an unknown sequence.
const MOST_NAMES: usize = 64;
/// Of an engine's word in a sentence.
const SHOWN: usize = 64;

#[cfg(test)]
mod tests;
