//! An operator of raw HTTP/2 over any stream.

use bytes::{Bytes, BytesMut};
use h2::{
    RecvStream, SendStream,
    client::{self, ResponseFuture, SendRequest},
};
use http::{HeaderMap, Request, StatusCode};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tracing::Span;
use tunnel_runtime::tasks::Task;

use super::{PATIENCE, engine::frame};

/// An operator's HTTP/2 connection.
pub(in crate::gate) struct Operator {
    send: SendRequest<Bytes>,
    _connection: Task<Result<(), h2::Error>>,
}

/// What came back of a call.
#[derive(Debug)]
pub(in crate::gate) struct Reply {
    pub(in crate::gate) http: StatusCode,
    pub(in crate::gate) headers: HeaderMap,
    pub(in crate::gate) data: Bytes,
    pub(in crate::gate) status: Status,
}

impl Reply {
    /// The reason in the status's `ErrorInfo`.
    pub(in crate::gate) fn reason(&self) -> String {
        self.status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
    }
}

impl Operator {
    pub(in crate::gate) async fn connect<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = client::Builder::new();
        builder
            .initial_max_send_streams(2_000)
            .initial_connection_window_size(16 << 20)
            .data_frame_budget(16 << 20);
        let (send, connection) = builder.handshake(stream).await.unwrap();
        Self { send, _connection: Task::spawn(Span::none(), connection) }
    }

    /// A request to one method of the test engine.
    pub(in crate::gate) fn request(method: &str) -> Request<()> {
        Request::post(format!("https://door.example/engine.admin.v1.Admin/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap()
    }

    /// Begins a call; `end` if the request has no message.
    pub(in crate::gate) async fn begin(
        &mut self,
        request: Request<()>,
        end: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        self.send = self.send.clone().ready().await.unwrap();
        self.send.send_request(request, end).unwrap()
    }

    /// A whole call with one message.
    pub(in crate::gate) async fn call(&mut self, method: &str) -> Reply {
        self.send(Self::request(method)).await
    }

    /// A whole call of any request with one message.
    pub(in crate::gate) async fn send(&mut self, request: Request<()>) -> Reply {
        let (response, mut body) = self.begin(request, false).await;
        body.send_data(frame(b"hello"), true).unwrap();
        collect(response).await.unwrap()
    }
}

/// Reads an answer to its end.
pub(in crate::gate) async fn collect(response: ResponseFuture) -> Result<Reply, h2::Error> {
    timeout(PATIENCE, read(response)).await.expect("an answer in time")
}

async fn read(response: ResponseFuture) -> Result<Reply, h2::Error> {
    let (head, mut body) = response.await?.into_parts();
    let mut data = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        data.extend_from_slice(&chunk);
    }
    let trailers = trailers(&mut body).await?;
    let status = trailers.as_ref().or(Some(&head.headers)).and_then(Status::from_header_map);
    let status = status.unwrap_or_else(|| Status::new(Code::Unknown, "no status came"));
    Ok(Reply { http: head.status, headers: head.headers, data: data.freeze(), status })
}

async fn trailers(body: &mut RecvStream) -> Result<Option<HeaderMap>, h2::Error> {
    if body.is_end_stream() { Ok(None) } else { body.trailers().await }
}
