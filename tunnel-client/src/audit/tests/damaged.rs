//! A damaged record is exported, marked and removed by its age like the rest; one that is missing is not passed over.

use std::fs;

use super::{exported::old, world::World};
use crate::audit::{
    line::Line,
    mark::{self, MarkError},
    retention, segment, select,
};

type Change<T> = fn(&mut T);
/// By file, with their line breaks.
type Lines = Vec<Vec<Vec<u8>>>;

/// A log of whole lines by file.
struct Files(Lines);

impl Files {
    fn of(world: &World) -> Self {
        let lines =
            |bytes: Vec<u8>| bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        Self(world.segments().iter().map(|file| lines(fs::read(file).unwrap())).collect())
    }

    /// A copy of `world` with these lines.
    fn put(&self, world: &World) -> World {
        let copy = world.copy();
        for (file, lines) in copy.segments().iter().zip(&self.0) {
            fs::write(file, lines.concat()).unwrap();
        }
        copy
    }
}

impl World {
    /// As `audit export` prints it, or `audit export --new` behind what is marked.
    fn exported(&self) -> Vec<u8> {
        let behind = mark::read(self.folder()).unwrap();
        let lines = select::all(self.folder(), behind, None).unwrap();
        lines.flat_map(|line| [line.unwrap().bytes, b"\n".to_vec()].concat()).collect()
    }

    /// The first record that stays when all are too old.
    fn kept(&self) -> Option<u64> {
        let late = crate::clock::wall().plus(std::time::Duration::from_secs(1));
        let aged = retention::aged(self.folder(), late).unwrap();
        assert_eq!(aged.mark_error, "");
        aged.expired.filter(|_| aged.held == 0).map(|expired| expired.first)
    }
}

fn replace(line: &mut [u8], from: &[u8], to: &[u8]) {
    let at = line.windows(from.len()).position(|part| part == from).unwrap();
    line[at..at + from.len()].copy_from_slice(to);
}

#[tokio::test]
async fn damage_to_a_record_ends_no_export_mark_or_removal() {
    let world = old().await;
    let newest = segment::list(world.folder()).unwrap().last().unwrap().first;
    let last = world.verify().unwrap().last;
    let half = Files::of(&world).0[..2].concat().concat();
    let damages: [(&str, usize, Change<Vec<u8>>); 7] = [
        ("no JSON", 1, |line| line[0] = b'x'),
        ("a file's first record", 0, |line| line[0] = b'x'),
        ("other words", 1, |line| replace(line, b"approved", b"rejected")),
        ("another number", 1, |line| {
            let from = format!(":{},", Line::parse(&line[..line.len() - 1]).unwrap().seq);
            replace(line, from.as_bytes(), format!(":{},", "9".repeat(from.len() - 2)).as_bytes());
        }),
        ("no line break", 1, |line| *line.last_mut().unwrap() = b' '),
        ("one more line break", 1, |line| replace(line, b"\"kind\"", b"\n\"kind")),
        ("zeros", 1, |line| line.fill(0)),
    ];
    for (what, at, damage) in damages {
        for marked_before in [false, true] {
            let mut files = Files::of(&world);
            damage(&mut files.0[2][at]);
            let damaged = files.put(&world);
            assert!(damaged.verify().is_err(), "{what}");
            if marked_before {
                mark::mark(damaged.folder(), &*half).unwrap();
            }
            let copy = damaged.exported();
            let before = if marked_before { half.len() } else { 0 };
            assert_eq!(copy, files.0.concat().concat()[before..], "{what}");
            let marked =
                mark::mark(damaged.folder(), &*copy).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!((marked.seq, damaged.kept()), (last, Some(newest)), "{what}");
        }
    }
}

#[tokio::test]
async fn damage_before_the_marked_record_leaves_the_mark() {
    let world = old().await;
    let mut files = Files::of(&world);
    let marked = mark::mark(world.folder(), &*files.0[..3].concat().concat()).unwrap();
    files.0[2][0][0] = b'x';
    assert_eq!(mark::read(files.put(&world).folder()).unwrap(), Some(marked));
}

#[tokio::test]
async fn a_log_with_records_missing_or_out_of_order_is_not_marked() {
    let world = old().await;
    let swaps: [(&str, Change<Lines>); 5] = [
        ("removed", |files| drop(files[2].remove(1))),
        ("swapped", |files| files[2].swap(0, 1)),
        ("twice", |files| {
            let line = files[2][1].clone();
            files[2].insert(1, line);
        }),
        ("files removed", |files| files[3..6].fill(Vec::new())),
        ("files removed behind damage", |files| {
            files[2].last_mut().unwrap()[0] = b'x';
            files[3..6].fill(Vec::new());
        }),
    ];
    for (what, change) in swaps {
        let mut files = Files::of(&world);
        change(&mut files.0);
        let changed = files.put(&world);
        let marked = mark::mark(changed.folder(), &*changed.exported());
        assert!(matches!(marked, Err(MarkError::Gap(_))), "{what}: {marked:?}");
        assert_eq!(mark::read(changed.folder()).unwrap(), None, "{what}");
    }
}

#[tokio::test]
async fn a_copy_that_lacks_a_damaged_line_is_not_marked() {
    let world = old().await;
    let mut files = Files::of(&world);
    files.0[2][1][0] = b'x';
    let damaged = files.put(&world);
    files.0[2].remove(1);
    let fewer = files.0.concat().concat();
    assert!(matches!(mark::mark(damaged.folder(), &*fewer), Err(MarkError::Gap(_))));
    // A mark right before it, and a copy that begins right behind it.
    mark::mark(damaged.folder(), &*[files.0[..2].concat(), files.0[2][..1].to_vec()].concat().concat())
        .unwrap();
    let behind = [&files.0[2][1..], &files.0[3..].concat()].concat().concat();
    assert!(matches!(mark::mark(damaged.folder(), &*behind), Err(MarkError::Late { .. })));
}
