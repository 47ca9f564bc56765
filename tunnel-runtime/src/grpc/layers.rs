//! The layers around every gRPC service. Each answers with a gRPC status, never with an error of the transport.

mod deadline;
mod limit;
mod span;

pub use self::{
    deadline::DeadlineLayer,
    limit::{LimitLayer, Share},
    span::SpanLayer,
};

use std::{future::Future, pin::Pin};

use http::Response;
use tonic::{Status, body::Body};

/// Boxed, since these services handle a request of a person now and then, not bytes.
type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

fn answer(status: Status) -> Response<Body> {
    status.into_http()
}

#[cfg(test)]
mod tests;
