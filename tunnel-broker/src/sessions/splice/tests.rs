//! Splices between pipes in memory; a small pipe is a full window.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};

use super::*;
use crate::sessions::chunks::Plain;

type Halves = (Plain<ReadHalf<DuplexStream>>, Plain<WriteHalf<DuplexStream>>);

/// Far end and near halves of a pipe that holds `size` bytes each way.
fn pipe(size: usize) -> (DuplexStream, Halves) {
    let (far, near) = duplex(size);
    let (read, write) = split(near);
    (far, (Plain(read), Plain(write)))
}

fn limits() -> SessionLimits {
    SessionLimits { idle: Duration::from_secs(5), stalled: Duration::from_secs(5), ..Default::default() }
}

#[tokio::test]
async fn bytes_pass_both_ways_unchanged() {
    let ((mut operator, near), (mut gate, stream)) = (pipe(64), pipe(64));
    let sent: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    let ends = async {
        let (mut at_gate, mut at_operator) = (vec![0; sent.len()], vec![0; sent.len()]);
        let (operator_read, operator_write) = split(&mut operator);
        let (gate_read, gate_write) = split(&mut gate);
        let (mut operator_read, mut operator_write) = (operator_read, operator_write);
        let (mut gate_read, mut gate_write) = (gate_read, gate_write);
        let moved = tokio::try_join!(
            operator_write.write_all(&sent),
            gate_write.write_all(&sent),
            gate_read.read_exact(&mut at_gate),
            operator_read.read_exact(&mut at_operator),
        );
        moved.unwrap();
        assert!(at_gate == sent && at_operator == sent);
    };
    let limits = limits();
    tokio::select! {
        end = splice(near, stream, &limits) => panic!("{end:?}"),
        () = ends => {}
    }
}

#[tokio::test]
async fn half_close_ends_one_direction_only() {
    let ((mut operator, near), (mut gate, stream)) = (pipe(64), pipe(64));
    let ends = async {
        operator.write_all(b"question").await.unwrap();
        operator.shutdown().await.unwrap();
        let mut question = String::new();
        gate.read_to_string(&mut question).await.unwrap();
        assert_eq!(question, "question");
        gate.write_all(b"answer").await.unwrap();
        gate.shutdown().await.unwrap();
        let mut answer = String::new();
        operator.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
    };
    let limits = limits();
    let (end, ()) = tokio::join!(splice(near, stream, &limits), ends);
    assert!(matches!(end, End::Finished), "{end:?}");
}

#[tokio::test]
async fn a_full_reader_stops_the_writer() {
    let ((mut operator, near), (gate, stream)) = (pipe(64), pipe(64));
    let limits = limits();
    let session = splice(near, stream, &limits);
    tokio::pin!(session);
    let mut written = 0;
    // The gate reads nothing: what fits is one buffer on each hop and one read in between.
    for _ in 0..100 {
        assert!(session.as_mut().now_or_never().is_none());
        written += operator.write(&[7; 64]).now_or_never().map_or(0, Result::unwrap);
    }
    assert!((64..=192).contains(&written), "{written}");
    drop(gate);
}

#[tokio::test]
async fn a_reader_that_takes_nothing_ends_the_session() {
    let ((mut operator, near), (_gate, stream)) = (pipe(64), pipe(16));
    operator.write_all(&[7; 64]).await.unwrap();
    let limits = SessionLimits { stalled: Duration::from_millis(40), ..limits() };
    let end = splice(near, stream, &limits).await;
    assert!(matches!(end, End::Given(Verdict::Stalled)), "{end:?}");
}

#[tokio::test]
async fn a_silent_session_ends() {
    let ((_operator, near), (_gate, stream)) = (pipe(64), pipe(64));
    let limits = SessionLimits { idle: Duration::from_millis(40), ..limits() };
    let end = splice(near, stream, &limits).await;
    assert!(matches!(end, End::Given(Verdict::Idle)), "{end:?}");
}

#[tokio::test]
async fn a_failure_of_one_side_ends_both() {
    let ((mut operator, near), (gate, stream)) = (pipe(64), pipe(64));
    drop(gate);
    operator.write_all(b"nobody reads this").await.unwrap();
    let end = splice(near, stream, &limits()).await;
    assert!(matches!(end, End::Cluster(_)), "{end:?}");
}

#[test]
fn bytes_are_counted_by_direction() {
    let recorder = metrics_util::debugging::DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    ::metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let ((mut operator, near), (mut gate, stream)) = (pipe(64), pipe(64));
            operator.write_all(b"12345").await.unwrap();
            operator.shutdown().await.unwrap();
            gate.write_all(b"123").await.unwrap();
            gate.shutdown().await.unwrap();
            let limits = limits();
            assert!(matches!(splice(near, stream, &limits).await, End::Finished));
        });
    });
    let mut counted: Vec<_> = snapshots
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| (key.key().labels().next().unwrap().value().to_owned(), value))
        .collect();
    counted.sort_by(|one, other| one.0.cmp(&other.0));
    let [(up, to_cluster), (down, to_operator)] = &counted[..] else { panic!("{counted:?}") };
    assert_eq!((up.as_str(), down.as_str()), ("to_cluster", "to_operator"));
    assert_eq!(format!("{to_cluster:?} {to_operator:?}"), "Counter(5) Counter(3)");
}
