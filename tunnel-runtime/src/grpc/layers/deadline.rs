//! The time until a response's head: the server's, or the caller's `grpc-timeout` if that is shorter.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Request, Response};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use super::{Answer, answer};
use crate::grpc::timeout;

/// Answers `DEADLINE_EXCEEDED` when the head takes too long.
#[derive(Debug, Clone, Copy)]
pub struct DeadlineLayer {
    most: Duration,
}

/// See [`DeadlineLayer`].
#[derive(Debug, Clone)]
pub struct Deadline<S> {
    inner: S,
    most: Duration,
}

impl DeadlineLayer {
    /// Allows at most `most`.
    pub const fn new(most: Duration) -> Self {
        Self { most }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { inner, most: self.most }
    }
}

impl<S, B> Service<Request<B>> for Deadline<S>
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
        let deadline = asked(request.headers()).map_or(self.most, |asked| asked.min(self.most));
        let response = self.inner.call(request);
        Box::pin(async move {
            let late = || Ok(answer(Status::deadline_exceeded(format!("no answer within {deadline:?}"))));
            tokio::time::timeout(deadline, response).await.unwrap_or_else(|_| late())
        })
    }
}

/// A malformed one is as good as none.
fn asked(headers: &HeaderMap) -> Option<Duration> {
    timeout::parse(headers.get("grpc-timeout")?.as_bytes()).ok()
}
