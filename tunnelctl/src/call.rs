//! Calls without generated code through a session: JSON in, JSON out, all four kinds, statuses as grpcurl shows them.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, client::Grpc, metadata::MetadataMap, transport::Channel};
use tunnel_protos::{
    MethodName,
    dynamic::{CallKind, Defaults, DescriptorsError, DynamicMessage, JsonError, Method, to_json},
};
use tunnel_runtime::exit::Exit;

use crate::{console::safe, ending::Ending};

mod details;
mod headers;
mod input;
pub mod proto;
mod reflection;

pub use self::{
    headers::parse as parse_headers,
    input::{Input, InputError},
    reflection::{list_services, reflect},
};

/// Why a call did not end with OK.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a header.
    #[error("{0:?} is not a header: write 'name: value'")]
    Header(String),
    /// The request's JSON is wrong or unreadable.
    #[error("the request")]
    Input(#[source] InputError),
    /// A descriptor set could not be used.
    #[error("the descriptor set")]
    Descriptors(#[source] DescriptorsError),
    /// Descriptors lack the method.
    #[error("no method {0} in the descriptors: see `tunnelctl call CLUSTER list`, or give --protoset")]
    NoMethod(MethodName),
    /// Reflection gave something else, or nothing.
    #[error("no descriptors by reflection ({0}): give --protoset")]
    Reflection(String),
    /// An answer has no JSON form.
    #[error("an answer")]
    Answer(#[source] JsonError),
    /// The gate or the engine ended the call.
    #[error("{code:?}: {message}")]
    Status {
        /// The status.
        code: Code,
        /// Its message, safe to show.
        message: String,
        /// Its details, safe to show.
        details: Vec<String>,
    },
}

impl Error {
    /// How the command ends.
    pub const fn ending(&self) -> Ending {
        match self {
            Self::Header(_) | Self::Input(_) | Self::Descriptors(_) | Self::NoMethod(_) => {
                Ending::Exit(Exit::Usage)
            }
            Self::Reflection(_) | Self::Answer(_) => Ending::Exit(Exit::Failed),
            Self::Status { code, .. } => Ending::Status(*code as u8),
        }
    }

    /// The facts beside the message, one line each.
    pub fn details(&self) -> &[String] {
        match self {
            Self::Status { details, .. } => details,
            _ => &[],
        }
    }

    /// Whether the end of the grant may be behind it: refused at the gate, or cut there.
    pub const fn may_be_the_grants_end(&self) -> Option<Code> {
        match self {
            Self::Status {
                code:
                    code @ (Code::Unauthenticated
                    | Code::Cancelled
                    | Code::Unavailable
                    | Code::Internal
                    | Code::Unknown),
                ..
            } => Some(*code),
            _ => None,
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let mut message = safe(status.message());
        // tonic puts some causes into the message and leaves others to the sources; the root is what helps.
        let root = std::iter::successors(std::error::Error::source(&status), |error| error.source()).last();
        if let Some(root) = root.map(|error| safe(&error.to_string()))
            && !message.contains(&root)
        {
            message = format!("{message}: {root}");
        }
        Self::Status { code: status.code(), message, details: details::lines(&status) }
    }
}

/// One call, ready to go.
#[derive(Debug)]
pub struct Call {
    /// The session's channel.
    pub channel: Channel,
    /// What to call.
    pub method: Method,
    /// With what headers.
    pub headers: MetadataMap,
    /// The engine is told this deadline; none for as long as the session lasts.
    pub max_time: Option<Duration>,
    /// When the session ends, and the call with it.
    pub until: Instant,
    /// Whether answers show fields at their defaults.
    pub defaults: Defaults,
}

impl Call {
    /// Feeds `input` to the method and each answer, as JSON, to `show`; ends with the call's status.
    pub async fn run(self, input: Input, show: &mut (dyn FnMut(&str) + Send)) -> Result<(), Error> {
        let until = self.max_time.map_or(self.until, |time| self.until.min(Instant::now() + time));
        let over = |_| Err(Status::deadline_exceeded("the call took longer than allowed").into());
        timeout_at(until, self.exchange(input, show)).await.unwrap_or_else(over)
    }

    /// Requests flow while answers come; a broken request ends the call at once.
    async fn exchange(self, input: Input, show: &mut (dyn FnMut(&str) + Send)) -> Result<(), Error> {
        let (sender, requests) = mpsc::channel(QUEUE);
        let feed = feed(self.method.clone(), input, sender);
        let answers = self.answers(requests, show);
        tokio::pin!(feed, answers);
        tokio::select! {
            ended = &mut answers => return ended,
            fed = &mut feed => fed?,
        }
        answers.await
    }

    async fn answers(
        self,
        requests: mpsc::Receiver<DynamicMessage>,
        show: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), Error> {
        let defaults = self.defaults;
        let mut client = Grpc::new(self.channel).max_decoding_message_size(LARGEST_MESSAGE);
        let unready = |error: tonic::transport::Error| Status::from_error(error.into());
        client.ready().await.map_err(unready)?;
        let mut request = Request::new(ReceiverStream::new(requests));
        *request.metadata_mut() = self.headers;
        if let Some(time) = self.max_time {
            request.set_timeout(time);
        }
        let path =
            self.method.name().path().parse().map_err(|_| Error::NoMethod(self.method.name().clone()))?;
        let mut answers = client.streaming(request, path, self.method.codec()).await?.into_inner();
        while let Some(answer) = answers.next().await {
            show(&to_json(&answer?, defaults).map_err(Error::Answer)?);
        }
        Ok(())
    }
}

async fn feed(method: Method, mut input: Input, sender: mpsc::Sender<DynamicMessage>) -> Result<(), Error> {
    let takes_one = matches!(method.kind(), CallKind::Unary | CallKind::ServerStream);
    let mut sent = 0_usize;
    while let Some(json) = input.next().await.map_err(Error::Input)? {
        if takes_one && sent == 1 {
            return Err(Error::Input(InputError::TooMany(method.name().clone())));
        }
        let message = method.request(&json).map_err(|error| Error::Input(InputError::Json(error)))?;
        // A closed queue means that the call ended early; its status says why.
        if sender.send(message).await.is_err() {
            return Ok(());
        }
        sent += 1;
    }
    if takes_one && sent == 0 {
        let empty = method.request("{}").map_err(|error| Error::Input(InputError::Json(error)))?;
        let _ = sender.send(empty).await;
    }
    Ok(())
}

/// Enough to keep the wire busy, little enough that standard input feels the engine's pace.
const QUEUE: usize = 16;
/// An engine's largest sensible answer; the whole of it is held in memory twice.
const LARGEST_MESSAGE: usize = 64 << 20;

#[cfg(test)]
mod tests;
