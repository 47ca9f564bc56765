//! Sessions: an operator's bytes to the gate and back, unread and unchanged.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tunnel_transport::{Code, Kind, Stream};

use crate::{
    World, in_time,
    operator::{all, hello, host, knock},
    replica::{Replica, Script, door},
};

const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
const INTERNAL_ERROR: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// The next session, accepted, with its hello read.
async fn session(replica: &mut Replica, hello: &[u8]) -> Stream {
    let offer = in_time("session", replica.offers.recv()).await.unwrap();
    assert_eq!(offer.header().kind, Kind::Session { door: door(1) });
    assert!(offer.header().peer.unwrap().ip().is_loopback());
    let mut stream = offer.accept(Duration::from_secs(5)).await.unwrap();
    let mut first = vec![0; hello.len()];
    in_time("hello", stream.read_exact(&mut first)).await.unwrap();
    assert_eq!(first, hello);
    stream
}

#[tokio::test]
async fn bytes_pass_both_ways_and_half_close_ends_one_direction() {
    let world = World::start().await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let (mut operator, hello) = knock(&world, &host('a', door(1))).await;
    let mut gate = session(&mut replica, &hello).await;
    operator.write_all(b"question").await.unwrap();
    operator.shutdown().await.unwrap();
    let mut question = String::new();
    in_time("question", gate.read_to_string(&mut question)).await.unwrap();
    gate.write_all(b"answer").await.unwrap();
    gate.shutdown().await.unwrap();
    assert_eq!((question.as_str(), &all(operator).await[..]), ("question", &b"answer"[..]));
}

#[tokio::test]
async fn megabytes_arrive_unchanged() {
    let world = World::start().await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let (operator, hello) = knock(&world, &host('a', door(1))).await;
    let gate = session(&mut replica, &hello).await;
    let sent: Vec<u8> = (0..8_000_000u32).map(|n| (n >> 3) as u8).collect();
    let (operator_read, mut operator_write) = operator.into_split();
    let (gate_read, mut gate_write) = gate.split();
    let up = async { operator_write.write_all(&sent).await.and(operator_write.shutdown().await) };
    let down = async { gate_write.write_all(&sent).await.and(gate_write.shutdown().await) };
    let (at_gate, at_operator) = (read_all(gate_read), read_all(operator_read));
    let (up, down, at_gate, at_operator) =
        in_time("transfer", async { tokio::join!(up, down, at_gate, at_operator) }).await;
    up.and(down).unwrap();
    assert!(at_gate == sent && at_operator == sent);
}

async fn read_all(mut from: impl tokio::io::AsyncRead + Unpin) -> Vec<u8> {
    let mut all = Vec::new();
    from.read_to_end(&mut all).await.unwrap();
    all
}

#[tokio::test]
async fn a_gate_that_reads_nothing_stops_the_operator() {
    let world = World::start().await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let (mut operator, hello) = knock(&world, &host('a', door(1))).await;
    let gate = session(&mut replica, &hello).await;
    let chunk = vec![7; 1 << 20];
    let mut written = 0;
    while let Ok(result) = tokio::time::timeout(Duration::from_millis(500), operator.write(&chunk)).await {
        written += result.unwrap();
        assert!(written < 64 << 20, "no back-pressure");
    }
    // Another session of the same tunnel goes on beside it.
    let (mut other, hello) = knock(&world, &host('a', door(1))).await;
    let mut other_gate = session(&mut replica, &hello).await;
    other.write_all(b"ping").await.unwrap();
    let mut ping = [0; 4];
    in_time("other session", other_gate.read_exact(&mut ping)).await.unwrap();
    // And what waited arrives when it is read.
    operator.shutdown().await.unwrap();
    assert_eq!(in_time("waiting bytes", read_all(gate)).await.len(), written);
}

#[tokio::test]
async fn unknown_doors_are_refused_with_an_alert() {
    let world = World::start().await;
    let _replica = Replica::attach(&world, Script::default()).await;
    for name in [host('a', door(2)), host('b', door(1)), "other.tunnel.example".to_owned()] {
        let (stream, _) = knock(&world, &name).await;
        assert_eq!(all(stream).await, UNRECOGNIZED_NAME, "{name}");
    }
}

#[tokio::test]
async fn a_foreign_door_leads_nowhere() {
    let world = World::start().await;
    let mut owner = Replica::attach(&world, Script::default()).await;
    let thief = Script { label: 'b', doors: vec![door(1), door(2)], ..Default::default() };
    let mut thief = Replica::attach(&world, thief).await;
    let (_operator, hello) = knock(&world, &host('a', door(1))).await;
    session(&mut owner, &hello).await;
    let (stream, _) = knock(&world, &host('a', door(2))).await;
    assert_eq!(all(stream).await, UNRECOGNIZED_NAME);
    assert!(thief.offers.recv().now_or_never().is_none());
}

#[tokio::test]
async fn a_refusal_by_the_replica_reaches_the_operator_as_an_alert() {
    let world = World::start().await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    for (code, alert) in [(Code::UnknownDoor, UNRECOGNIZED_NAME), (Code::Busy, INTERNAL_ERROR)] {
        let (stream, _) = knock(&world, &host('a', door(1))).await;
        in_time("session", replica.offers.recv()).await.unwrap().refuse(code);
        assert_eq!(all(stream).await, alert, "{code}");
    }
}

#[tokio::test]
async fn sessions_past_the_cap_are_refused() {
    let world = World::start_with(|config| config.limits.sessions.total = 1).await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let (_operator, hello) = knock(&world, &host('a', door(1))).await;
    let _gate = session(&mut replica, &hello).await;
    let (stream, _) = knock(&world, &host('a', door(1))).await;
    assert_eq!(all(stream).await, INTERNAL_ERROR);
}

#[tokio::test]
async fn sessions_of_one_tunnel_past_the_cap_are_refused() {
    let world = World::start_with(|config| config.limits.sessions.per_tunnel = 1).await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let (_operator, hello) = knock(&world, &host('a', door(1))).await;
    let _gate = session(&mut replica, &hello).await;
    let (stream, _) = knock(&world, &host('a', door(1))).await;
    assert_eq!(all(stream).await, INTERNAL_ERROR);
}

#[tokio::test]
async fn sessions_of_one_source_in_their_first_phase_have_a_cap() {
    let world = World::start_with(|config| config.limits.sessions.newcomers_per_source = 2).await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let (first, hello) = knock(&world, &host('a', door(1))).await;
    let gate = session(&mut replica, &hello).await;
    let (_second, hello) = knock(&world, &host('a', door(1))).await;
    let _other_gate = session(&mut replica, &hello).await;
    let (third, _) = knock(&world, &host('a', door(1))).await;
    assert_eq!(all(third).await, INTERNAL_ERROR);
    // The gate says who is a stranger by ending the session.
    gate.abort(Code::Deadline);
    assert!(all(first).await.is_empty());
    let again = async {
        loop {
            let (stream, hello) = knock(&world, &host('a', door(1))).await;
            tokio::select! {
                offer = replica.offers.recv() => return (offer.unwrap(), hello),
                said = all(stream) => assert_eq!(said, INTERNAL_ERROR),
            }
        }
    };
    in_time("a free seat", again).await;
}

#[tokio::test]
async fn a_silent_session_ends() {
    let world = World::start_with(|config| config.limits.sessions.idle = Duration::from_millis(200)).await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let (operator, hello) = knock(&world, &host('a', door(1))).await;
    let _gate = session(&mut replica, &hello).await;
    assert!(all(operator).await.is_empty());
}

#[tokio::test]
async fn a_gate_that_resets_ends_the_operators_connection() {
    let world = World::start().await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let (mut operator, hello) = knock(&world, &host('a', door(1))).await;
    let mut gate = session(&mut replica, &hello).await;
    gate.write_all(b"hello").await.unwrap();
    in_time("hello", operator.read_exact(&mut [0; 5])).await.unwrap();
    gate.abort(Code::GrantOver);
    assert!(all(operator).await.is_empty());
}

#[tokio::test]
async fn an_operator_that_vanishes_ends_the_stream() {
    let world = World::start().await;
    let mut replica = Replica::attach(&world, Script::default()).await;
    let (operator, hello) = knock(&world, &host('a', door(1))).await;
    let mut gate = session(&mut replica, &hello).await;
    drop(operator);
    let mut rest = Vec::new();
    in_time("end", gate.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_hello_of_todays_clients_is_post_quantum_and_found() {
    let world = World::start().await;
    let bytes = hello(&world, &host('a', door(1)));
    assert!(bytes.len() > 1_216, "{} bytes hold no X25519MLKEM768 key share", bytes.len());
}
