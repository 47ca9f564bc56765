//! The embedded store on a real file.

use super::*;
use crate::store::History;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

#[tokio::test]
async fn creates_only_if_absent() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).await.unwrap();
    assert_eq!(store.create("a", b"1", NOW).await.unwrap(), 1);
    assert!(matches!(store.create("a", b"2", NOW).await, Err(StoreError::Exists)));
    assert_eq!(store.get("a").await.unwrap().unwrap().body, b"1");
}

#[tokio::test]
async fn updates_only_the_expected_version() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).await.unwrap();
    store.create("a", b"1", NOW).await.unwrap();
    assert_eq!(store.update("a", b"2", 1, NOW).await.unwrap(), 2);
    assert!(matches!(store.update("a", b"3", 1, NOW).await, Err(StoreError::Conflict)));
    assert!(matches!(store.update("b", b"3", 1, NOW).await, Err(StoreError::Conflict)));
    assert!(matches!(store.remove("a", 1, NOW).await, Err(StoreError::Conflict)));
    store.remove("a", 2, NOW).await.unwrap();
    assert_eq!(store.list().await.unwrap(), []);
}

#[tokio::test]
async fn keeps_the_time_at_which_something_was_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).await.unwrap();
    store.create("a", b"1", NOW).await.unwrap();
    store.remove("a", 1, NOW.plus(DEADLINE)).await.unwrap();
    assert_eq!(store.start(NOW).await.unwrap().time_seen, NOW.plus(DEADLINE));
}

#[tokio::test]
async fn a_restart_finds_everything_and_raises_the_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).await.unwrap();
    let first = store.start(NOW).await.unwrap();
    store.create("a", b"1", NOW.plus(DEADLINE)).await.unwrap();
    drop_all(store).await;
    let store = SqliteStore::open(folder.path()).await.unwrap();
    let second = store.start(NOW).await.unwrap();
    assert_eq!((first.epoch, second.epoch), (1, 2));
    assert_eq!((second.history, second.time_seen), (History::Whole, NOW.plus(DEADLINE)));
    assert_eq!(store.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _store = SqliteStore::open(folder.path()).await.unwrap();
    assert!(matches!(SqliteStore::open(folder.path()).await, Err(StoreError::Locked(_))));
}

#[tokio::test]
async fn notices_that_a_backup_was_put_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).await.unwrap();
    store.start(NOW).await.unwrap();
    drop_all(store).await;
    let backup = std::fs::read(folder.path().join("requests.sqlite")).unwrap();
    let store = SqliteStore::open(folder.path()).await.unwrap();
    store.create("a", b"1", NOW).await.unwrap();
    drop_all(store).await;
    std::fs::write(folder.path().join("requests.sqlite"), backup).unwrap();
    let later = NOW.plus(DEADLINE);
    let store = SqliteStore::open(folder.path()).await.unwrap();
    let start = store.start(later).await.unwrap();
    assert_eq!((start.history, start.refuse_before), (History::Restored, later));
    drop_all(store).await;
    let store = SqliteStore::open(folder.path()).await.unwrap();
    let start = store.start(later.plus(DEADLINE)).await.unwrap();
    let unsettled = "a kill came before anything that follows from it was stored";
    assert_eq!((start.history, start.refuse_before), (History::Restored, later), "{unsettled}");
    store.settle(later).await.unwrap();
    drop_all(store).await;
    let store = SqliteStore::open(folder.path()).await.unwrap();
    let start = store.start(later.plus(DEADLINE)).await.unwrap();
    assert_eq!((start.history, start.refuse_before), (History::Whole, later));
}

#[tokio::test]
async fn what_is_distrusted_once_stays_refused_whatever_the_clock_says_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).await.unwrap();
    let (late, early) = (NOW.plus(2 * DEADLINE), NOW.plus(DEADLINE));
    store.start(NOW).await.unwrap();
    assert_eq!(store.distrust(late).await.unwrap(), late);
    assert_eq!(store.distrust(early).await.unwrap(), late);
    store.settle(early).await.unwrap();
    drop_all(store).await;
    let store = SqliteStore::open(folder.path()).await.unwrap();
    let start = store.start(early).await.unwrap();
    assert_eq!((start.history, start.refuse_before), (History::Whole, late));
}

#[tokio::test]
async fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let _store = SqliteStore::open(folder.path()).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
}

async fn drop_all(store: SqliteStore) {
    store.close().await;
    drop(store);
}

#[tokio::test]
async fn a_start_waits_for_the_last_change_of_the_store_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).await.unwrap();
    let before = connect(&folder.path().join("requests.sqlite")).await.unwrap();
    // The thread of a dropped store may still be committing what was handed to it.
    let mut change = before.begin_with("BEGIN IMMEDIATE").await.unwrap();
    sql::insert(&mut change, "a", b"1").await.unwrap();
    let mut start = std::pin::pin!(store.start(NOW));
    let early = tokio::time::timeout(DEADLINE / 10, &mut start).await;
    assert!(early.is_err(), "it does not pass by the change: {early:?}");
    change.commit().await.unwrap();
    start.await.unwrap();
    assert_eq!(store.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn after_a_full_disk_it_stores_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path()).await.unwrap();
    store.create("a", b"1", NOW).await.unwrap();
    let pages = |limit: u64| sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {limit}")));
    // SQLite takes no less than there are.
    pages(1).execute(&store.pool).await.unwrap();
    let large = vec![0; 1 << 20];
    for _ in 0..2 {
        assert!(store.update("a", &large, 1, NOW).await.is_err(), "no page is left");
        assert_eq!(store.update("a", b"2", 1, NOW).await.unwrap(), 2, "what fits is stored");
        assert_eq!(store.remove("a", 2, NOW).await.map_err(|error| error.to_string()), Ok(()));
        store.create("a", b"1", NOW).await.unwrap();
    }
    pages(u64::from(u32::MAX) - 1).execute(&store.pool).await.unwrap();
    assert_eq!(store.update("a", &large, 1, NOW).await.unwrap(), 2);
    drop_all(store).await;
    let store = SqliteStore::open(folder.path()).await.unwrap();
    assert_eq!(store.get("a").await.unwrap().unwrap().body, large);
}
