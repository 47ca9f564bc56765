//! Operators who keep no rule of HTTP/2: whatever they send, it is bounded, and nobody else notices.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::gate::testing::frames::{
    self, CONTINUATION, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, PRIORITY, RST_STREAM, SETTINGS,
};

/// A session whose operator speaks raw HTTP/2.
pub(super) struct Raw {
    pub(super) engine: TestEngine,
    pub(super) wire: DuplexStream,
    pub(super) rest: Rest,
}

pub(super) async fn raw() -> Raw {
    let engine = TestEngine::start();
    let (mut wire, rest) = assemble(&engine.engine(), Options::default());
    wire.write_all(PREFACE).await.unwrap();
    wire.write_all(&frames::frame(SETTINGS, 0, 0, &[])).await.unwrap();
    Raw { engine, wire, rest }
}

impl Raw {
    pub(super) async fn end(self) -> End {
        let session = self.rest.session;
        tokio::time::timeout(10 * testing::PATIENCE, session).await.expect("an end in time").unwrap()
    }

    /// Sends a frame again and again; how many bytes were taken before the gate ended or took no more.
    async fn flood(&mut self, frame: &[u8], most: usize) -> usize {
        let mut sent = 0;
        while sent < most {
            let write = tokio::time::timeout(testing::PATIENCE, self.wire.write_all(frame));
            if !matches!(write.await, Ok(Ok(()))) {
                break;
            }
            sent += frame.len();
        }
        sent
    }

    pub(super) async fn call(&mut self, stream: u32, method: &str) {
        let flags = END_HEADERS | END_STREAM;
        self.wire.write_all(&frames::frame(HEADERS, flags, stream, &frames::call(method))).await.unwrap();
    }

    /// The payload of the next frame of this kind.
    pub(super) async fn until(&mut self, wanted: u8) -> Vec<u8> {
        loop {
            match self.read().await {
                (kind, payload) if kind == wanted => return payload,
                _ => {}
            }
        }
    }

    pub(super) async fn read(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 9];
        self.wire.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.wire.read_exact(&mut payload).await.unwrap();
        (head[3], payload)
    }
}

const MIB: usize = 1 << 20;

#[tokio::test]
async fn endless_continuations_end_the_session() {
    let mut raw = raw().await;
    let block = frames::literal("x-filler", &"y".repeat(100));
    raw.wire.write_all(&frames::frame(HEADERS, END_STREAM, 1, &frames::call("Get"))).await.unwrap();
    let sent = raw.flood(&frames::frame(CONTINUATION, 0, 1, &block), 16 * MIB).await;
    assert!(sent < 16 * MIB, "{sent} bytes of one header block were taken");
    assert_eq!(raw.engine.seen().calls, 0);
    assert_eq!(raw.end().await, End::Broken);
}

#[tokio::test(start_paused = true)]
async fn pings_whose_answers_are_not_read_are_held_back() {
    let mut raw = raw().await;
    let sent = raw.flood(&frames::frame(PING, 0, 0, &[7; 8]), 64 * MIB).await;
    assert!(sent < 8 * MIB, "{sent} bytes of pings were taken");
    assert_eq!(raw.end().await, End::Abuse);
}

#[tokio::test(start_paused = true)]
async fn settings_whose_answers_are_not_read_are_held_back() {
    let mut raw = raw().await;
    let sent = raw.flood(&frames::frame(SETTINGS, 0, 0, &[]), 64 * MIB).await;
    assert!(sent < 8 * MIB, "{sent} bytes of settings were taken");
    assert_eq!(raw.end().await, End::Abuse);
}

/// Floods a gate whose every answer is read; how it ended, after how many bytes.
async fn flooded(frame: &[u8]) -> (End, usize) {
    let raw = raw().await;
    let (mut answers, mut wire) = tokio::io::split(raw.wire);
    let reading =
        Task::spawn(Span::none(), async move { tokio::io::copy(&mut answers, &mut tokio::io::sink()).await });
    let mut sent = 0;
    while sent < MIB && wire.write_all(frame).await.is_ok() {
        sent += frame.len();
    }
    drop((wire, reading));
    (raw.rest.session.await.unwrap(), sent)
}

#[tokio::test(start_paused = true)]
async fn frames_that_move_nothing_end_the_session_even_if_their_answers_are_read() {
    for frame in [
        frames::frame(PING, 0, 0, &[7; 8]),
        frames::frame(PING, 1, 0, &[7; 8]),
        frames::frame(SETTINGS, 0, 0, &[]),
        frames::frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]),
        frames::frame(0xbe, 0, 0, &[]),
    ] {
        let (end, sent) = flooded(&frame).await;
        assert_eq!(end, End::Abuse, "{frame:?}");
        assert!(sent < MIB, "{sent} bytes were taken");
    }
}

#[tokio::test]
async fn empty_frames_of_a_call_end_the_session() {
    for (flags, next) in [(END_HEADERS, frames::DATA), (0, CONTINUATION)] {
        let mut raw = raw().await;
        raw.wire.write_all(&frames::frame(HEADERS, flags, 1, &frames::call("Hang"))).await.unwrap();
        let sent = raw.flood(&frames::frame(next, 0, 1, &[]), MIB).await;
        assert!(sent < MIB, "{sent} bytes of empty frames were taken");
        assert_eq!(raw.end().await, End::Broken);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_may_measure_its_path_by_pings() {
    let mut raw = raw().await;
    for _ in 0..limits::IDLE_FRAMES_PER_SECOND / 2 {
        raw.wire.write_all(&frames::frame(PING, 0, 0, &[7; 8])).await.unwrap();
        while raw.read().await.0 != PING {}
    }
    raw.call(1, "Get").await;
    raw.engine.until(|seen| seen.calls == 1).await;
}

#[tokio::test]
async fn calls_beyond_the_streams_of_a_session_are_refused() {
    let mut raw = raw().await;
    for n in 0..1_100 {
        raw.call(2 * n + 1, "Hang").await;
    }
    let mut refused = 0;
    while refused < 76 {
        let (kind, payload) = raw.read().await;
        assert!(kind != RST_STREAM || payload == [0, 0, 0, 7], "{payload:?}");
        refused += usize::from(kind == RST_STREAM);
    }
    raw.engine.until(|seen| seen.calls == 1_024).await;
}

#[tokio::test]
async fn headers_that_are_too_large_never_reach_the_engine() {
    let mut bench = bench().await;
    let mut request = Operator::request("Get");
    request.headers_mut().insert("x-allowed", "y".repeat(40 * 1024).parse().unwrap());
    let (response, _body) = bench.operator.begin(request, true).await;
    if let Ok(reply) = collect(response).await {
        assert_eq!(reply.http, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    assert_eq!(bench.engine.seen().calls, 0);
    assert_eq!(bench.operator.call("Get").await.status.code(), Code::Ok);
}

#[tokio::test]
async fn resets_before_anything_is_decided_end_the_session() {
    let mut raw = raw().await;
    for n in 0..5_000 {
        let stream = 2 * n + 1;
        let call = frames::frame(HEADERS, END_HEADERS, stream, &frames::call("Hang"));
        let reset = frames::frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
        let both = [call, reset].concat();
        let write = raw.wire.write_all(&both);
        if !matches!(tokio::time::timeout(testing::PATIENCE, write).await, Ok(Ok(()))) {
            break;
        }
    }
    assert!(matches!(raw.end().await, End::Abuse | End::Broken));
}

#[tokio::test]
async fn what_is_no_http2_ends_the_session() {
    let engine = TestEngine::start();
    let (mut wire, rest) = assemble(&engine.engine(), Options::default());
    wire.write_all(b"GET / HTTP/1.1\r\nhost: door\r\n\r\n").await.unwrap();
    assert_eq!(rest.session.await.unwrap(), End::Broken);
}

#[tokio::test(start_paused = true)]
async fn an_operator_who_says_nothing_is_gone_after_the_handshakes_deadline() {
    let engine = TestEngine::start();
    let (_wire, rest) = assemble(&engine.engine(), Options::default());
    let began = Instant::now();
    assert_eq!(rest.session.await.unwrap(), End::Broken);
    assert_eq!(began.elapsed().as_secs(), limits::HANDSHAKE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn an_operator_who_answers_no_ping_is_gone_within_half_a_minute() {
    let raw = raw().await;
    let began = Instant::now();
    assert_eq!(raw.end().await, End::Broken);
    assert!(began.elapsed() <= Duration::from_secs(31), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_session_without_calls_ends() {
    let bench = bench().await;
    let began = Instant::now();
    let Bench { session, operator, .. } = bench;
    // Whoever closes the connection first after GOAWAY.
    assert!(matches!(session.await.unwrap(), End::Closed | End::Broken));
    let lived = began.elapsed();
    assert!(lived >= limits::IDLE && lived < limits::IDLE + Duration::from_secs(120), "{lived:?}");
    drop(operator);
}
