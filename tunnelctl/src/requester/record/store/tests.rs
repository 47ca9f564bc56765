use std::os::unix::fs::PermissionsExt;

use tunnel_protos::v1::RequestState;

use super::*;
use crate::{
    requester::{
        reader::Newest,
        record::Answer,
        samples::answer,
        tests::{Scene, scene},
    },
    testing::NOW,
};

fn answered(scene: &Scene, until: UnixMillis) -> Record {
    let mut record = scene.access();
    let newest = Newest { sequence: 3, sha256: [5; 32] };
    record.answer = Some(Answer { newest, until, ..answer(RequestState::Active) });
    scene.folder.update(&record).unwrap();
    record
}

fn files(scene: &Scene) -> Vec<PathBuf> {
    std::fs::read_dir(&scene.folder.path).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn a_record_is_read_as_written() {
    let scene = scene();
    let record = answered(&scene, NOW.plus(Duration::from_secs(9)));
    let read = scene.folder.record(record.id).unwrap();
    assert_eq!(read.answer, record.answer);
    assert_eq!((read.digest, read.envelope_id), (record.digest, record.envelope_id));
    assert_eq!(read.cluster_key, record.cluster_key);
    assert_eq!(scene.folder.reader(&read).unwrap().newest().unwrap().sequence, 3);
}

#[tokio::test]
async fn files_and_folder_are_private() {
    let scene = scene();
    scene.access();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&scene.folder.path), 0o700);
    assert_eq!(files(&scene).len(), 3);
    assert!(files(&scene).iter().all(|path| mode(path) == 0o600));
}

#[tokio::test]
async fn an_outcome_key_that_others_can_read_is_refused() {
    let scene = scene();
    let record = scene.access();
    let key = scene.folder.file(record.id, KEY);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(scene.folder.reader(&record), Err(Error::Key(..))));
}

#[tokio::test]
async fn what_is_over_is_forgotten_with_its_key() {
    let scene = scene();
    let over = answered(&scene, NOW);
    let open = answered(&scene, NOW.plus(Duration::from_secs(1)));
    let left = scene.folder.open(NOW).unwrap();
    assert_eq!(left.iter().map(|record| record.id).collect::<Vec<_>>(), [open.id]);
    assert!(files(&scene).iter().all(|path| !path.to_string_lossy().contains(&over.id.to_string())));
    let ended = scene.folder.ended().unwrap();
    assert_eq!((ended.len(), ended[0].id), (1, over.id));
    assert_eq!(ended[0].state(NOW), Some(RequestState::Ended));
    assert!(matches!(scene.folder.record(over.id), Err(Error::Unknown(_))));
    assert_eq!(scene.folder.any(over.id).unwrap().answer, over.answer);
}

#[tokio::test]
async fn keys_without_a_record_are_swept_when_they_are_old() {
    let scene = scene();
    let (kept, lost) = (scene.access(), scene.access());
    std::fs::remove_file(scene.folder.file(lost.id, RECORD)).unwrap();
    let now = SystemTime::now();
    scene.folder.sweep(now).unwrap();
    assert!(scene.folder.file(lost.id, KEY).exists());
    scene.folder.sweep(now + 2 * STALE).unwrap();
    assert!(!scene.folder.file(lost.id, KEY).exists() && !scene.folder.file(lost.id, SEALED).exists());
    assert!(scene.folder.file(kept.id, KEY).exists());
}

#[tokio::test]
async fn what_ended_is_kept_up_to_a_bound() {
    let scene = scene();
    let record = scene.access();
    for _ in 0..=MOST_ENDED {
        let more = Record { id: RequestId::random(), ..record.clone() };
        scene.folder.write(&scene.folder.ended_file(more.id), more.id, &form::encode(&more)).unwrap();
    }
    scene.folder.close(&record).unwrap();
    assert_eq!(scene.folder.ended().unwrap().len(), MOST_ENDED);
}

#[tokio::test]
async fn one_damaged_record_does_not_stand_in_the_way() {
    let scene = scene();
    let (damaged, fine) = (scene.access(), scene.access());
    std::fs::write(scene.folder.file(damaged.id, RECORD), b"{}").unwrap();
    let open = scene.folder.open(NOW).unwrap();
    assert_eq!(open.iter().map(|record| record.id).collect::<Vec<_>>(), [fine.id]);
}

#[tokio::test]
async fn damaged_and_unknown_records_are_told_apart() {
    let scene = scene();
    let record = scene.access();
    std::fs::write(scene.folder.file(record.id, RECORD), b"{}").unwrap();
    assert!(matches!(scene.folder.record(record.id), Err(Error::Damaged(_))));
    assert!(matches!(scene.folder.record(RequestId::random()), Err(Error::Unknown(_))));
}

#[tokio::test]
async fn an_id_is_named_by_its_unique_beginning_open_or_ended() {
    let scene = scene();
    let (open, ended) = (scene.access(), scene.access());
    scene.folder.close(&ended).unwrap();
    let certificate = Record { id: RequestId::random(), what: What::Certificate, ..scene.access() };
    scene.folder.update(&certificate).unwrap();
    let named = |id: RequestId| scene.folder.named(&RequestStart(id.to_string()[..18].to_owned()));
    assert_eq!((named(open.id).unwrap(), named(ended.id).unwrap()), (open.id, ended.id));
    assert!(matches!(named(RequestId::random()), Err(Error::Nameless(_))));
    assert!(matches!(named(certificate.id), Err(Error::Nameless(_))), "nobody knows it");
    let all = scene.folder.named(&RequestStart(String::new()));
    assert!(matches!(all, Err(Error::Ambiguous(_, 3))), "{all:?}");
    let whole = RequestId::random();
    assert_eq!(scene.folder.named(&whole.into()).unwrap(), whole, "of a whole id its command tells more");
}
