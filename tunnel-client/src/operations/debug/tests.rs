//! Bundles of honest and hostile engines, and their way out.

mod deleted;
mod large;
mod listed;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicU8, Ordering},
};

use futures_util::StreamExt;
use tunnel_certs::crypto::sha256;
use tunnel_protos::operations::v1::Collected;

use super::*;
use crate::engine::{
    profile::testing,
    testing::{Says, Scripted},
};
use crate::operations::{
    Archive, FetchError,
    disk::{Disk, sick::SickDisk},
};

const SECRET: &str = "hunter2-never-leaves";

fn wanted(engine: &Engine) -> Collecting {
    let collector = &engine.profile().operable().collectors()[&"info".parse().unwrap()];
    let leaf = |target: &str| Collected {
        collector: "info".to_owned(),
        target: target.to_owned(),
        method: collector.call.method.name().to_string(),
        fields: collector.allow.paths().to_vec(),
        size_cap: collector.size_cap,
        request_json: "{}".to_owned(),
    };
    Collecting {
        id: RequestId::random(),
        digest: Digest::new([7; 32]),
        operator: "olga".parse().unwrap(),
        leaves: vec![leaf("default"), leaf("b")],
    }
}

fn debug() -> Says {
    let json = format!(
        r#"{{"release":"v1","password":"{SECRET}","shards":[{{"index":1,"recent":["{SECRET}"]}}],
            "accounts":{{"x":{{"name":"X","hash":"{SECRET}"}}}},"tree":{{"name":"{SECRET}"}},
            "environment":{{"A":"{SECRET}"}}}}"#
    );
    Says::one(&testing::answer("Debug", &json))
}

/// A policy that a test can change.
struct Room {
    folder: tempfile::TempDir,
    policy: Arc<AtomicU8>,
    audit: Audit,
}

impl Room {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), policy: Arc::default(), audit: Audit::default() }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("bundles")
    }

    fn says(&self, release: Release) {
        self.policy.store(release as u8, Ordering::Relaxed);
    }

    fn open(&self) -> Keeper {
        self.open_on(OwnDisk)
    }

    fn open_on(&self, disk: impl Disk) -> Keeper {
        let policy = self.policy.clone();
        let of = move || match policy.load(Ordering::Relaxed) {
            0 => Release::Auto,
            1 => Release::Manual,
            _ => Release::Never,
        };
        Keeper::on(Shelf::open(&self.path(), disk).unwrap(), of, self.audit.clone())
    }
}

fn by(who: &str) -> By {
    By { by: who.to_owned(), ..By::default() }
}

async fn fetch(keeper: &Keeper, id: &RequestId, offset: u64) -> Result<(Bundle, Vec<u8>), FetchError> {
    let chunks: Vec<_> = keeper.fetch(id, offset)?.collect().await;
    let chunks: Vec<_> = chunks.into_iter().collect::<Result<_, _>>().map_err(|_| FetchError::Unreadable)?;
    let bundle = chunks[0].bundle.clone().unwrap();
    Ok((bundle, chunks.into_iter().flat_map(|chunk| chunk.data).collect()))
}

async fn make(keeper: &Keeper, engine: &Engine, wanted: &Collecting) -> Result<Bundle, String> {
    keeper.make_bundle(wanted.clone(), engine, |_, _| {}).await
}

#[tokio::test]
async fn a_bundle_holds_what_was_approved_and_says_who_was_silent() {
    let (room, engine) = (Room::new(), Scripted::start([("Debug", debug())]));
    let (keeper, engine) = (room.open(), engine.engine());
    let wanted = wanted(&engine);
    let bundle = make(&keeper, &engine, &wanted).await.unwrap();
    let paths: Vec<_> = bundle.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["manifest.json", "info/default.json"]);
    let info = keeper.file(&wanted.id, "info/default.json".to_owned()).await.unwrap().bytes;
    assert_eq!(sha256(&info), bundle.files[1].digest[..]);
    let info: serde_json::Value = serde_json::from_slice(&info).unwrap();
    let expected = serde_json::json!({
        "release": "v1", "shards": [{"index": 1}], "accounts": {"x": {"name": "X"}}
    });
    assert_eq!(info, expected);
    let manifest = keeper.file(&wanted.id, "manifest.json".to_owned()).await.unwrap().bytes;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["files"][0]["sha256"], data_encoding::HEXLOWER.encode(&bundle.files[1].digest));
    assert_eq!(manifest["withoutAnswer"][0]["target"], "b");
    let archive = fs::read(room.path().join(format!("{}.tar.zst", wanted.id))).unwrap();
    assert_eq!(sha256(&archive), bundle.digest[..]);
    let plain = zstd::decode_all(&archive[..]).unwrap();
    assert!(!String::from_utf8_lossy(&plain).contains(SECRET));
    assert_eq!(make(&keeper, &engine, &wanted).await.unwrap(), bundle, "it is not made twice");
}

#[tokio::test]
async fn it_leaves_only_once_released_and_is_what_was_shown() {
    let (room, engine) = (Room::new(), Scripted::start([("Debug", debug())]));
    room.says(Release::Manual);
    let (keeper, engine) = (room.open(), engine.engine());
    let wanted = wanted(&engine);
    let bundle = make(&keeper, &engine, &wanted).await.unwrap();
    let digest: [u8; 32] = bundle.digest[..].try_into().unwrap();
    assert_eq!(fetch(&keeper, &wanted.id, 0).await.unwrap_err(), FetchError::Held);
    assert_eq!(keeper.let_go(wanted.id, [0; 32], by("alice")).await, Err(Refused::Changed));
    keeper.let_go(wanted.id, digest, by("alice")).await.unwrap();
    let (released, bytes) = fetch(&keeper, &wanted.id, 0).await.unwrap();
    assert_eq!((released.released_by.as_str(), sha256(&bytes)), ("alice", digest));
    let (_, rest) = fetch(&keeper, &wanted.id, 10).await.unwrap();
    assert_eq!(rest, bytes[10..]);
    assert_eq!(
        fetch(&keeper, &wanted.id, bundle.bytes + 1).await.unwrap_err(),
        FetchError::Offset(bundle.bytes)
    );
    room.says(Release::Never);
    assert_eq!(fetch(&keeper, &wanted.id, 0).await.unwrap_err(), FetchError::Held, "today's policy counts");
}

#[tokio::test]
async fn a_disk_that_hangs_holds_up_nobody_who_looks() {
    let (room, engine) = (Room::new(), Scripted::start([("Debug", debug())]));
    let (disk, engine) = (SickDisk::default(), engine.engine());
    let (keeper, first) = (room.open_on(disk.clone()), wanted(&engine));
    let made = make(&keeper, &engine, &first).await.unwrap();
    let second = Collecting { id: RequestId::random(), ..first.clone() };
    disk.hang(true);
    let looks = async {
        disk.hung().await;
        assert_eq!(keeper.bundle(&first.id), Some(made));
        assert_eq!((keeper.bundle(&second.id), keeper.kept().len()), (None, 1));
        assert!(fetch(&keeper, &first.id, 0).await.is_ok());
        keeper.forget(&first.id);
        disk.hang(false);
    };
    let (stored, ()) = tokio::join!(make(&keeper, &engine, &second), looks);
    assert_eq!(keeper.bundle(&second.id), Some(stored.unwrap()));
    timeout(PATIENCE, keeper.0.forgetting.idle()).await.unwrap();
    assert!(keeper.bundle(&first.id).is_none());
}

#[tokio::test]
async fn what_could_not_be_deleted_is_held_until_it_can() {
    let (room, engine) = (Room::new(), Scripted::start([("Debug", debug())]));
    let (disk, engine) = (SickDisk::default(), engine.engine());
    let (keeper, wanted) = (room.open_on(disk.clone()), wanted(&engine));
    assert!(make(&keeper, &engine, &wanted).await.unwrap().released);
    disk.keep(true);
    for _ in 0..2 {
        assert_eq!(keeper.remove(wanted.id, by("alice")).await, Err(Refused::NotStored));
        assert_eq!(fetch(&keeper, &wanted.id, 0).await.unwrap_err(), FetchError::Held);
    }
    drop(keeper);
    let keeper = room.open_on(disk.clone());
    assert_eq!(keeper.kept().len(), 1);
    assert_eq!(fetch(&keeper, &wanted.id, 0).await.unwrap_err(), FetchError::Held);
    disk.keep(false);
    keeper.remove(wanted.id, by("alice")).await.unwrap();
    assert!(keeper.kept().is_empty() && fs::read_dir(room.path()).unwrap().count() == 0);
}

/// One of several parts lies there, released.
async fn large(keeper: &Keeper, wanted: &Collecting) -> Vec<u8> {
    let bytes = vec![7; 5 * lent::PART];
    let record = Record::new(wanted, 0, Vec::new(), &bytes, true);
    keeper.0.shelf.put(wanted.id, record, bytes.clone()).await.unwrap();
    bytes
}

#[tokio::test]
async fn few_bundles_are_in_memory_however_many_are_fetched() {
    let (room, engine) = (Room::new(), Scripted::start([("Debug", debug())]));
    let (keeper, wanted) = (room.open(), wanted(&engine.engine()));
    let bytes = large(&keeper, &wanted).await;
    let mut fetches = Vec::new();
    for n in 0..READERS {
        let (id, operator) = (RequestId::random(), format!("olga-{n}").parse().unwrap());
        large(&keeper, &Collecting { id, operator, ..wanted.clone() }).await;
        let mut chunks = keeper.fetch(&id, 0).unwrap();
        assert_eq!(chunks.next().await.unwrap().unwrap().data.len(), lent::PART);
        fetches.push(chunks);
    }
    let mut more = keeper.fetch(&wanted.id, 0).unwrap();
    assert_eq!(more.next().await.unwrap().unwrap_err(), "not now; try again");
    let looked_at = keeper.file(&wanted.id, pack::MANIFEST.to_owned()).await;
    assert_eq!(looked_at.unwrap_err(), Refused::Unreadable, "a place is left for the customer's people");
    let (_, end) = fetch(&keeper, &wanted.id, bytes.len() as u64).await.unwrap();
    assert!(end.is_empty(), "what is at its end takes no place");
    fetches.pop();
    let free = async {
        while keeper.0.fetchers.free() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, free).await.unwrap();
    assert_eq!(fetch(&keeper, &wanted.id, 0).await.unwrap().1, bytes);
}

#[tokio::test]
async fn bundles_outlive_a_restart_but_not_a_change_on_the_disk() {
    let (room, engine) = (Room::new(), Scripted::start([("Debug", debug())]));
    let engine = engine.engine();
    let wanted = wanted(&engine);
    let bundle = make(&room.open(), &engine, &wanted).await.unwrap();
    let archive = room.path().join(format!("{}.tar.zst", wanted.id));
    let record = room.path().join(format!("{}.json", wanted.id));
    for path in [archive.clone(), record] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    fs::write(room.path().join("left.tar.zst"), "half").unwrap();
    let keeper = room.open();
    assert_eq!(keeper.bundle(&wanted.id), Some(bundle));
    assert!(!room.path().join("left.tar.zst").exists(), "what is not whole is gone");
    let mut bytes = fs::read(&archive).unwrap();
    bytes[20] ^= 1;
    fs::write(&archive, bytes).unwrap();
    assert_eq!(fetch(&keeper, &wanted.id, 0).await.unwrap_err(), FetchError::Unreadable);
    keeper.remove(wanted.id, by("uid 0")).await.unwrap();
    assert!(!archive.exists() && keeper.kept().is_empty());
    assert_eq!(fetch(&keeper, &wanted.id, 0).await.unwrap_err(), FetchError::None);
}

#[tokio::test]
async fn a_hostile_engine_spoils_its_bundle_and_nothing_else() {
    let large = testing::answer("Debug", &format!(r#"{{"release":"{}"}}"#, "x".repeat(70_000)));
    for (says, problem) in [
        (Says::one(&large), "more than the 65536 bytes"),
        (Says::Status(13, "hunter2-never-leaves"), "No target of the engine answered"),
        (Says::Messages(vec![vec![0xff; 9]]), "No target of the engine answered"),
        (Says::Messages(vec![]), "No target of the engine answered"),
        (Says::Flood(vec![]), "No target of the engine answered"),
    ] {
        let (room, engine) = (Room::new(), Scripted::start([("Debug", says)]));
        let engine = engine.engine();
        let error = make(&room.open(), &engine, &wanted(&engine)).await.unwrap_err();
        assert!(error.contains(problem) && !error.contains(SECRET), "{error}");
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0, "nothing is left behind");
    }
}

#[tokio::test]
async fn a_silent_engine_makes_no_bundle_and_holds_nobody_up() {
    let (room, engine) = (Room::new(), Scripted::start([("Debug", Says::Hang)]));
    let engine = engine.engine_with("sizeCap: 64KiB", "sizeCap: 64KiB, timeout: 100ms");
    let error = make(&room.open(), &engine, &wanted(&engine)).await.unwrap_err();
    assert!(error.contains("No target of the engine answered"), "{error}");
}

#[tokio::test]
async fn a_profile_that_changed_since_the_approval_makes_no_bundle() {
    let (room, scripted) = (Room::new(), Scripted::start([("Debug", debug())]));
    let wanted = wanted(&scripted.engine());
    for (from, to) in [
        ("allow: [release, shards", "allow: [release, password, shards"),
        ("sizeCap: 64KiB", "sizeCap: 65KiB"),
        ("Admin/Debug, allow", "Admin/Debug, request: { topic: other }, allow"),
        ("  info: { method", "  other: { method"),
        ("b: \"unix", "c: \"unix"),
    ] {
        let error = make(&room.open(), &scripted.engine_with(from, to), &wanted).await.unwrap_err();
        assert!(error.contains("has changed since"), "{from}: {error}");
    }
}
