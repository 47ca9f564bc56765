//! A folder with a log in it, and the events that tests put there.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;
use tunnel_protos::{Digest, UnixMillis};

use crate::audit::{
    Audit, By, Call, Called, Event, Log, Millis, Move, Settings,
    disk::{Disk, SystemDisk},
    line::Line,
    read::Lines,
    segment,
    verify::{self, VerifyError, Whole},
};

pub(super) struct World {
    _dir: TempDir,
    pub(super) settings: Settings,
}

impl World {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path().join("audit"));
        Self { _dir: dir, settings }
    }

    pub(super) fn open(&self) -> (Audit, Log) {
        self.open_on(SystemDisk)
    }

    pub(super) fn open_on(&self, disk: impl Disk) -> (Audit, Log) {
        Audit::open_on(self.settings.clone(), disk).unwrap()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.settings.folder
    }

    pub(super) fn segments(&self) -> Vec<PathBuf> {
        segment::list(self.folder()).unwrap().into_iter().map(|segment| segment.path).collect()
    }

    pub(super) fn verify(&self) -> Result<Whole, VerifyError> {
        verify::verify(self.folder())
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        let lines = Lines::open(self.folder()).unwrap();
        lines.filter_map(|line| Line::parse(&line.unwrap().bytes)).collect()
    }

    pub(super) fn kinds(&self) -> Vec<String> {
        self.lines().into_iter().map(|line| line.kind).collect()
    }

    /// A log of a few records of several kinds, closed in order.
    pub(super) async fn written() -> Self {
        let world = Self::new();
        let (audit, log) = world.open();
        for method in ["Set", "Delete"] {
            let entry = audit.intent(call(method)).await.unwrap();
            audit.outcome(entry, crate::audit::Outcome::Called(called()));
        }
        audit.record(pause()).await.unwrap();
        let entry = audit.intent(moved()).await.unwrap();
        audit.outcome(entry, crate::audit::Outcome::Moved);
        log.close().await;
        world
    }

    /// A copy of the log in another folder.
    pub(super) fn copy(&self) -> Self {
        let copy = Self::new();
        std::fs::create_dir(copy.folder()).unwrap();
        for entry in std::fs::read_dir(self.folder()).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, copy.folder().join(path.file_name().unwrap())).unwrap();
        }
        copy
    }
}

pub(super) fn settings(folder: PathBuf) -> Settings {
    Settings {
        folder,
        cluster: "acme/prod".into(),
        label: "aaaaaaaaaa".into(),
        retention: Duration::from_secs(400 * 24 * 3600),
        segment_bytes: 16 * 1024 * 1024,
        reserve_bytes: 256 * 1024,
        sync_delay: Duration::ZERO,
    }
}

pub(super) fn call(method: &str) -> Event {
    Event::Call(engine_call(method))
}

pub(super) fn read(method: &str) -> Event {
    Event::Read { call: engine_call(method), called: called() }
}

pub(super) fn called() -> Called {
    Called { started: Millis(UnixMillis(1_000)), status: 0, bytes_in: 3, bytes_out: 5 }
}

pub(super) fn pause() -> Event {
    Event::Pause { pause: "p".into(), by: by() }
}

pub(super) fn moved() -> Event {
    Event::Move(Box::new(Move {
        request: GRANT.parse().unwrap(),
        subject: "access",
        operator: "ann".parse().unwrap(),
        state: "approved",
        rule: String::new(),
        why: String::new(),
        digest: Digest::new([7; 32]),
        words: "one two".into(),
        asked: None,
        granted: Vec::new(),
        by: None,
        late: false,
    }))
}

/// A step at several targets, as a task has.
pub(super) fn step() -> Event {
    Event::Step {
        request: GRANT.parse().unwrap(),
        step: 1,
        title: "Compact".into(),
        target: "default, replica-2".into(),
        method: "e.Engine/Compact".into(),
        back: false,
        late: false,
    }
}

fn by() -> By {
    By { by: "alice".into(), note: "enough".into(), approval: Vec::new() }
}

fn engine_call(method: &str) -> Call {
    Call {
        grant: GRANT.parse().unwrap(),
        target: "default".parse().unwrap(),
        method: Arc::new(format!("e.Engine/{method}").parse().unwrap()),
    }
}

pub(super) const GRANT: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
