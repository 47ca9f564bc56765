//! An engine of raw HTTP/2 that says what a test tells it to, method by method; dropping it ends it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use h2::server::{self, SendResponse};
use http::{HeaderMap, HeaderValue, Response};
use prost::Message as _;
use tempfile::TempDir;
use tokio::{
    net::{UnixListener, UnixStream},
    time::{Instant, interval},
};
use tracing::Span;
use tunnel_protos::dynamic::DynamicMessage;
use tunnel_runtime::tasks::{Task, Tasks};

use super::{
    Engine,
    profile::testing::{PROFILE, parse},
};

/// What a method does.
#[derive(Debug, Clone)]
pub(crate) enum Says {
    /// These messages, then OK.
    Messages(Vec<Vec<u8>>),
    /// This status, with a text.
    Status(u32, &'static str),
    /// This message for ever.
    Flood(Vec<u8>),
    /// Nothing.
    Hang,
}

impl Says {
    pub(crate) fn one(message: &DynamicMessage) -> Self {
        Self::Messages(vec![message.encode_to_vec()])
    }
}

/// The engine of [`super::profile::testing`].
pub(crate) struct Scripted {
    folder: TempDir,
    _task: Task<()>,
}

impl Scripted {
    /// Methods of `shop.v1.Admin` by their names; others do not exist.
    pub(crate) fn start(script: impl IntoIterator<Item = (&'static str, Says)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("engine.sock")).unwrap();
        let script = Arc::new(script.into_iter().collect());
        Self { _task: Task::spawn(Span::none(), listen(listener, script)), folder }
    }

    /// As the profile that maps all of it; its target `b` does not answer.
    pub(crate) fn engine(&self) -> Engine {
        self.engine_with("", "")
    }

    /// With something else in the profile.
    pub(crate) fn engine_with(&self, from: &str, to: &str) -> Engine {
        let socket = format!("unix:{}", self.folder.path().join("engine.sock").display());
        let text = PROFILE.replace("http://127.0.0.1:1\"", &format!("{socket}\""));
        let text = text.replace("http://127.0.0.1:2", "unix:/nowhere/engine.sock").replace(from, to);
        Engine::new(parse(&text).unwrap())
    }
}

/// The most that others may wait, in milliseconds.
pub(crate) const GAP: u128 = 200;

/// What comes of `work`, and for how long another task of its thread had to wait meanwhile, at most.
pub(crate) async fn beside<T>(work: impl Future<Output = T>) -> (T, u128) {
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    let mut ticks = interval(Duration::from_millis(10));
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return (done, longest.max(last.elapsed()).as_millis()),
            _ = ticks.tick() => (longest, last) = (longest.max(last.elapsed()), Instant::now()),
        }
    }
}

type Script = Arc<HashMap<&'static str, Says>>;

async fn listen(listener: UnixListener, script: Script) {
    let connections = Tasks::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(Span::none(), connection(stream, script.clone()));
    }
}

async fn connection(stream: UnixStream, script: Script) {
    let calls = Tasks::new();
    let Ok(mut connection) = server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        let says = script.get(method).cloned().unwrap_or(Says::Status(12, "no such method"));
        // An error is a caller who went away.
        calls.spawn(Span::none(), async move { drop(answer(respond, says).await) });
    }
}

async fn answer(mut respond: SendResponse<Bytes>, says: Says) -> Result<(), h2::Error> {
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut send = respond.send_response(head, false)?;
    match says {
        Says::Messages(messages) => {
            for message in messages {
                send.send_data(frame(&message), false)?;
            }
            send.send_trailers(status(0, ""))
        }
        Says::Status(code, text) => send.send_trailers(status(code, text)),
        Says::Flood(message) => loop {
            send.reserve_capacity(message.len() + 5);
            match std::future::poll_fn(|cx| send.poll_capacity(cx)).await {
                Some(Ok(_)) => send.send_data(frame(&message), false)?,
                _ => return Ok(()),
            }
        },
        Says::Hang => std::future::poll_fn(|cx| send.poll_reset(cx)).await.map(drop),
    }
}

fn frame(message: &[u8]) -> Bytes {
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    frame.into()
}

fn status(code: u32, text: &'static str) -> HeaderMap {
    HeaderMap::from_iter([
        (http::HeaderName::from_static("grpc-status"), HeaderValue::from(code)),
        (http::HeaderName::from_static("grpc-message"), HeaderValue::from_static(text)),
    ])
}
