//! Engines that keep no rule of HTTP/2: their caller is told, and the session lives on.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use super::*;
use crate::gate::testing::{
    engine::engine_at,
    frames::{
        self, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PUSH_PROMISE, SETTINGS,
        WINDOW_UPDATE,
    },
};

/// What one call comes to behind an engine that answers its first request with `bytes` and goes on with `again`.
async fn reason_behind(bytes: Vec<u8>, again: Bytes) -> (Code, String) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let known = engine_at(&format!("unix:{}", socket.display()), folder.path());
    let _engine = Task::spawn(Span::none(), async move {
        while let Ok((stream, _)) = listener.accept().await {
            hostile(stream, &bytes, &again).await;
        }
    });
    let (near, _rest) = assemble(&known, Options::default());
    let mut operator = Operator::connect(near).await;
    let reply = operator.call("Get").await;
    // Whatever came of it, the session is not harmed.
    assert_eq!(operator.call("Drop").await.reason(), "METHOD_NOT_GRANTED");
    (reply.status.code(), reply.reason())
}

/// Errors are a gate that has enough.
async fn hostile(mut stream: UnixStream, bytes: &[u8], again: &[u8]) {
    let mut seen = [0; 1024];
    let mut asked = false;
    let _ = stream.write_all(&frames::frame(SETTINGS, 0, 0, &[])).await;
    while !asked {
        let Ok(count @ 1..) = stream.read(&mut seen).await else { return };
        asked = String::from_utf8_lossy(&seen[..count]).contains("hello");
    }
    let mut sent = stream.write_all(bytes).await;
    while sent.is_ok() && !again.is_empty() {
        sent = stream.write_all(again).await;
    }
    // Held open until the gate ends it.
    while let Ok(1..) = stream.read(&mut seen).await {}
}

fn head() -> Vec<u8> {
    frames::frame(HEADERS, END_HEADERS, 1, &frames::answer()).to_vec()
}

#[tokio::test]
async fn endless_continuations_are_cut() {
    let block = frames::literal("x-filler", &"y".repeat(100));
    let begun = frames::frame(HEADERS, 0, 1, &frames::answer()).to_vec();
    let (code, reason) = reason_behind(begun, frames::frame(CONTINUATION, 0, 1, &block)).await;
    assert_eq!(code, Code::Unavailable, "{reason}");
}

#[tokio::test]
async fn pushes_are_cut() {
    let promise = [&[0, 0, 0, 2][..], &frames::call("Get")].concat();
    let push = frames::frame(PUSH_PROMISE, END_HEADERS, 1, &promise).to_vec();
    let (code, reason) = reason_behind(push, Bytes::new()).await;
    assert_eq!(code, Code::Unavailable, "{reason}");
}

#[tokio::test]
async fn windows_that_overflow_are_cut() {
    let update = frames::frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]).to_vec();
    let (code, reason) = reason_behind([update.clone(), update].concat(), Bytes::new()).await;
    assert_eq!(code, Code::Unavailable, "{reason}");
}

#[tokio::test]
async fn data_for_no_stream_is_cut() {
    let data = frames::frame(DATA, 0, 0, b"hello").to_vec();
    let (code, reason) = reason_behind(data, Bytes::new()).await;
    assert_eq!(code, Code::Unavailable, "{reason}");
}

#[tokio::test]
async fn what_is_no_http2_is_cut() {
    let text = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
    let (code, reason) = reason_behind(text, Bytes::new()).await;
    assert_eq!(code, Code::Unavailable, "{reason}");
}

#[tokio::test]
async fn an_engine_that_goes_away_is_told_as_lost() {
    let goodbye = frames::frame(GOAWAY, 0, 0, &[0; 8]).to_vec();
    let (code, reason) = reason_behind(goodbye, Bytes::new()).await;
    assert_eq!(code, Code::Unavailable, "{reason}");
}

#[tokio::test]
async fn an_answer_of_headers_alone_needs_a_status() {
    let end = frames::frame(HEADERS, END_HEADERS | END_STREAM, 1, &frames::answer()).to_vec();
    let (code, reason) = reason_behind(end, Bytes::new()).await;
    assert_eq!((code, reason.as_str()), (Code::Unavailable, "ENGINE_WITHOUT_STATUS"));
}

#[tokio::test]
async fn an_end_without_a_status_is_named() {
    let end = frames::frame(DATA, END_STREAM, 1, &frame(b"x")).to_vec();
    let (code, reason) = reason_behind([head(), end].concat(), Bytes::new()).await;
    assert_eq!((code, reason.as_str()), (Code::Unavailable, "ENGINE_WITHOUT_STATUS"));
}
