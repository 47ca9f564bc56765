//! Answers that are nothing but work: they make no bundle, and hold up nobody else.

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
