//! Bundles that somebody deletes or gives up, on disks that hang or refuse.

use super::*;
use crate::audit::{Settings, line::Line, read::Lines};

/// A disk that hangs within the write of another bundle, which keeps the turn of all who write.
struct Stuck {
    room: Room,
    disk: SickDisk,
    keeper: Keeper,
    wanted: Collecting,
    engine: Scripted,
}

impl Stuck {
    async fn new(release: Release) -> Self {
        let (room, engine) = (Room::new(), Scripted::start([("Debug", debug())]));
        room.says(release);
        let disk = SickDisk::default();
        let (keeper, wanted) = (room.open_on(disk.clone()), wanted(&engine.engine()));
        make(&keeper, &engine.engine(), &wanted).await.unwrap();
        Self { room, disk, keeper, wanted, engine }
    }

    /// Does `work` while the disk hangs.
    async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let other = Collecting { id: RequestId::random(), ..self.wanted.clone() };
        let engine = self.engine.engine();
        self.disk.hang(true);
        let all = async {
            self.disk.hung().await;
            let done = work.await;
            self.disk.hang(false);
            done
        };
        tokio::join!(make(&self.keeper, &engine, &other), all).1
    }

    fn id(&self) -> RequestId {
        self.wanted.id
    }
}

#[tokio::test]
async fn what_is_deleted_does_not_leave_however_long_the_disk_hangs() {
    let stuck = Stuck::new(Release::Auto).await;
    let deleted = stuck.keeper.remove(stuck.id(), by("alice"));
    let held = stuck.during(async {
        tokio::pin!(deleted);
        assert!(timeout(Duration::ZERO, &mut deleted).await.is_err(), "the disk hangs");
        let held = fetch(&stuck.keeper, &stuck.id(), 0).await.map(drop);
        stuck.disk.hang(false);
        deleted.await.unwrap();
        held
    });
    assert_eq!(held.await, Err(FetchError::Held));
    assert!(stuck.keeper.bundle(&stuck.id()).is_none());
}

#[tokio::test]
async fn what_is_forgotten_does_not_leave_however_long_the_disk_hangs() {
    let stuck = Stuck::new(Release::Auto).await;
    let held = stuck.during(async {
        stuck.keeper.forget(&stuck.id());
        fetch(&stuck.keeper, &stuck.id(), 0).await.map(drop)
    });
    assert_eq!(held.await, Err(FetchError::Held));
}

#[tokio::test]
async fn what_is_deleted_while_it_is_let_go_stays_held() {
    let stuck = Stuck::new(Release::Manual).await;
    let digest = stuck.keeper.bundle(&stuck.id()).unwrap().digest[..].try_into().unwrap();
    stuck.disk.hang(true);
    let let_go = stuck.keeper.let_go(stuck.id(), digest, by("bob"));
    let deleted = async {
        stuck.disk.hung().await;
        // Whoever deletes does not even wait for the disk.
        assert!(timeout(Duration::ZERO, stuck.keeper.remove(stuck.id(), by("alice"))).await.is_err());
        stuck.disk.hang(false);
    };
    assert_eq!(tokio::join!(let_go, deleted).0, Err(Refused::NotStored));
    let Stuck { room, disk, keeper, wanted, .. } = stuck;
    assert_eq!(fetch(&keeper, &wanted.id, 0).await.unwrap_err(), FetchError::Held);
    drop(keeper);
    let keeper = room.open_on(disk);
    assert_eq!(fetch(&keeper, &wanted.id, 0).await.unwrap_err(), FetchError::Held, "after a restart, too");
}

/// A bundle of which one part was taken, and what comes next after `meanwhile`.
async fn next_after(meanwhile: impl AsyncFnOnce(&Room, &Keeper, RequestId)) -> Vec<Result<usize, String>> {
    let (room, engine) = (Room::new(), Scripted::start([("Debug", debug())]));
    let (keeper, wanted) = (room.open(), wanted(&engine.engine()));
    large(&keeper, &wanted).await;
    let mut chunks = keeper.fetch(&wanted.id, 0).unwrap();
    assert_eq!(chunks.next().await.unwrap().unwrap().data.len(), lent::PART);
    meanwhile(&room, &keeper, wanted.id).await;
    chunks.map(|chunk| chunk.map(|chunk| chunk.data.len())).collect().await
}

#[tokio::test]
async fn what_is_deleted_or_forbidden_on_its_way_leaves_no_further() {
    let deleted = next_after(async |_, keeper, id| keeper.remove(id, by("alice")).await.unwrap()).await;
    assert_eq!(deleted, [Err(Refused::Unknown.to_string())]);
    let forgotten = next_after(async |_, keeper, id| keeper.forget(&id)).await;
    assert_eq!(forgotten, [Err(Refused::Held.to_string())]);
    let forbidden = next_after(async |room, _, _| room.says(Release::Never)).await;
    assert_eq!(forbidden, [Err(Refused::Never.to_string())]);
    let allowed = next_after(async |room, _, _| room.says(Release::Manual)).await;
    assert_eq!(allowed, vec![Ok(lent::PART); 4]);
}

#[tokio::test]
async fn what_is_deleted_before_its_first_part_does_not_leave() {
    let stuck = Stuck::new(Release::Auto).await;
    let chunks = stuck.keeper.fetch(&stuck.id(), 0).unwrap();
    // It is there, but nobody is to have it.
    stuck.disk.keep(true);
    assert_eq!(stuck.keeper.remove(stuck.id(), by("alice")).await, Err(Refused::NotStored));
    let chunks: Vec<_> = chunks.collect().await;
    assert_eq!(chunks, [Err(Refused::Held.to_string())]);
}

#[tokio::test]
async fn what_is_given_up_while_the_disk_hangs_does_not_appear() {
    let stuck = Stuck::new(Release::Auto).await;
    let other = Collecting { id: RequestId::random(), ..stuck.wanted.clone() };
    stuck.disk.hang(true);
    let engine = stuck.engine.engine();
    tokio::select! {
        _ = make(&stuck.keeper, &engine, &other) => panic!("the disk hangs"),
        () = stuck.disk.hung() => {}
    }
    stuck.disk.hang(false);
    // Whoever writes next has the turn after it.
    stuck.keeper.remove(stuck.id(), by("alice")).await.unwrap();
    assert!(stuck.keeper.kept().is_empty());
    assert_eq!(fs::read_dir(stuck.room.path()).unwrap().count(), 0, "nothing is left behind");
}

#[tokio::test]
async fn an_archive_whose_record_is_refused_does_not_stay() {
    let (room, engine) = (Room::new(), Scripted::start([("Debug", debug())]));
    let disk = SickDisk::default();
    let (keeper, engine) = (room.open_on(disk.clone()), engine.engine());
    let wanted = wanted(&engine);
    disk.refuse(Some("json"));
    let error = make(&keeper, &engine, &wanted).await.unwrap_err();
    assert_eq!(error, "the disk did not take the bundle");
    assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0);
    disk.refuse(None);
    make(&keeper, &engine, &wanted).await.unwrap();
}

#[tokio::test]
async fn the_log_says_deleted_of_what_was_and_of_nothing_else() {
    let (mut room, engine) = (Room::new(), Scripted::start([("Debug", debug())]));
    let settings = Settings {
        folder: room.folder.path().join("audit"),
        cluster: "acme/prod".into(),
        label: "aaaaaaaaaa".into(),
        retention: Duration::from_secs(400 * 24 * 3600),
        segment_bytes: 1 << 24,
        reserve_bytes: 0,
        sync_delay: Duration::ZERO,
    };
    let folder = settings.folder.clone();
    let (audit, log) = Audit::open(settings).unwrap();
    room.audit = audit;
    let (disk, engine) = (SickDisk::default(), engine.engine());
    let (keeper, by_hand) = (room.open_on(disk.clone()), wanted(&engine));
    let forgotten = Collecting { id: RequestId::random(), ..by_hand.clone() };
    for bundle in [&by_hand, &forgotten] {
        make(&keeper, &engine, bundle).await.unwrap();
    }
    disk.keep(true);
    assert_eq!(keeper.remove(by_hand.id, by("alice")).await, Err(Refused::NotStored));
    keeper.forget(&forgotten.id);
    timeout(PATIENCE, keeper.0.forgetting.idle()).await.unwrap();
    disk.keep(false);
    keeper.remove(by_hand.id, by("bob")).await.unwrap();
    keeper.forget(&forgotten.id);
    timeout(PATIENCE, keeper.0.forgetting.idle()).await.unwrap();
    log.close().await;
    let lines = Lines::open(&folder).unwrap().map(|line| Line::parse(&line.unwrap().bytes).unwrap());
    let deleted = lines.filter(|line| line.text("what") == "deleted");
    let said: Vec<_> =
        deleted.map(|line| (line.text("request").to_owned(), line.text("by").to_owned())).collect();
    assert_eq!(said, [(by_hand.id.to_string(), "bob".to_owned()), (forgotten.id.to_string(), String::new())]);
}
