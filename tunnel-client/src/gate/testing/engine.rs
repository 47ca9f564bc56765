//! An engine of raw HTTP/2: each method behaves as its name says, the hostile ones included.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::future::pending;
use h2::{
    Reason, RecvStream, SendStream,
    server::{self, SendResponse},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tempfile::TempDir;
use tokio::{net::UnixListener, sync::watch};
use tracing::Span;
use tunnel_runtime::tasks::{Task, Tasks};

use crate::engine::{Engine, Profile};

/// An engine on a Unix socket; dropping it ends it.
pub(in crate::gate) struct TestEngine {
    folder: TempDir,
    seen: watch::Sender<Seen>,
    task: Option<Task<()>>,
}

/// What the engine saw so far.
#[derive(Debug, Clone, Default)]
pub(in crate::gate) struct Seen {
    /// Headers of the last call.
    pub(in crate::gate) headers: HeaderMap,
    /// Trailers of calls of `Get` and `Chat`.
    pub(in crate::gate) trailers: Vec<HeaderMap>,
    /// `:authority` of the last call.
    pub(in crate::gate) authority: String,
    /// Why streams were reset by their caller.
    pub(in crate::gate) resets: Vec<Reason>,
    /// Calls of `Watch` whose stream or connection ended.
    pub(in crate::gate) dead: usize,
    /// Calls begun.
    pub(in crate::gate) calls: usize,
    /// Connections accepted.
    pub(in crate::gate) connections: usize,
    /// Bytes taken by `Put`.
    pub(in crate::gate) taken: usize,
    /// Bytes given by `Pull`.
    pub(in crate::gate) given: usize,
}

impl TestEngine {
    pub(in crate::gate) fn start() -> Self {
        let mut engine = Self::absent();
        engine.come();
        engine
    }

    /// An engine that does not listen yet.
    pub(in crate::gate) fn absent() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), seen: watch::Sender::default(), task: None }
    }

    /// Begins to listen.
    pub(in crate::gate) fn come(&mut self) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        self.task = Some(Task::spawn(Span::none(), listen(listener, self.seen.clone())));
    }

    /// Stops listening and breaks every connection.
    pub(in crate::gate) async fn go(&mut self) {
        let task = self.task.take().unwrap();
        task.abort();
        let _ = task.await;
        std::fs::remove_file(self.socket()).unwrap();
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }

    pub(in crate::gate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until what was seen is as wanted.
    pub(in crate::gate) async fn until(&self, wanted: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.subscribe();
        let wait = seen.wait_for(wanted);
        tokio::time::timeout(super::PATIENCE, wait).await.expect("in time").unwrap();
    }

    /// The engine as the gate knows it.
    pub(in crate::gate) fn engine(&self) -> Engine {
        engine_at(&format!("unix:{}", self.socket().display()), self.folder.path())
    }
}

/// An engine whose `Get` and `Watch` are read-only.
pub(in crate::gate) fn engine_at(endpoint: &str, folder: &Path) -> Engine {
    let text = format!(
        "{{ name: test, endpoints: {{ default: '{endpoint}' }}, metadata: [x-allowed], \
         readOnly: [engine.admin.v1.Admin/Get, engine.admin.v1.Admin/Watch] }}"
    );
    Engine::new(Profile::parse(&text, folder, |_| Ok(Vec::new())).unwrap())
}

async fn listen(listener: UnixListener, seen: watch::Sender<Seen>) {
    let connections = Tasks::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        seen.send_modify(|seen| seen.connections += 1);
        connections.spawn(Span::none(), connection(stream, seen.clone()));
    }
}

async fn connection(stream: tokio::net::UnixStream, seen: watch::Sender<Seen>) {
    let calls = Tasks::new();
    let mut builder = server::Builder::new();
    builder.initial_window_size(1 << 20).max_concurrent_streams(2_000);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        calls.spawn(Span::none(), call(request, respond, seen.clone()));
    }
}

async fn call(request: Request<RecvStream>, respond: SendResponse<Bytes>, seen: watch::Sender<Seen>) {
    let (head, body) = request.into_parts();
    seen.send_modify(|seen| {
        seen.calls += 1;
        seen.headers = head.headers.clone();
        seen.authority = head.uri.authority().map(ToString::to_string).unwrap_or_default();
    });
    let method = head.uri.path().rsplit('/').next().unwrap_or_default().to_owned();
    // An error is a caller who went away.
    let _ = behave(&method, body, respond, &seen).await;
}

async fn behave(
    method: &str,
    body: RecvStream,
    mut respond: SendResponse<Bytes>,
    seen: &watch::Sender<Seen>,
) -> Result<(), h2::Error> {
    match method {
        "Get" | "Chat" => echo(body, respond.send_response(grpc(), false)?, seen).await,
        "Put" => take(body, respond, seen).await,
        "Watch" => silent(respond.send_response(grpc(), false)?, seen).await,
        "Pull" => pull(respond.send_response(grpc(), false)?, seen).await,
        "Hang" => hang(respond, seen).await,
        "Fail" => respond.send_response(failed(), true).map(drop),
        "Html" => respond.send_response(html(), false)?.send_data(Bytes::from_static(b"<p>"), true),
        "Reset" => {
            respond.send_reset(Reason::INTERNAL_ERROR);
            Ok(())
        }
        "NoStatus" => respond.send_response(grpc(), false)?.send_data(frame(b"x"), true),
        "Headers" => respond.send_response(huge(), true).map(drop),
        other => panic!("no method {other}"),
    }
}

/// One gRPC message.
pub(in crate::gate) fn frame(message: &[u8]) -> Bytes {
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    frame.into()
}

async fn echo(
    mut body: RecvStream,
    mut send: SendStream<Bytes>,
    seen: &watch::Sender<Seen>,
) -> Result<(), h2::Error> {
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        send.send_data(chunk, false)?;
    }
    let trailers = body.trailers().await?;
    seen.send_modify(|seen| seen.trailers.extend(trailers));
    send.send_trailers(ok())
}

async fn take(
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    seen: &watch::Sender<Seen>,
) -> Result<(), h2::Error> {
    while let Some(chunk) = body.data().await {
        let length = chunk?.len();
        seen.send_modify(|seen| seen.taken += length);
        body.flow_control().release_capacity(length)?;
    }
    let mut send = respond.send_response(grpc(), false)?;
    send.send_data(frame(b"taken"), false)?;
    send.send_trailers(ok())
}

/// One message, then nothing until the caller resets.
async fn silent(mut send: SendStream<Bytes>, seen: &watch::Sender<Seen>) -> Result<(), h2::Error> {
    send.send_data(frame(b"first"), false)?;
    let _died = Died(seen);
    let reason = std::future::poll_fn(|cx| send.poll_reset(cx)).await?;
    seen.send_modify(|seen| seen.resets.push(reason));
    Ok(())
}

/// Counts a `Watch` as dead, be it by a reset, a lost connection or an abort.
struct Died<'s>(&'s watch::Sender<Seen>);

impl Drop for Died<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|seen| seen.dead += 1);
    }
}

/// 64 MiB as fast as windows allow.
async fn pull(mut send: SendStream<Bytes>, seen: &watch::Sender<Seen>) -> Result<(), h2::Error> {
    let chunk = frame(&[7; 64 * 1024 - 5]);
    for _ in 0..1024 {
        let mut rest = chunk.clone();
        while !rest.is_empty() {
            send.reserve_capacity(rest.len());
            let Some(room) = std::future::poll_fn(|cx| send.poll_capacity(cx)).await else { return Ok(()) };
            let part = rest.split_to(room?.min(rest.len()));
            seen.send_modify(|seen| seen.given += part.len());
            send.send_data(part, false)?;
        }
    }
    send.send_trailers(ok())
}

async fn hang(mut respond: SendResponse<Bytes>, seen: &watch::Sender<Seen>) -> Result<(), h2::Error> {
    let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await?;
    seen.send_modify(|seen| seen.resets.push(reason));
    pending().await
}

fn grpc() -> Response<()> {
    Response::builder().header("content-type", "application/grpc").header("x-engine", "1").body(()).unwrap()
}

fn failed() -> Response<()> {
    let mut response = grpc();
    response.headers_mut().insert("grpc-status", HeaderValue::from_static("5"));
    response
}

fn html() -> Response<()> {
    Response::builder().status(404).header("content-type", "text/html").body(()).unwrap()
}

/// 100 KiB of headers.
fn huge() -> Response<()> {
    let mut response = failed();
    for n in 0..100 {
        let name: HeaderName = format!("x-{n}").parse().unwrap();
        response.headers_mut().insert(name, "y".repeat(1024).parse().unwrap());
    }
    response
}

fn ok() -> HeaderMap {
    let status = HeaderName::from_static("grpc-status");
    [(status, HeaderValue::from_static("0"))].into_iter().collect()
}
