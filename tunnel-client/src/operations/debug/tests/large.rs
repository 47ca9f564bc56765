//! Answers and operators that take more than is theirs: they hold up nobody else.

use super::*;
use crate::engine::testing::{GAP, beside};

/// What it says of a bundle of this answer, made beside others.
async fn refused(answer: Vec<u8>) -> String {
    let engine = Scripted::start([("Debug", Says::Messages(vec![answer]))]);
    let (room, engine) = (Room::new(), engine.engine());
    let (keeper, wanted, mut gaps) = (room.open(), wanted(&engine), Vec::new());
    // A machine that is busy with something else may hold up some of them, but not all.
    loop {
        let (made, gap) = beside(make(&keeper, &engine, &wanted)).await;
        let error = made.unwrap_err();
        gaps.push(gap);
        if gap <= GAP {
            return error;
        }
        assert!(gaps.len() < 3, "{error}: {gaps:?}");
    }
}

#[tokio::test]
async fn millions_of_messages_are_refused_before_they_are_some() {
    let told = refused([0x1a, 0x00].repeat(2_000_000)).await;
    assert_eq!(told, "No target of the engine answered");
}

#[tokio::test]
async fn as_many_as_are_looked_at_are_cut_aside() {
    let told = refused([0x1a, 0x02, 0x08, 0x01].repeat(24_000)).await;
    assert!(told.contains("more than the 65536 bytes"), "{told}");
}

#[tokio::test]
async fn an_operator_has_one_place_and_leaves_the_others_theirs() {
    let (room, engine) = (Room::new(), Scripted::start([]));
    let (keeper, olga) = (room.open(), wanted(&engine.engine()));
    let second = Collecting { id: RequestId::random(), ..olga.clone() };
    let others = Collecting { id: RequestId::random(), operator: "oleg".parse().unwrap(), ..olga.clone() };
    for bundle in [&olga, &second, &others] {
        large(&keeper, bundle).await;
    }
    let mut chunks = keeper.fetch(&olga.id, 0).unwrap();
    chunks.next().await.unwrap().unwrap();
    for one in [&olga, &second] {
        let refused = keeper.fetch(&one.id, 0).unwrap().next().await.unwrap();
        assert_eq!(refused, Err(Refused::Busy.to_string()));
    }
    fetch(&keeper, &others.id, 0).await.unwrap();
    drop(chunks);
    let free = async {
        while keeper.0.fetchers.free() < READERS {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, free).await.unwrap();
    fetch(&keeper, &second.id, 0).await.unwrap();
}

#[tokio::test]
async fn who_goes_on_near_the_end_has_only_that_read_and_proven() {
    let (room, engine) = (Room::new(), Scripted::start([]));
    let (keeper, wanted) = (room.open(), wanted(&engine.engine()));
    let part = usize::try_from(proof::PART).unwrap();
    let made: Vec<_> = (0..3 * part + 7).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let record = Record::new(&wanted, 0, Vec::new(), &made, true);
    keeper.0.shelf.put(wanted.id, record, made.clone()).await.unwrap();
    for offset in [0, 1, part, 3 * part, made.len() - 1] {
        let (_, got) = fetch(&keeper, &wanted.id, offset as u64).await.unwrap();
        assert!(got == made[offset..], "from {offset}");
    }
    let change = |at: usize| {
        let mut changed = made.clone();
        changed[at] ^= 1;
        fs::write(room.path().join(format!("{}.tar.zst", wanted.id)), changed).unwrap();
    };
    change(2 * part - 1);
    let (_, got) = fetch(&keeper, &wanted.id, 2 * part as u64 + 1).await.unwrap();
    assert!(got == made[2 * part + 1..], "what is before is not looked at");
    for offset in [0, 2 * part - 1] {
        assert_eq!(fetch(&keeper, &wanted.id, offset as u64).await.unwrap_err(), FetchError::Unreadable);
    }
    change(made.len() - 1);
    let last = made.len() as u64 - 1;
    assert_eq!(fetch(&keeper, &wanted.id, last).await.unwrap_err(), FetchError::Unreadable);
    let restarted = room.open();
    assert_eq!(fetch(&restarted, &wanted.id, last).await.unwrap_err(), FetchError::Unreadable);
}
