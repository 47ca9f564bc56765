//! Every way to touch a log by hand is found, and named.

use std::fs;

use super::world::World;
use crate::audit::verify::{Broken, VerifyError, Wrong};

impl World {
    fn bytes(&self) -> Vec<u8> {
        fs::read(self.segments().remove(0)).unwrap()
    }

    fn with(&self, bytes: &[u8]) -> Result<(), Broken> {
        fs::write(self.segments().remove(0), bytes).unwrap();
        match self.verify() {
            Ok(_) => Ok(()),
            Err(VerifyError::Broken(broken)) => Err(broken),
            Err(error) => panic!("{error}"),
        }
    }

    fn lines_raw(&self) -> Vec<Vec<u8>> {
        self.bytes().split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    }
}

#[tokio::test]
async fn any_single_byte_edit_is_found_at_its_record() {
    let world = World::written().await;
    let bytes = world.bytes();
    let mut record = 1;
    for at in 0..bytes.len() {
        for flip in [1, 0x20, 0x80] {
            let mut edited = bytes.clone();
            edited[at] ^= flip;
            let broken = world.with(&edited).expect_err("an edit");
            assert!(broken.record.abs_diff(record) <= 1, "byte {at} of record {record}: {broken}");
        }
        record += u64::from(bytes[at] == b'\n');
    }
}

#[tokio::test]
async fn any_removed_line_is_found() {
    let world = World::written().await;
    let lines = world.lines_raw();
    for at in 0..lines.len() {
        let mut fewer = lines.clone();
        fewer.remove(at);
        let broken = world.with(&fewer.concat()).expect_err("a removal");
        let record = at as u64 + 1;
        let expected = if at == 0 { (2, Wrong::Misnamed) } else { (record, Wrong::Removed(record)) };
        assert_eq!((broken.record, broken.what), expected);
    }
}

#[tokio::test]
async fn any_swapped_lines_are_found() {
    let world = World::written().await;
    let lines = world.lines_raw();
    for (a, b) in (0..lines.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
        let mut swapped = lines.clone();
        swapped.swap(a, b);
        let broken = world.with(&swapped.concat()).expect_err("a swap");
        assert!(broken.record <= a as u64 + 1, "{a} {b}: {broken}");
    }
}

#[tokio::test]
async fn any_truncation_is_found_wherever_it_is() {
    let world = World::written().await;
    let bytes = world.bytes();
    for end in 1..bytes.len() {
        let broken = world.with(&bytes[..end]).expect_err("a truncation");
        let lines = bytes[..end].split(|byte| *byte == b'\n').count() as u64;
        assert!(broken.record <= lines, "{end}: {broken}");
    }
}

#[tokio::test]
async fn any_line_cut_inside_is_found() {
    let world = World::written().await;
    let lines = world.lines_raw();
    for at in 0..lines.len() {
        for keep in [0, 1, lines[at].len() / 2, lines[at].len() - 2] {
            let mut cut = lines.clone();
            cut[at] = [&lines[at][..keep], b"\n"].concat();
            world.with(&cut.concat()).expect_err("a cut line");
        }
    }
}

#[tokio::test]
async fn an_edit_names_the_edited_record() {
    let world = World::written().await;
    let text = String::from_utf8(world.bytes()).unwrap();
    let broken =
        world.with(text.replace("\"note\":\"enough\"", "\"note\":\"en0ugh\"").as_bytes()).unwrap_err();
    let paused = text.lines().position(|line| line.contains("\"pause\"")).unwrap() as u64 + 1;
    assert_eq!((broken.record, broken.what), (paused, Wrong::Edited));
    assert!(broken.to_string().contains("edited"), "{broken}");
}

#[tokio::test]
async fn a_missing_head_is_found() {
    let world = World::written().await;
    fs::remove_file(world.folder().join("head")).unwrap();
    assert!(matches!(world.verify(), Err(VerifyError::Broken(Broken { what: Wrong::NoHead, .. }))));
}

#[test]
fn no_log_is_no_whole_log() {
    let world = World::new();
    fs::create_dir(world.folder()).unwrap();
    assert!(matches!(world.verify(), Err(VerifyError::Empty(_))));
}
