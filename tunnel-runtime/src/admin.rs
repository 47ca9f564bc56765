//! The admin port: `/live`, `/ready`, `/metrics`, answered from a thread and runtime of its own.
//!
//! Invariant: it answers while every other runtime of the process is busy or stuck, and a slow client of it
//! costs one bounded connection.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tracing::{debug, info_span};

use crate::{
    chain,
    ready::Readiness,
    shards::Shards,
    tasks::{Task, Tasks},
};

/// Scrapers and probes are few.
const CONNECTIONS: usize = 32;
/// A scrape of some thousand series takes milliseconds; connections are not kept for longer.
const CONNECTION: Duration = Duration::from_secs(10);
/// Histograms collect samples until they are drained; a process that is never scraped must not grow.
const UPKEEP: Duration = Duration::from_secs(5);
/// After a failed accept (no file descriptors, say), instead of spinning.
const PAUSE: Duration = Duration::from_millis(100);

/// A bound admin port that does not answer yet.
#[derive(Debug)]
pub struct Admin {
    listener: std::net::TcpListener,
}

/// A running admin port; dropping it ends its thread.
#[derive(Debug)]
pub struct AdminHandle {
    // Ended before its thread.
    _serving: Task<()>,
    _thread: Shards,
}

#[derive(Clone)]
struct Answers {
    readiness: Readiness,
    metrics: PrometheusHandle,
}

impl Admin {
    /// Binds the port.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// Where it is bound.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Starts to answer.
    pub fn serve(self, readiness: Readiness, metrics: PrometheusHandle) -> io::Result<AdminHandle> {
        let thread = Shards::start("admin", 1)?;
        let answers = Answers { readiness, metrics };
        let serving = thread.pick().spawn(info_span!("admin"), async move {
            match TcpListener::from_std(self.listener) {
                Ok(listener) => serve(listener, answers).await,
                Err(error) => debug!(error = %chain(&error), "Admin port cannot be served"),
            }
        });
        Ok(AdminHandle { _serving: serving, _thread: thread })
    }
}

async fn serve(listener: TcpListener, answers: Answers) {
    let (tasks, room) = (Tasks::new(), Arc::new(Semaphore::new(CONNECTIONS)));
    let metrics = answers.metrics.clone();
    tasks.spawn(info_span!("upkeep"), async move { upkeep(&metrics).await });
    tasks.supervise(accept(&tasks, &listener, &room, &answers)).await;
}

async fn upkeep(metrics: &PrometheusHandle) {
    let mut every = tokio::time::interval(UPKEEP);
    loop {
        every.tick().await;
        metrics.run_upkeep();
    }
}

async fn accept(tasks: &Tasks, listener: &TcpListener, room: &Arc<Semaphore>, answers: &Answers) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        // Too many: dropping the stream closes it.
        let Ok(permit) = Arc::clone(room).try_acquire_owned() else { continue };
        let answers = answers.clone();
        tasks.spawn(info_span!("scrape"), async move {
            let _permit = permit;
            let _ = timeout(CONNECTION, connection(stream, answers)).await;
        });
    }
}

async fn connection(stream: TcpStream, answers: Answers) {
    let service = service_fn(|request| {
        let response = answers.answer(&request);
        async { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        debug!(error = %chain(&error), "Admin connection ended early");
    }
}

impl Answers {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".into());
        }
        match request.uri().path() {
            "/live" => text(StatusCode::OK, "live\n".into()),
            "/ready" => self.ready(),
            "/metrics" => text(StatusCode::OK, self.metrics.render()),
            _ => text(StatusCode::NOT_FOUND, "/live, /ready, /metrics\n".into()),
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        match self.readiness.waiting_for().as_slice() {
            [] => text(StatusCode::OK, "ready\n".into()),
            waiting => text(StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {}\n", waiting.join(", "))),
        }
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, PLAIN);
    response
}

/// The version is that of Prometheus' text format; for the others it does no harm.
const PLAIN: http::HeaderValue = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

#[cfg(test)]
mod tests;
