//! What must hold over restarts, crashes and damage.

use std::{fs, fs::OpenOptions, io::Write as _, path::Path};

use super::*;

fn put(store: &Store, key: &str, value: &'static str) -> u64 {
    put_until(store, key, value, 0)
}

fn put_until(store: &Store, key: &str, value: &'static str, expires_at: u64) -> u64 {
    let value = Value { bytes: Bytes::from_static(value.as_bytes()), expires_at };
    store.write(key.to_owned(), Some(value)).unwrap()
}

fn read(store: &Store, key: &str) -> Option<Bytes> {
    store.get(key).map(|(value, _)| value)
}

fn maintain(store: &Store, work: Maintenance) -> u64 {
    (0..store.shard_count()).map(|shard| store.maintain(shard, work).unwrap()).sum()
}

fn reopened(folder: &Path) -> Store {
    Store::open(folder, 4).unwrap()
}

#[test]
fn what_was_written_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 4).unwrap();
    for index in 0..100 {
        put(&store, &format!("key-{index}"), "value");
    }
    store.write("key-7".to_owned(), None).unwrap();
    drop(store);
    let store = reopened(folder.path());
    assert_eq!(store.sizes().keys, 99);
    assert_eq!(read(&store, "key-7"), None);
    assert_eq!(read(&store, "key-8").unwrap(), "value");
}

#[test]
fn the_number_of_shards_is_that_of_the_first_start() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path(), 3).unwrap());
    assert_eq!(Store::open(folder.path(), 8).unwrap().shard_count(), 3);
}

#[test]
fn a_torn_record_is_cut_off_and_the_rest_kept() {
    let folder = tempfile::tempdir().unwrap();
    put(&Store::open(folder.path(), 1).unwrap(), "whole", "value");
    let log = folder.path().join("shard-000/log");
    OpenOptions::new().append(true).open(log).unwrap().write_all(&[0, 0, 0, 40, 1, 2, 3]).unwrap();
    let store = reopened(folder.path());
    assert_eq!(read(&store, "whole").unwrap(), "value");
    assert_eq!(maintain(&store, Maintenance::Check), 1);
}

#[test]
fn a_damaged_snapshot_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 1).unwrap();
    put(&store, "key", "value");
    maintain(&store, Maintenance::Compact);
    drop(store);
    let snapshot = folder.path().join("shard-000/snapshot");
    let mut bytes = fs::read(&snapshot).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&snapshot, bytes).unwrap();
    let error = Store::open(folder.path(), 1).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { source: Corrupt::Checksum, .. }), "{error:?}");
}

#[test]
fn compaction_frees_bytes_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 2).unwrap();
    for _ in 0..50 {
        put(&store, "key", "value");
    }
    assert!(maintain(&store, Maintenance::Compact) > 0);
    drop(store);
    let store = reopened(folder.path());
    assert_eq!(read(&store, "key").unwrap(), "value");
    assert_eq!(store.sizes().log_bytes, 0);
}

#[test]
fn a_log_left_beside_its_own_snapshot_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 1).unwrap();
    put(&store, "gone", "value");
    store.write("gone".to_owned(), None).unwrap();
    put(&store, "key", "value");
    let log = folder.path().join("shard-000/log");
    let before = fs::read(&log).unwrap();
    maintain(&store, Maintenance::Compact);
    drop(store);
    fs::write(&log, before).unwrap();
    let store = reopened(folder.path());
    assert_eq!((read(&store, "gone"), read(&store, "key")), (None, Some("value".into())));
}

#[test]
fn the_revision_never_falls_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 1).unwrap();
    put(&store, "key", "value");
    let last = store.write("key".to_owned(), None).unwrap();
    maintain(&store, Maintenance::Compact);
    drop(store);
    assert!(put(&reopened(folder.path()), "key", "value") > last);
}

#[test]
fn expired_keys_are_gone_at_once_and_removed_by_gc() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 2).unwrap();
    put_until(&store, "old", "value", 1);
    put_until(&store, "new", "value", u64::MAX);
    assert_eq!((read(&store, "old"), store.sizes().keys), (None, 2));
    assert_eq!(maintain(&store, Maintenance::Gc), 1);
    assert_eq!(store.sizes().keys, 1);
}

#[test]
fn keys_are_listed_in_order_over_all_shards() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), 4).unwrap();
    for key in ["b/2", "a/1", "b/1", "c/1"] {
        put(&store, key, "value");
    }
    let keys: Vec<_> = store.list("b/").into_iter().map(|record| record.key).collect();
    assert_eq!(keys, ["b/1", "b/2"]);
}

#[test]
fn a_decoder_takes_records_from_any_pieces() {
    let record = Record { revision: 3, key: "key".to_owned(), value: None };
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    let mut decoder = Decoder::default();
    for (index, byte) in bytes.iter().enumerate() {
        assert_eq!(decoder.next(), Ok(None), "after {index} bytes");
        decoder.extend(&[*byte]);
    }
    assert_eq!(decoder.next(), Ok(Some(record)));
    assert_eq!(decoder.finish(), Ok(()));
}

#[test]
fn a_decoder_refuses_a_length_it_would_have_to_buffer() {
    let mut decoder = Decoder::default();
    decoder.extend(&[0xff; 8]);
    assert_eq!(decoder.next(), Err(Corrupt::Length));
}
