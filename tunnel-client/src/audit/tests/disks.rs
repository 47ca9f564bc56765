//! Disks that count, stall, or are full; and a real one that is full.

use std::{
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use tunnel_runtime::eventually::eventually;

use super::world::{World, call, called, pause, read};
use crate::audit::{
    Outcome, Unwritable,
    disk::{Disk, SystemDisk},
};

/// Counts syncs.
#[derive(Debug, Clone, Default)]
pub(super) struct Counting(Arc<AtomicUsize>);

pub(super) fn counting() -> (Counting, Counting) {
    let disk = Counting::default();
    (disk.clone(), disk)
}

impl Counting {
    pub(super) fn syncs(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Disk for Counting {
    fn append(&mut self, file: &File, bytes: &[u8]) -> io::Result<()> {
        SystemDisk.append(file, bytes)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        SystemDisk.sync(file)
    }
}

/// Hangs in a sync while it is told to.
#[derive(Debug, Clone, Default)]
pub(super) struct Stalling(Arc<(Mutex<(bool, bool)>, Condvar)>);

pub(super) fn stalling() -> (Stalling, Stalling) {
    let disk = Stalling::default();
    (disk.clone(), disk)
}

impl Stalling {
    pub(super) fn stall(&self) {
        self.0.0.lock().0 = true;
    }

    pub(super) fn go_on(&self) {
        self.0.0.lock().0 = false;
        self.0.1.notify_all();
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.0.0.lock().1
    }
}

impl Disk for Stalling {
    fn append(&mut self, file: &File, bytes: &[u8]) -> io::Result<()> {
        SystemDisk.append(file, bytes)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        let mut state = self.0.0.lock();
        while state.0 {
            state.1 = true;
            self.0.1.wait(&mut state);
        }
        state.1 = false;
        drop(state);
        SystemDisk.sync(file)
    }
}

/// Takes so many bytes, then says that it is full, after half of a write; or fails to sync.
#[derive(Debug, Clone, Default)]
struct Small {
    left: Arc<AtomicU64>,
    sync_fails: Arc<AtomicBool>,
}

impl Disk for Small {
    fn append(&mut self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let left = self.left.load(Ordering::Relaxed);
        let taken = usize::try_from(left).unwrap().min(bytes.len());
        SystemDisk.append(file, &bytes[..taken])?;
        self.left.fetch_sub(taken as u64, Ordering::Relaxed);
        if taken < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        if self.sync_fails.load(Ordering::Relaxed) {
            return Err(io::Error::other("sick"));
        }
        SystemDisk.sync(file)
    }
}

async fn filled(world: &World, disk: &Small) -> (crate::audit::Audit, crate::audit::Log) {
    disk.left.store(2_000, Ordering::Relaxed);
    let (audit, log) = world.open_on(disk.clone());
    let mut written = 0;
    while let Ok(entry) = audit.intent(call("Set")).await {
        audit.outcome(entry, Outcome::Called(called()));
        written += 1;
    }
    assert!(written > 2, "{written}");
    (audit, log)
}

#[tokio::test]
async fn a_full_disk_refuses_at_once_and_recovers_by_itself() {
    let world = World::new();
    let disk = Small::default();
    let (audit, log) = filled(&world, &disk).await;
    let at_once = tokio::time::timeout(Duration::from_millis(50), audit.intent(call("Set"))).await;
    assert_eq!(at_once.expect("at once").unwrap_err(), Unwritable);
    assert!(!audit.status().error.is_empty());
    audit.note(read("Get"));
    disk.left.store(1 << 20, Ordering::Relaxed);
    eventually("writable", Duration::from_secs(5), async || audit.status().error.is_empty()).await;
    audit.outcome(audit.intent(call("Set")).await.unwrap(), Outcome::Called(called()));
    log.close().await;
    world.verify().unwrap();
    let kinds = world.kinds();
    assert!(kinds.contains(&"unwritable".to_owned()) && kinds.contains(&"read".to_owned()), "{kinds:?}");
    let count = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!(count("call"), count("callEnded"), "outcomes that came meanwhile are kept");
}

#[tokio::test]
async fn a_record_kept_through_the_trouble_is_written_once() {
    let world = World::new();
    let disk = Small::default();
    let (audit, log) = filled(&world, &disk).await;
    assert_eq!(audit.record(pause()).await, Err(Unwritable), "this reserve gives no room either");
    disk.left.store(1 << 20, Ordering::Relaxed);
    eventually("writable", Duration::from_secs(5), async || audit.status().error.is_empty()).await;
    log.close().await;
    assert_eq!(world.kinds().iter().filter(|kind| *kind == "pause").count(), 1);
    world.verify().unwrap();
}

#[tokio::test]
async fn a_failed_sync_acknowledges_nothing_and_loses_nothing() {
    let world = World::new();
    let disk = Small { left: Arc::new(AtomicU64::new(1 << 20)), ..Small::default() };
    let (audit, log) = world.open_on(disk.clone());
    let entry = audit.intent(call("Set")).await.unwrap();
    disk.sync_fails.store(true, Ordering::Relaxed);
    audit.outcome(entry, Outcome::Called(called()));
    assert_eq!(audit.intent(call("Delete")).await.unwrap_err(), Unwritable);
    disk.sync_fails.store(false, Ordering::Relaxed);
    eventually("writable", Duration::from_secs(5), async || audit.status().error.is_empty()).await;
    log.close().await;
    let mut kinds = world.kinds();
    kinds.sort();
    assert_eq!(kinds, ["call", "callEnded", "origin", "stopped", "unwritable"]);
    world.verify().unwrap();
}

/// A disk of its own that is really full; needs the right to mount.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount(bytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(dir.path());
        let mounted = mount.stderr(std::process::Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then_some(Self(dir))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn the_reserve_of_a_really_full_disk_still_takes_a_pause() {
    let Some(tmpfs) = Tmpfs::mount(1 << 20) else { return };
    let mut world = World::new();
    world.settings.folder = tmpfs.0.path().join("audit");
    let (audit, log) = world.open();
    audit.record(pause()).await.unwrap();
    let ballast = tmpfs.0.path().join("ballast");
    let filled = std::fs::write(&ballast, vec![1; 1 << 20]);
    assert!(filled.is_err(), "full");
    eventually("unwritable", Duration::from_secs(5), async || audit.intent(call("Set")).await.is_err()).await;
    for _ in 0..200 {
        audit.record(pause()).await.expect("from the reserve");
        assert!(audit.intent(call("Set")).await.is_err(), "the reserve is for closing only");
    }
    world.verify().unwrap();
    std::fs::remove_file(&ballast).unwrap();
    eventually("writable", Duration::from_secs(5), async || audit.status().error.is_empty()).await;
    audit.outcome(audit.intent(call("Set")).await.unwrap(), Outcome::Called(called()));
    log.close().await;
    world.verify().unwrap();
    assert_eq!(world.kinds().iter().filter(|kind| *kind == "pause").count(), 201);
}
