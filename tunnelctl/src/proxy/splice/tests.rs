use std::sync::Arc;

use tokio::io::{DuplexStream, duplex};

use super::*;
use crate::session::Line;

/// Both ends of a splice: the client's and the gate's.
struct Ends {
    client: DuplexStream,
    gate: DuplexStream,
    upstream: watch::Sender<Upstream>,
}

fn upstream() -> watch::Sender<Upstream> {
    let line = Line::for_test("nowhere.example", "127.0.0.1:1");
    watch::Sender::new(Upstream { line: Arc::new(line), epoch: 0 })
}

/// Runs a splice between two pipes while `play` plays both ends.
async fn splice<T>(play: impl AsyncFnOnce(Ends) -> T) -> (Ended, T) {
    let ((client, mut local), (gate, far)) = (duplex(1 << 20), duplex(1 << 20));
    let upstream = upstream();
    let receiver = upstream.subscribe();
    let ends = Ends { client, gate, upstream };
    tokio::join!(both(&mut local, far, b"PRI", receiver), play(ends))
}

fn settings() -> Vec<u8> {
    vec![0, 0, 0, 4, 0, 0, 0, 0, 0]
}

/// Bytes that a reader has until it would have to wait, or all of `length`.
async fn read(from: &mut DuplexStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn bytes_pass_unchanged_both_ways_and_ends_are_passed_on() {
    let (ended, ()) = splice(async |mut ends: Ends| {
        ends.client.write_all(b"request").await.unwrap();
        assert_eq!(read(&mut ends.gate, 10).await, b"PRIrequest");
        ends.client.shutdown().await.unwrap();
        assert_eq!(ends.gate.read(&mut [0; 8]).await.unwrap(), 0);
        let answer = [settings(), settings()].concat();
        ends.gate.write_all(&answer).await.unwrap();
        ends.gate.shutdown().await.unwrap();
        let mut all = Vec::new();
        ends.client.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, answer);
    })
    .await;
    assert_eq!(ended, Ended::Served);
}

#[tokio::test]
async fn a_renewed_session_asks_the_client_to_move_on_once_between_frames() {
    let goaway = frames::move_on();
    let expected = goaway.len();
    let ((), ()) = {
        let (_, ()) = splice(async |mut ends: Ends| {
            ends.gate.write_all(&settings()).await.unwrap();
            assert_eq!(read(&mut ends.client, 9).await, settings());
            // Half a frame is on its way when the wish comes.
            ends.gate.write_all(&settings()[..4]).await.unwrap();
            assert_eq!(read(&mut ends.client, 4).await, &settings()[..4]);
            ends.upstream.send_modify(|upstream| upstream.epoch += 1);
            tokio::task::yield_now().await;
            ends.gate.write_all(&settings()[4..]).await.unwrap();
            assert_eq!(read(&mut ends.client, 5).await, &settings()[4..]);
            assert_eq!(read(&mut ends.client, expected).await, goaway);
            ends.upstream.send_modify(|upstream| upstream.epoch += 1);
            ends.gate.write_all(&settings()).await.unwrap();
            assert_eq!(read(&mut ends.client, 9).await, settings());
            ends.gate.shutdown().await.unwrap();
            assert_eq!(ends.client.read(&mut [0; 8]).await.unwrap(), 0);
        })
        .await;
        ((), ())
    };
}

#[tokio::test]
async fn a_gate_that_closes_at_once_is_told_apart() {
    let (ended, ()) = splice(async |ends: Ends| drop(ends.gate)).await;
    assert_eq!(ended, Ended::Unanswered);
}

#[tokio::test(start_paused = true)]
async fn after_the_client_is_done_the_gate_has_a_while() {
    let started = tokio::time::Instant::now();
    let (_, ends) = splice(async |mut ends: Ends| {
        ends.client.shutdown().await.unwrap();
        ends
    })
    .await;
    assert_eq!(started.elapsed(), LINGER);
    drop(ends);
}
