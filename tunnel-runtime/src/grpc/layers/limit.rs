//! The number of requests at a time, counted until the last byte of the response has gone.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use super::{Answer, answer};

/// Answers `RESOURCE_EXHAUSTED` at once when there are too many, instead of queueing.
#[derive(Debug, Clone)]
pub struct LimitLayer {
    room: Arc<Semaphore>,
}

/// One caller's share of the requests at a time, in a request's extensions: one caller must not take the room of all.
#[derive(Debug, Clone)]
pub struct Share(Arc<Semaphore>);

/// See [`LimitLayer`].
#[derive(Debug, Clone)]
pub struct Limit<S> {
    inner: S,
    room: Arc<Semaphore>,
}

impl LimitLayer {
    /// Allows `most` at a time over all services that this layer is put around.
    pub fn new(most: usize) -> Self {
        Self { room: room(most) }
    }
}

impl Share {
    /// Allows `most` at a time over all clones.
    pub fn new(most: usize) -> Self {
        Self(room(most))
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limit<S>;

    fn layer(&self, inner: S) -> Limit<S> {
        Limit { inner, room: Arc::clone(&self.room) }
    }
}

impl<S, B> Service<Request<B>> for Limit<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answer<S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(permits) = permits(&self.room, request.extensions().get()) else {
            let full = answer(Status::resource_exhausted("too many requests at a time, try again"));
            return Box::pin(std::future::ready(Ok(full)));
        };
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await?;
            Ok(response.map(|body| Body::new(Counted { body, _permits: permits })))
        })
    }
}

/// Of all, and of the caller's share where it has one.
type Permits = (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

fn permits(room: &Arc<Semaphore>, share: Option<&Share>) -> Option<Permits> {
    let share = share.map(|Share(share)| Arc::clone(share).try_acquire_owned()).transpose().ok()?;
    Some((Arc::clone(room).try_acquire_owned().ok()?, share))
}

fn room(most: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))
}

/// A body that counts until it is dropped.
struct Counted {
    body: Body,
    _permits: Permits,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
