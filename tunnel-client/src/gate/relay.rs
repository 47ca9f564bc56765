//! One call on its way: forwarded without decoding, answered by the engine or by the status table.
//!
//! Dropping a relay resets both of its streams, so a cut session leaves nothing behind.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client::ResponseFuture};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header::CONTENT_TYPE};
use tokio::time::timeout;
use tonic::Code;
use tunnel_runtime::grpc;

use super::{
    answer::Answer,
    call::is_grpc,
    cut::Cut,
    ledger::Ledger,
    metadata::{RequestMetadata, strip_hop},
    metrics::EngineFault,
    pipe::{self, Broken},
    status::Refusal,
    upstream::Upstream,
};

/// A call that was let through.
pub(super) struct Relay {
    pub(super) upstream: Arc<Upstream>,
    pub(super) metadata: Arc<RequestMetadata>,
    pub(super) uri: Uri,
    pub(super) timeout: Duration,
    pub(super) headers: HeaderMap,
    pub(super) body: RecvStream,
    pub(super) ledger: Ledger,
    pub(super) cut: Cut,
}

/// How a call ended before the engine ended it.
#[derive(Debug)]
pub(super) enum Failure {
    /// We say so, and why.
    Refuse(Refusal),
    /// The engine reset the stream: so do we.
    Reset(Reason),
    /// The operator is gone: nobody to tell.
    Gone,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}

impl From<Broken> for Failure {
    /// On the way down: the source is the engine, the sink the operator.
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Source(error) => engine_failed(&error),
            Broken::Sink => Self::Gone,
        }
    }
}

impl Relay {
    /// Runs the call to its end; whatever fails is on the operator's stream when this returns.
    pub(super) async fn run(mut self, answer: &mut Answer) -> Result<(), Failure> {
        let (deadline, ledger, cut) = (self.timeout, self.ledger.clone(), self.cut.clone());
        let forwarded = timeout(deadline, cut.unless(self.forward(answer))).await;
        let ended = forwarded.unwrap_or(Err(Failure::Refuse(Refusal::Deadline)));
        match &ended {
            Ok(code) => ledger.finish(*code),
            Err(Failure::Refuse(refusal)) => ledger.finish(refusal.code()),
            Err(Failure::Reset(reason)) => ledger.finish(code_of_reset(*reason)),
            Err(Failure::Gone) => ledger.finish(Code::Cancelled),
        }
        ended.map(drop)
    }

    async fn forward(&mut self, answer: &mut Answer) -> Result<Code, Failure> {
        self.ledger.intend().await?;
        let (response, mut upward) = answer.unless_reset(self.send()).await?;
        let ledger = &self.ledger;
        let mut up = pin!(pipe::messages(&mut self.body, &mut upward, |count| ledger.add_up(count)));
        let mut down = pin!(bring_back(response, answer, ledger));
        let mut sending = true;
        poll_fn(|cx| {
            if sending && let Poll::Ready(sent) = up.as_mut().poll(cx) {
                sending = false;
                if let Err(Broken::Source(error)) = sent {
                    return Poll::Ready(Err(operator_failed(&error)));
                }
            }
            down.as_mut().poll(cx)
        })
        .await
    }

    /// Opens the stream to the engine.
    async fn send(&mut self) -> Result<(ResponseFuture, SendStream<Bytes>), Failure> {
        let mut sender = self.upstream.sender().await?;
        let mut headers = self.metadata.rewrite(std::mem::take(&mut self.headers));
        let left = grpc::timeout::format(self.timeout);
        let mut left = HeaderValue::from_str(&left).map_err(|_| Failure::Refuse(Refusal::Deadline))?;
        // No secret, but never the same twice: keeps it out of HPACK's table.
        left.set_sensitive(true);
        headers.insert(TIMEOUT, left);
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = std::mem::take(&mut self.uri);
        *request.headers_mut() = headers;
        let sent = sender.send_request(request, self.body.is_end_stream());
        sent.map_err(|error| engine_failed(&error))
    }
}

/// Brings the engine's answer to the operator.
async fn bring_back(response: ResponseFuture, answer: &mut Answer, ledger: &Ledger) -> Result<Code, Failure> {
    let response = answer.unless_reset(async { response.await.map_err(Broken::Source) }).await?;
    let (mut head, mut body) = response.into_parts();
    let grpc = head.headers.get(CONTENT_TYPE).is_some_and(|value| is_grpc(value.as_bytes()));
    if head.status != http::StatusCode::OK || !grpc {
        return Err(fault(Refusal::EngineNotGrpc));
    }
    strip_hop(&mut head.headers);
    ledger.add_head(&head.headers)?;
    let end = body.is_end_stream();
    let code = code(&head.headers);
    if end && code.is_none() {
        return Err(fault(Refusal::EngineNoStatus));
    }
    answer.start(http::Response::from_parts(head, ()), end)?;
    match code {
        Some(code) if end => Ok(code),
        _ => stream_back(&mut body, answer, ledger).await,
    }
}

async fn stream_back(body: &mut RecvStream, answer: &mut Answer, ledger: &Ledger) -> Result<Code, Failure> {
    while let Some(chunk) = next(body, answer).await? {
        ledger.add_down(chunk.len())?;
        if body.is_end_stream() {
            // No trailers can follow: the engine's last word would be missing.
            break;
        }
        answer.pass(body, chunk).await?;
    }
    let trailers = answer.unless_reset(pipe::trailers(body)).await?;
    let trailers = trailers.ok_or_else(|| fault(Refusal::EngineNoStatus))?;
    ledger.add_head(&trailers)?;
    let code = code(&trailers).ok_or_else(|| fault(Refusal::EngineNoStatus))?;
    answer.finish(trailers)?;
    Ok(code)
}

async fn next(body: &mut RecvStream, answer: &mut Answer) -> Result<Option<Bytes>, Failure> {
    Ok(answer.unless_reset(pipe::chunk(body)).await?)
}

/// The status that headers or trailers end a call with.
fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get(STATUS).map(|value| Code::from_bytes(value.as_bytes()))
}

fn engine_failed(error: &h2::Error) -> Failure {
    match pipe::peer_reset(error) {
        Some(Reason::REFUSED_STREAM) => fault(Refusal::EngineDown),
        Some(reason) => {
            if reason != Reason::CANCEL {
                EngineFault::Call.count();
            }
            Failure::Reset(reason)
        }
        // h2 itself refused what the engine sent.
        None if error.is_library() => fault(refused_by_h2(error)),
        None => fault(Refusal::EngineLost),
    }
}

/// What the operator's gRPC library makes of a reset, so that both sides count the same: gRPC over HTTP/2, "Errors".
fn code_of_reset(reason: Reason) -> Code {
    match reason {
        Reason::REFUSED_STREAM => Code::Unavailable,
        Reason::CANCEL => Code::Cancelled,
        Reason::ENHANCE_YOUR_CALM => Code::ResourceExhausted,
        Reason::INADEQUATE_SECURITY => Code::PermissionDenied,
        _ => Code::Internal,
    }
}

fn refused_by_h2(error: &h2::Error) -> Refusal {
    match error.reason() {
        Some(Reason::ENHANCE_YOUR_CALM) => Refusal::EngineFlood,
        _ if error.is_reset() => Refusal::EngineHeaders,
        _ => Refusal::EngineNotGrpc,
    }
}

fn operator_failed(error: &h2::Error) -> Failure {
    match pipe::peer_reset(error) {
        Some(_) => Failure::Gone,
        None => Failure::Reset(Reason::CANCEL),
    }
}

fn fault(refusal: Refusal) -> Failure {
    EngineFault::Call.count();
    Failure::Refuse(refusal)
}

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
