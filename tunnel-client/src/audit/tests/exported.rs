//! Age alone removes nothing: what was not exported stays.

use std::{fs, path::PathBuf, time::Duration};

use tunnel_runtime::eventually::eventually;

use super::world::{World, moved, pause};
use crate::audit::{
    Audit, Log,
    mark::{self, MarkError},
    retention, segment,
};
use crate::clock;

/// A closed log of many files, all of them too old from now on.
pub(super) async fn old() -> World {
    let mut world = World::new();
    world.settings.segment_bytes = 1_000;
    let (audit, log) = world.open();
    for _ in 0..30 {
        audit.record(moved()).await.unwrap();
    }
    log.close().await;
    let end = clock::wall();
    eventually("a later millisecond", Duration::from_secs(1), async || clock::wall() > end).await;
    world.settings.retention = Duration::ZERO;
    world
}

impl World {
    /// As `audit export` prints it: whole lines, one after the other.
    fn export(&self) -> Vec<u8> {
        self.segments().iter().flat_map(|file| fs::read(file).unwrap()).collect()
    }

    /// The first `records` of an export.
    fn export_of(&self, records: usize) -> Vec<u8> {
        let all = self.export();
        all.split_inclusive(|byte| *byte == b'\n').take(records).flatten().copied().collect()
    }

    /// A start, up to its first look at what is too old.
    async fn looked(&self) -> (Audit, Log) {
        let (audit, log) = self.open();
        // Only the last file, which no removal takes away from under a reader.
        let last = || fs::read_to_string(self.segments().pop().unwrap()).unwrap();
        let looked = || audit.status().held > 0 || last().contains("\"kind\":\"retention\"");
        eventually("looked at", Duration::from_secs(10), async || looked()).await;
        (audit, log)
    }
}

#[tokio::test]
async fn what_was_not_exported_stays_however_old_and_is_told() {
    let world = old().await;
    let before = world.segments();
    let (audit, log) = world.looked().await;
    assert_eq!(audit.status().held, before.len() as u64 - 1);
    log.close().await;
    assert!(world.segments().starts_with(&before));
    assert_eq!(world.verify().unwrap().first, 1);
}

#[tokio::test]
async fn only_files_whose_every_record_is_marked_go() {
    let world = old().await;
    let second = segment::list(world.folder()).unwrap()[2].first;
    // All of the second file but its last record.
    let marked = mark::mark(world.folder(), &*world.export_of(second as usize - 2)).unwrap();
    assert_eq!(marked.seq, second - 2);
    let files = world.segments();
    let (audit, log) = world.looked().await;
    eventually("removed", Duration::from_secs(10), async || !files[0].exists()).await;
    assert_eq!(audit.status().held, files.len() as u64 - 2);
    log.close().await;
    assert!(files[1..].iter().all(|file| file.exists()));
    let whole = world.verify().unwrap();
    assert_eq!(whole.first, segment::list(world.folder()).unwrap()[0].first);
    let said: Vec<_> = world.lines().into_iter().filter(|line| line.kind == "retention").collect();
    assert_eq!((said.len(), said[0].number("exported")), (1, Some(marked.seq)));
    // The same mark counts at the next start, and the next export goes on behind it.
    let (_audit, log) = world.open();
    log.close().await;
    assert_eq!(mark::read(world.folder()).unwrap(), Some(marked));
    let rest = world.export();
    assert_eq!(mark::mark(world.folder(), &*rest).unwrap().seq, world.verify().unwrap().last);
}

#[tokio::test]
async fn a_kill_between_the_record_and_any_removal_leaves_a_whole_log() {
    let world = old().await;
    mark::mark(world.folder(), &*world.export()).unwrap();
    let before = world.copy();
    let (_audit, log) = world.looked().await;
    log.close().await;
    let is_gone = |file: &&PathBuf| !world.folder().join(file.file_name().unwrap()).exists();
    let gone = before.segments().iter().filter(is_gone).count();
    assert!(gone > 3, "{gone} removed");
    for removed in 0..=gone {
        let killed = world.copy();
        for file in &before.segments()[removed..] {
            let back = killed.folder().join(file.file_name().unwrap());
            if !back.exists() {
                fs::copy(file, back).unwrap();
            }
        }
        killed.verify().unwrap();
        let (audit, log) = killed.open();
        assert_eq!(audit.start().damage, None);
        log.close().await;
        killed.verify().unwrap();
    }
}

#[tokio::test]
async fn a_mark_that_is_cut_off_at_any_byte_lets_nothing_go() {
    let world = old().await;
    mark::mark(world.folder(), &*world.export()).unwrap();
    let path = world.folder().join("exported");
    let whole = fs::read(&path).unwrap();
    for end in 0..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        let aged = retention::aged(world.folder(), crate::clock::wall()).unwrap();
        assert!(aged.expired.is_none() && aged.held > 3 && !aged.mark_error.is_empty(), "at byte {end}");
    }
    let last = mark::mark(world.folder(), &*world.export()).unwrap().seq;
    assert_eq!((last, fs::read(&path).unwrap()), (world.verify().unwrap().last, whole));
}

#[tokio::test]
async fn a_mark_of_another_log_lets_nothing_go() {
    let (world, other) = (old().await, old().await);
    mark::mark(other.folder(), &*other.export()).unwrap();
    fs::copy(other.folder().join("exported"), world.folder().join("exported")).unwrap();
    let before = world.segments();
    let (_audit, log) = world.looked().await;
    log.close().await;
    assert!(world.segments().starts_with(&before));
}

#[tokio::test]
async fn only_a_copy_without_gaps_of_this_very_log_is_marked() {
    let (world, other) = (old().await, old().await);
    let mark = |copy: &[u8]| mark::mark(world.folder(), copy);
    let all = world.export();
    let lines: Vec<_> = all.split_inclusive(|byte| *byte == b'\n').collect();
    assert!(matches!(mark(b""), Err(MarkError::Empty)));
    assert!(matches!(mark(b"{ \"records\": [] }\n"), Err(MarkError::NoRecord(1))));
    assert!(matches!(mark(&all[..all.len() - 1]), Err(MarkError::NoRecord(_))));
    assert!(matches!(mark(&lines[1..].concat()), Err(MarkError::Late { begins: 2, wanted: 1 })));
    assert!(matches!(mark(&[&lines[..3], &lines[4..]].concat().concat()), Err(MarkError::Gap(5))));
    assert!(matches!(mark(&other.export()), Err(MarkError::Foreign(_))));
    let edited = String::from_utf8(lines[..3].concat()).unwrap().replacen("approved", "denied", 1);
    assert!(matches!(mark(edited.as_bytes()), Err(MarkError::Foreign(2))));
    assert!(!world.folder().join("exported").exists());
    assert_eq!(mark(&lines[..9].concat()).unwrap().seq, 9);
    assert_eq!(mark(&lines[..4].concat()).unwrap().seq, 9, "it never goes back");
    assert_eq!(mark(&lines[9..12].concat()).unwrap().seq, 12);
}

#[tokio::test]
async fn a_record_that_a_failed_sync_may_take_back_is_not_marked() {
    let mut world = World::written().await;
    let durable = world.verify().unwrap().last;
    world.settings.sync_delay = Duration::from_secs(3600);
    let (audit, _log) = world.open();
    audit.note(pause());
    let is_written = || world.lines().len() as u64 > durable;
    eventually("written", Duration::from_secs(10), async || is_written()).await;
    assert_eq!(mark::mark(world.folder(), &*world.export()).unwrap().seq, durable);
    let newest = world.export_of(durable as usize + 1).split_off(world.export_of(durable as usize).len());
    assert!(matches!(mark::mark(world.folder(), &*newest), Err(MarkError::Unsynced)));
    assert_eq!(mark::read(world.folder()).unwrap().unwrap().seq, durable);
}
