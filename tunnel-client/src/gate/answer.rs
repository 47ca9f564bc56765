//! The operator's end of one call: answered once, by the engine's words or by ours.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use tonic::Status;

use super::{
    pipe::{self, Broken},
    status::{Refusal, Shape},
};

/// The operator's end of one call; dropping it unanswered resets the stream.
pub(super) struct Answer {
    respond: SendResponse<Bytes>,
    stream: Option<SendStream<Bytes>>,
}

impl Answer {
    pub(super) fn new(respond: SendResponse<Bytes>) -> Self {
        Self { respond, stream: None }
    }

    /// Sends the engine's headers; `end` if nothing follows.
    pub(super) fn start(&mut self, response: Response<()>, end: bool) -> Result<(), Broken> {
        let sent = self.respond.send_response(response, end);
        self.stream = Some(sent.map_err(|_| Broken::Sink)?);
        Ok(())
    }

    /// Passes one chunk on.
    pub(super) async fn pass(&mut self, from: &mut RecvStream, chunk: Bytes) -> Result<(), Broken> {
        let stream = self.stream.as_mut().ok_or(Broken::Sink)?;
        pipe::pass(from, stream, chunk).await
    }

    /// Sends bytes of our own.
    pub(super) async fn send(&mut self, bytes: Bytes) -> Result<(), Broken> {
        let stream = self.stream.as_mut().ok_or(Broken::Sink)?;
        pipe::fill(stream, bytes, false).await
    }

    /// Ends with the engine's trailers.
    pub(super) fn finish(&mut self, trailers: HeaderMap) -> Result<(), Broken> {
        let stream = self.stream.as_mut().ok_or(Broken::Sink)?;
        stream.send_trailers(trailers).map_err(|_| Broken::Sink)
    }

    /// Ends with a status of ours: alone, or as trailers after what was sent. Failing means that nobody listens.
    pub(super) fn refuse(&mut self, refusal: &Refusal, status: &Status) {
        let mut headers = HeaderMap::new();
        if status.add_header(&mut headers).is_err() {
            return self.reset(Reason::INTERNAL_ERROR);
        }
        let _ = match &mut self.stream {
            Some(stream) => stream.send_trailers(headers),
            None => self.respond.send_response(alone(headers, refusal), true).map(drop),
        };
    }

    /// Passes a reset on.
    pub(super) fn reset(&mut self, reason: Reason) {
        match &mut self.stream {
            Some(stream) => stream.send_reset(reason),
            None => self.respond.send_reset(reason),
        }
    }

    /// Runs `work` until it ends or the operator resets the stream.
    pub(super) async fn unless_reset<T, E: From<Broken>>(
        &mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => {
                let reset = match &mut self.stream {
                    Some(stream) => stream.poll_reset(cx),
                    None => self.respond.poll_reset(cx),
                };
                reset.map(|_| Err(Broken::Sink.into()))
            }
        })
        .await
    }
}

fn alone(mut headers: HeaderMap, refusal: &Refusal) -> Response<()> {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let mut response = Response::new(());
    // What is no gRPC client would take 200 for a yes.
    *response.status_mut() = match refusal {
        Refusal::Shape(Shape::Method) => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::Shape(Shape::ContentType) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refusal::Shape(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    *response.headers_mut() = headers;
    response
}
