//! The section `audit`: how the audit log is kept.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tunnel_runtime::config::{ByteSize, FromSection, Section};

use super::{Cluster, span};
use crate::audit::Settings;

/// How the audit log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditConfig {
    /// Records older than this are removed once they are marked as exported.
    pub retention: Duration,
    /// A file that has grown to this is followed by a new one.
    pub segment_bytes: u64,
    /// Set aside for what must be recorded on a full disk.
    pub reserve_bytes: u64,
    /// Added to every sync, to see what a slow disk does; for measurements.
    pub sync_delay: Duration,
}

impl AuditConfig {
    /// Where the log lies in a state folder.
    pub fn folder(state: &Path) -> PathBuf {
        state.join("audit")
    }

    /// What the log of this cluster is told; it lies in the state folder.
    pub fn settings(&self, state: &Path, cluster: &Cluster) -> Settings {
        Settings {
            folder: Self::folder(state),
            cluster: cluster.name.to_string(),
            label: cluster.label.to_string(),
            retention: self.retention,
            segment_bytes: self.segment_bytes,
            reserve_bytes: self.reserve_bytes,
            sync_delay: self.sync_delay,
        }
    }
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            retention: RETENTION,
            segment_bytes: SEGMENT.get(),
            reserve_bytes: RESERVE.get(),
            sync_delay: Duration::ZERO,
        }
    }
}

impl FromSection for AuditConfig {
    fn from_section(section: &mut Section<'_>) -> Option<Self> {
        let retention = span(section, "retention", RETENTION);
        let segment = section.or("segmentBytes", SEGMENT);
        let (reserve, sync_delay) =
            (section.or("reserveBytes", RESERVE), span(section, "syncDelay", Duration::ZERO));
        let (segment_bytes, reserve_bytes) = (segment?.get(), reserve?.get());
        if segment_bytes < LEAST_SEGMENT {
            return section.reject("segmentBytes", "at least 64KiB, or each group of records begins a file");
        }
        Some(Self { retention: retention?, segment_bytes, reserve_bytes, sync_delay: sync_delay? })
    }
}

/// A year and a month for whoever reviews it.
const RETENTION: Duration = Duration::from_secs(400 * 24 * 3600);
/// Read in one go at a start, in well under a second.
const SEGMENT: ByteSize = ByteSize(16 << 20);
/// Some thousand revocations.
const RESERVE: ByteSize = ByteSize(1 << 20);
/// A hundred records.
const LEAST_SEGMENT: u64 = 64 << 10;
