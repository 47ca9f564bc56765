//! The way to one operation: its own API behind its own door, by its own certificate.

use std::time::Duration;

use tonic::{Code, Response, Status, Streaming, transport::Channel};
use tunnel_protos::{
    TargetName,
    operations::v1::{
        BundleChunk, CancelRequest, Event, FetchBundleRequest, GetRequest, Operation, StartRequest,
        WatchRequest, operations_client::OperationsClient,
    },
};
use tunnel_runtime::exit::Exit;

use crate::{
    access::Gaining,
    console::safe,
    ending::Ending,
    failure::Failure,
    requester::{Answered, record::Record, wait::Finish},
    session::Session,
};

/// Why an operation cannot be looked at or told something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The customer's client says no, or nobody answers.
    #[error("{message}")]
    Status {
        /// As gRPC says it.
        code: Code,
        /// Safe to show.
        message: String,
    },
    /// No answer in time.
    #[error("the customer's client did not answer in time; try again")]
    Late,
    /// There is nothing to fetch, and there will not be.
    #[error("the operation made no bundle, or it was deleted")]
    NoBundle,
    /// Another bundle than the one that was released.
    #[error(
        "what came is not the bundle that the customer released: its digest is another one; nothing was kept"
    )]
    Digest,
    /// The bundle ended early, again and again.
    #[error("the bundle broke off after {got} of {wanted} bytes; nothing was kept")]
    Short {
        /// What came.
        got: u64,
        /// What was said to come.
        wanted: u64,
    },
    /// More than any client makes.
    #[error("a bundle of {0} bytes is larger than any that Postern makes; nothing was fetched")]
    Large(u64),
    /// More came than was said.
    #[error("more came than the {0} bytes of the bundle; nothing was kept")]
    Long(u64),
}

impl Error {
    /// How a command ends with it.
    pub(crate) const fn ending(&self) -> Ending {
        Ending::Exit(match self {
            Self::Status { code: Code::PermissionDenied, .. } => Exit::Denied,
            Self::Status { code: Code::Unauthenticated, .. } => Exit::Expired,
            Self::Status { .. }
            | Self::Late
            | Self::NoBundle
            | Self::Digest
            | Self::Short { .. }
            | Self::Large(_)
            | Self::Long(_) => Exit::Failed,
        })
    }

    /// Whether the same may be answered otherwise in a moment: a connection was lost, the customer paused.
    pub(crate) const fn may_pass(&self) -> bool {
        match self {
            Self::Status { code, .. } => !matches!(
                code,
                Code::Unimplemented | Code::NotFound | Code::InvalidArgument | Code::OutOfRange
            ),
            Self::Late => true,
            Self::NoBundle | Self::Digest | Self::Short { .. } | Self::Large(_) | Self::Long(_) => false,
        }
    }

    /// Whether its certificate is no longer good.
    pub(crate) const fn is_unauthenticated(&self) -> bool {
        matches!(self, Self::Status { code: Code::Unauthenticated, .. })
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let message = match status.message() {
            "" => format!("the operation's door answers {:?}", status.code()),
            said => safe(said),
        };
        Self::Status { code: status.code(), message }
    }
}

/// An operation within reach.
pub(crate) struct Door {
    client: OperationsClient<Channel>,
}

impl Door {
    /// Opens the way to an operation that was approved, by the session that lies here or by a new certificate, and looks
    /// at it once; the cluster's own word where it gives no certificate.
    pub(crate) async fn open(
        gaining: &mut Gaining<'_>,
        record: &Record,
    ) -> Result<Result<(Self, Operation), Finish>, Failure> {
        if let Some(session) = kept(gaining, record) {
            let mut door = Self::at(&session)?;
            match door.get().await {
                Ok(operation) => return Ok(Ok((door, operation))),
                // What lies here is no longer good, for whatever reason.
                Err(error) if error.is_unauthenticated() => {}
                Err(error) => return Err(error.into()),
            }
        }
        let folder = gaining.desk.sessions.folder(record.id.into());
        let session = match gaining.certificate(record, &folder).await? {
            Answered::Certificate(certified) => gaining.operation_session(record, &certified, folder).await?,
            Answered::No(finish) => return Ok(Err(*finish)),
        };
        let mut door = Self::at(&session)?;
        let operation = door.get().await?;
        Ok(Ok((door, operation)))
    }

    /// The same way anew, after its certificate has ended.
    pub(crate) async fn again(
        &mut self,
        gaining: &mut Gaining<'_>,
        record: &Record,
    ) -> Result<Result<Operation, Finish>, Failure> {
        Ok(match Self::open(gaining, record).await? {
            Ok((door, operation)) => {
                *self = door;
                Ok(operation)
            }
            Err(finish) => Err(finish),
        })
    }

    fn at(session: &Session) -> Result<Self, Failure> {
        let target = TargetName::operations();
        let line = session.line(&target)?.ok_or(Failure::NoDoor(target))?;
        let client = OperationsClient::new(line.channel()?).max_decoding_message_size(LARGEST);
        Ok(Self { client })
    }

    /// The operation as it stands.
    pub(crate) async fn get(&mut self) -> Result<Operation, Error> {
        answered(self.client.get(GetRequest {})).await
    }

    /// Begins one that waits for it.
    pub(crate) async fn start(&mut self) -> Result<Operation, Error> {
        answered(self.client.start(StartRequest {})).await
    }

    /// Stops it before its next step.
    pub(crate) async fn cancel(&mut self) -> Result<Operation, Error> {
        answered(self.client.cancel(CancelRequest {})).await
    }

    /// What happens to it from event `after` on.
    pub(crate) async fn watch(&mut self, after: u64) -> Result<Streaming<Event>, Error> {
        answered(self.client.watch(WatchRequest { after })).await
    }

    /// Its bundle from byte `offset` on.
    pub(crate) async fn fetch(&mut self, offset: u64) -> Result<Streaming<BundleChunk>, Error> {
        answered(self.client.fetch_bundle(FetchBundleRequest { offset })).await
    }
}

/// The session of an earlier command, while its certificate lasts for a call.
fn kept(gaining: &Gaining<'_>, record: &Record) -> Option<Session> {
    let session = Session::load(&gaining.desk.sessions.folder(record.id.into())).ok()?;
    let lasts = session.certificate_until > gaining.app.clock.now().plus(SHORTEST);
    (lasts && session.grant == record.id.into()).then_some(session)
}

async fn answered<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Error> {
    let answer = tokio::time::timeout(ANSWER, call).await.map_err(|_| Error::Late)?;
    Ok(answer?.into_inner())
}

/// A plan with all its requests; bundles come in small pieces.
const LARGEST: usize = 16 << 20;
/// The client may have to wait for its own disk, and the engine is not asked.
const ANSWER: Duration = Duration::from_secs(20);
/// Long enough to be checked at the gate.
const SHORTEST: Duration = Duration::from_secs(30);
