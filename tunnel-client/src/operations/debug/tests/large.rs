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
