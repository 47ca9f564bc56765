//! Calls of our own to the engine, by descriptor or by raw bytes, each on its own connection and within a deadline.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::{HeaderValue, Uri, uri::PathAndQuery};
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint as Transport},
};
use tower::service_fn;
use tunnel_protos::{
    MethodName, TargetName,
    dynamic::{DynamicMessage, Method, Undecoded, UndecodedError},
};

use super::{
    CONNECT_DEADLINE, ConnectError, CredentialError, Engine,
    profile::{EvaluationError, TooLarge},
};

/// Why a call of our own failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection.
    #[error("cannot reach the engine")]
    Connect(#[source] tonic::transport::Error),
    /// The profile has no such target, or it takes no connection in time.
    #[error("the engine's target")]
    Target(#[source] ConnectError),
    /// Our own credential for it cannot be read.
    #[error("the engine's credential")]
    Credential(#[source] CredentialError),
    /// The engine's answer.
    #[error("the engine answered {:?}: {}", .0.code(), .0.message())]
    Status(Status),
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Deadline(Duration),
    /// A stream that does not end.
    #[error("the engine sent more than {MOST_MESSAGES} messages")]
    Endless,
    /// An answer that is not what the descriptors name, or more of it than is looked at.
    #[error("the engine's answer")]
    Answer(#[source] UndecodedError),
    /// An answer that the profile's expressions do not look at.
    #[error("the engine's answer")]
    Large(#[source] TooLarge),
    /// An answer that the profile's expression fails on.
    #[error("the engine's answer cannot be judged")]
    Judged(#[source] EvaluationError),
}

impl CallError {
    /// Whether the engine cannot have got the call.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Target(_) | Self::Credential(_))
    }
}

/// The answers of one call as they come; dropping it cancels the call.
#[derive(Debug)]
pub struct Messages {
    stream: Streaming<Bytes>,
    method: Method,
    end: Instant,
    deadline: Duration,
    came: usize,
}

impl Messages {
    /// The next answer; none once the engine has ended the call well.
    pub async fn next(&mut self) -> Result<Option<Undecoded>, CallError> {
        // An engine that always has a next message ready would never let the timer have its turn.
        if Instant::now() >= self.end {
            return Err(CallError::Deadline(self.deadline));
        }
        let next = timeout_at(self.end, self.stream.message()).await;
        let next = next.map_err(|_| CallError::Deadline(self.deadline))?.map_err(CallError::Status)?;
        self.came += usize::from(next.is_some());
        if self.came > MOST_MESSAGES {
            return Err(CallError::Endless);
        }
        Ok(next.map(|bytes| self.method.answer(bytes)))
    }
}

impl Engine {
    /// Calls a unary method of the descriptor set; answers are at most 4 MiB, and are decoded beside the runtime.
    pub async fn call(
        &self,
        target: &TargetName,
        method: &Method,
        request: DynamicMessage,
        deadline: Duration,
    ) -> Result<Undecoded, CallError> {
        let request = request.encode_to_vec().into();
        let answer = self.call_raw(target, method.name(), request, deadline).await?;
        Ok(method.answer(answer))
    }

    /// Calls a method whose answer may be a stream, on a connection of its own; it has to end by the deadline, which
    /// counts from when it is connected: a target that takes no connection has not got the call.
    ///
    /// A unary method gives one message.
    pub async fn stream(
        &self,
        target: &TargetName,
        method: &Method,
        request: DynamicMessage,
        deadline: Duration,
    ) -> Result<Messages, CallError> {
        let request = self.authorized(Bytes::from(request.encode_to_vec()))?;
        let path = method.name().path().parse::<PathAndQuery>();
        let path = path.map_err(|e| CallError::Status(Status::internal(e.to_string())))?;
        let late = |_| CallError::Target(ConnectError::Deadline);
        let mut client = timeout(CONNECT_DEADLINE, self.client(target)).await.map_err(late)??;
        let end = Instant::now() + deadline;
        let opened = timeout_at(end, client.server_streaming(request, path, RawCodec)).await;
        let stream = opened.map_err(|_| CallError::Deadline(deadline))?.map_err(CallError::Status)?;
        Ok(Messages { stream: stream.into_inner(), method: method.clone(), end, deadline, came: 0 })
    }

    /// Connected, and ready for one call.
    async fn client(&self, target: &TargetName) -> Result<Grpc<Channel>, CallError> {
        let mut client = Grpc::new(self.channel(target).await?);
        client.ready().await.map_err(CallError::Connect)?;
        Ok(client)
    }

    /// Calls a unary method with an encoded request; gives the encoded answer.
    pub(super) async fn call_raw(
        &self,
        target: &TargetName,
        method: &MethodName,
        request: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, CallError> {
        let call = self.unary(target, method, request);
        timeout(deadline, call).await.unwrap_or(Err(CallError::Deadline(deadline)))
    }

    async fn unary(
        &self,
        target: &TargetName,
        method: &MethodName,
        request: Bytes,
    ) -> Result<Bytes, CallError> {
        let request = self.authorized(request)?;
        let path = method.path().parse::<PathAndQuery>();
        let path = path.map_err(|e| CallError::Status(Status::internal(e.to_string())))?;
        let mut client = self.client(target).await?;
        client
            .unary(request, path, RawCodec)
            .await
            .map(tonic::Response::into_inner)
            .map_err(CallError::Status)
    }

    /// A request that carries the engine's own credential.
    pub(super) fn authorized<M>(&self, message: M) -> Result<Request<M>, CallError> {
        let mut request = Request::new(message);
        if let Some(value) = self.authorization().map_err(CallError::Credential)? {
            request.metadata_mut().insert("authorization", ascii(&value)?);
        }
        Ok(request)
    }

    /// A connection of its own: a probe must not stand behind operators' calls.
    pub(super) async fn channel(&self, target: &TargetName) -> Result<Channel, CallError> {
        let endpoint = self.address(target).ok_or(CallError::Target(ConnectError::UnknownTarget))?;
        let origin = format!("{}://{}", endpoint.scheme(), endpoint.authority());
        // The connector below does what the scheme says; tonic must not do it again.
        let transport = Transport::from_shared(format!("http://{}", endpoint.authority()));
        let origin = origin.parse::<Uri>().map_err(|e| CallError::Status(Status::internal(e.to_string())))?;
        let transport = transport.map_err(CallError::Connect)?.origin(origin);
        let (engine, target) = (self.clone(), target.clone());
        let connector = service_fn(move |_| {
            let (engine, target) = (engine.clone(), target.clone());
            async move { engine.connect_beside(&target).await.map(TokioIo::new) }
        });
        transport.connect_with_connector(connector).await.map_err(CallError::Connect)
    }
}

fn ascii(value: &HeaderValue) -> Result<tonic::metadata::AsciiMetadataValue, CallError> {
    let text = value.to_str().unwrap_or_default();
    let mut value: tonic::metadata::AsciiMetadataValue =
        text.parse().map_err(|_| CallError::Status(Status::internal("not a header value")))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Bytes in, bytes out.
#[derive(Debug, Clone, Copy)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Far beyond what any progress needs.
const MOST_MESSAGES: usize = 100_000;
