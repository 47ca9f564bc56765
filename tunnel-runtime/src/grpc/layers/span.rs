//! A span around every request, and one line when it ends.

use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response};
use tonic::{Code, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument, debug, info_span};

use super::Answer;

/// Names each request's span `rpc`, with the method; logs how it ended at debug level.
#[derive(Debug, Clone, Copy)]
pub struct SpanLayer;

/// See [`SpanLayer`].
#[derive(Debug, Clone)]
pub struct Spans<S> {
    inner: S,
}

impl<S> Layer<S> for SpanLayer {
    type Service = Spans<S>;

    fn layer(&self, inner: S) -> Spans<S> {
        Spans { inner }
    }
}

impl<S, B> Service<Request<B>> for Spans<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Escaped by Debug: a path is the peer's text.
        let span = info_span!("rpc", method = ?request.uri().path());
        let response = span.in_scope(|| self.inner.call(request));
        Box::pin(
            async move {
                let response = response.await?;
                match status(response.headers()) {
                    Some(code) => debug!(?code, "Answered"),
                    None => debug!("Answering"),
                }
                Ok(response)
            }
            .instrument(span),
        )
    }
}

/// Only a response without a body has its status in the head.
fn status(head: &HeaderMap) -> Option<Code> {
    head.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}
