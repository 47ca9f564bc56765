use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::*;
use crate::{Closed, OpenError, StreamError};

#[tokio::test]
async fn bytes_pass_both_ways_and_each_way_ends_alone() {
    let pair = Pair::new().await;
    let (mut broker, mut replica) = pair.stream().await;
    broker.write_all(b"question").await.unwrap();
    broker.shutdown().await.unwrap();
    let mut question = String::new();
    replica.read_to_string(&mut question).await.unwrap();
    assert_eq!(question, "question");
    replica.write_all(b"answer").await.unwrap();
    replica.shutdown().await.unwrap();
    let mut answer = String::new();
    broker.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "answer");
}

#[tokio::test]
async fn a_payload_follows_the_header_at_once() {
    let pair = Pair::new().await;
    let header = session();
    let replica = async {
        let offer = pair.replica.accept().await.unwrap().header(LONG).await.unwrap();
        assert_eq!(*offer.header(), session());
        let mut stream = offer.accept(LONG).await.unwrap();
        let mut payload = [0; 5];
        stream.read_exact(&mut payload).await.unwrap();
        (payload, stream)
    };
    let opened = pair.broker.open_with(&header, Bytes::from_static(b"hello"), LONG);
    let (opened, (payload, _stream)) = tokio::join!(opened, replica);
    assert!(opened.is_ok());
    assert_eq!(&payload, b"hello");
}

#[tokio::test]
async fn every_refusal_code_reaches_the_broker() {
    let pair = Pair::new().await;
    let header = session();
    for code in Code::ALL {
        let refuse = async { pair.replica.accept().await.unwrap().header(LONG).await.unwrap().refuse(*code) };
        let (opened, ()) = tokio::join!(pair.broker.open(&header, LONG), refuse);
        assert_eq!(opened.unwrap_err(), OpenError::Refused(*code));
    }
}

#[tokio::test]
async fn a_stream_that_nobody_answers_for_is_refused() {
    let pair = Pair::new().await;
    let header = session();
    let forget = async { drop(pair.replica.accept().await.unwrap().header(LONG).await.unwrap()) };
    let (opened, ()) = tokio::join!(pair.broker.open(&header, LONG), forget);
    assert_eq!(opened.unwrap_err(), OpenError::Refused(Code::Internal));
}

#[tokio::test]
async fn a_silent_replica_costs_one_deadline_and_no_slot() {
    let pair = Pair::new().await;
    let error = pair.broker.open(&session(), SHORT).await.unwrap_err();
    assert_eq!(error, OpenError::Deadline(SHORT));
    assert_eq!(pair.broker.open_streams(), 0);
}

#[tokio::test]
async fn one_stream_too_many_is_refused_at_once() {
    let pair = Pair::with(Limits { streams: 1, ..Limits::default() }).await;
    let (broker, replica) = pair.stream().await;
    assert_eq!(pair.broker.open(&session(), LONG).await.unwrap_err(), OpenError::Busy);
    drop((broker, replica));
    assert_eq!(pair.broker.open_streams(), 0);
    drop(pair.stream().await);
}

#[tokio::test]
async fn one_pending_open_too_many_is_refused_at_once() {
    let pair = Pair::with(Limits { pending_opens: 1, ..Limits::default() }).await;
    let header = session();
    let (first, second) = tokio::join!(pair.broker.open(&header, SHORT), pair.broker.open(&header, SHORT));
    assert_eq!(first.unwrap_err(), OpenError::Deadline(SHORT));
    assert_eq!(second.unwrap_err(), OpenError::Busy);
}

#[tokio::test]
async fn reset_codes_reach_the_reader_and_stop_codes_the_writer() {
    let pair = Pair::new().await;
    for code in Code::ALL {
        let (broker, replica) = pair.stream().await;
        let ((mut reader, mut writer), (mut far_reader, mut far_writer)) = (broker.split(), replica.split());
        writer.reset(*code);
        let mut chunks = [Bytes::new()];
        assert_eq!(far_reader.read_chunks(&mut chunks).await, Err(StreamError::Reset(*code)));
        reader.stop(*code);
        assert_eq!(far_writer.stopped().await, Ok(Some(*code)));
        let written = far_writer.write_chunks(&mut [Bytes::from_static(b"x")]).await;
        assert_eq!(written, Err(StreamError::Stopped(*code)));
    }
}

#[tokio::test]
async fn half_a_message_never_looks_whole() {
    let pair = Pair::new().await;
    let (mut broker, mut replica) = pair.stream().await;
    broker.write_all(b"half").await.unwrap();
    drop(broker);
    let error = replica.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn what_was_finished_arrives_after_the_drop() {
    let pair = Pair::new().await;
    let (broker, mut replica) = pair.stream().await;
    let (_reader, mut writer) = broker.split();
    writer.write_all_chunks(&mut [Bytes::from_static(b"who"), Bytes::from_static(b"le")]).await.unwrap();
    writer.finish().unwrap();
    drop(writer);
    let mut whole = Vec::new();
    replica.read_to_end(&mut whole).await.unwrap();
    assert_eq!(whole, b"whole");
}

#[tokio::test]
async fn a_slow_reader_stops_its_writer_and_nobody_else() {
    const WINDOW: u32 = 64 << 10;
    const TOTAL: usize = 1 << 20;
    let pair = Pair::with(Limits { stream_window: WINDOW, ..Limits::default() }).await;
    let ((slow, slow_end), (other, other_end)) = (pair.stream().await, pair.stream().await);
    let mut writer = slow.split().1;
    let mut rest = [Bytes::from(vec![7; TOTAL])];
    let blocked =
        timeout(SHORT, async { while writer.write_chunks(&mut rest).await.is_ok_and(|w| w.chunks == 0) {} });
    assert!(blocked.await.is_err());
    // quinn queues up to the send window here; the replica holds no more than its stream's window.
    let (mut other, mut other_end) = (other, other_end);
    other.write_all(b"x").await.unwrap();
    assert_eq!(timeout(LONG, other_end.read_u8()).await.unwrap().unwrap(), b'x');
    let mut reader = slow_end;
    let drain = async { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await };
    let finish = async {
        writer.write_all_chunks(&mut rest).await.unwrap();
        writer.finish().unwrap();
    };
    let (copied, ()) = timeout(LONG, async { tokio::join!(drain, finish) }).await.unwrap();
    assert_eq!(copied.unwrap(), TOTAL as u64);
}

#[tokio::test]
async fn close_codes_and_retry_times_reach_the_peer() {
    for code in Code::ALL {
        let pair = Pair::new().await;
        pair.broker.close_and_retry_after(*code, LONG);
        let closed = pair.replica.closed().await;
        assert_eq!(closed, Closed::ByPeer { code: *code, retry_after: Some(LONG) });
        assert_eq!(closed.is_retryable(), code.is_retryable());
        assert_eq!(pair.broker.close_reason(), Some(Closed::ByUs));
    }
}

/// A tunnel whose broker has sent all that its congestion window takes, and waits to send more.
async fn congested() -> (Pair, [Stream; 2]) {
    let pair = Pair::new().await;
    let (mut broker, replica) = pair.stream().await;
    broker.write_all(&[7; 1 << 20]).await.unwrap();
    // The driver sends; what comes back is not read before this task has run again.
    tokio::task::yield_now().await;
    (pair, [broker, replica])
}

#[tokio::test]
async fn a_close_reaches_the_peer_though_the_congestion_window_is_full() {
    let (pair, _streams) = congested().await;
    pair.broker.close(Code::Superseded);
    let closed = timeout(LONG, pair.replica.closed()).await.unwrap();
    assert_eq!(closed, Closed::ByPeer { code: Code::Superseded, retry_after: None });
}

#[tokio::test]
async fn a_closing_listener_is_heard_though_the_congestion_windows_are_full() {
    let (pair, _streams) = congested().await;
    let (closed, ()) =
        tokio::join!(timeout(LONG, pair.replica.closed()), pair.listener.close(Code::Draining));
    assert_eq!(closed.unwrap(), Closed::ByPeer { code: Code::Draining, retry_after: None });
}

#[tokio::test]
async fn a_closed_tunnel_opens_nothing_and_ends_its_streams() {
    let pair = Pair::new().await;
    let (mut broker, _replica) = pair.stream().await;
    pair.replica.close(Code::Draining);
    let error = pair.broker.open(&session(), LONG).await.unwrap_err();
    let closed = Closed::ByPeer { code: Code::Draining, retry_after: None };
    assert_eq!(error, OpenError::Closed(closed));
    assert_eq!((error.code(), error.is_retryable()), (Code::NotHere, true));
    assert_eq!(broker.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::NotConnected);
    timeout(LONG, pair.replica.flushed()).await.unwrap();
}

#[tokio::test]
async fn a_silent_peer_is_lost_after_the_idle_time() {
    let pair = Pair::with(Limits { idle: SHORT, ..Limits::default() }).await;
    assert_eq!(timeout(LONG, pair.broker.closed()).await, Ok(Closed::TimedOut));
}

#[tokio::test]
async fn bytes_and_round_trips_are_counted() {
    let pair = Pair::new().await;
    let (mut broker, mut replica) = pair.stream().await;
    broker.write_all(&[0; 5000]).await.unwrap();
    replica.read_exact(&mut [0; 5000]).await.unwrap();
    assert!(pair.broker.stats().sent > 5000 && pair.replica.stats().received > 5000);
    assert!(pair.broker.stats().rtt < LONG);
}
