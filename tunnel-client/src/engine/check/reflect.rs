//! The live engine's descriptors by its own reflection, v1 or v1alpha; bounded in size, number and time.
//!
//! For looking only: what may be called is never taken from an engine.

use std::time::Duration;

use tokio::time::timeout;
use tonic::{Code, Status, transport::Channel};
use tonic_reflection::pb::{v1, v1alpha};
use tunnel_protos::{
    TargetName,
    dynamic::{Descriptors, DescriptorsError, FileError, FileSet},
};

use crate::engine::{CallError, Engine};

/// Why an engine's descriptors could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ReflectError {
    /// It serves no reflection at all.
    #[error("the engine serves no reflection")]
    Unserved,
    /// No connection, or no credential.
    #[error("asking for reflection")]
    Call(#[source] CallError),
    /// Reflection ended badly.
    #[error("reflection answered {:?}: {}", .0.code(), tunnel_protos::text::escape(.0.message(), SHOWN))]
    Status(Status),
    /// What came is no set of descriptors.
    #[error("reflection gave a bad file")]
    File(#[source] FileError),
    /// The files do not belong together.
    #[error("reflection gave files that do not fit together")]
    Set(#[source] DescriptorsError),
    /// Not within the deadline.
    #[error("reflection took longer than {} s", DEADLINE.as_secs())]
    Deadline,
}

/// Every file that the target's services are declared in.
pub async fn reflect(engine: &Engine, target: &TargetName) -> Result<FileSet, ReflectError> {
    timeout(DEADLINE, gather(engine, target)).await.unwrap_or(Err(ReflectError::Deadline))
}

async fn gather(engine: &Engine, target: &TargetName) -> Result<FileSet, ReflectError> {
    let channel = engine.channel(target).await.map_err(ReflectError::Call)?;
    let mut asker = Asker { engine, channel, version: Version::V1 };
    let services = asker.services().await?;
    let mut files = FileSet::default();
    for service in services.iter().filter(|service| !service.starts_with("grpc.reflection.")) {
        if !files.declares(service) {
            asker.add(Ask::Symbol(service.clone()), &mut files).await?;
        }
    }
    while let Some(missing) = files.missing().map(str::to_owned) {
        asker.add(Ask::File(missing.clone()), &mut files).await?;
        if !files.has(&missing) {
            return Err(ReflectError::Status(Status::not_found(missing)));
        }
    }
    Ok(files)
}

/// What can be asked.
enum Ask {
    Services,
    Symbol(String),
    File(String),
}

/// What can be answered.
enum Told {
    Services(Vec<String>),
    Files(Vec<Vec<u8>>),
}

#[derive(Debug, Clone, Copy)]
enum Version {
    V1,
    V1Alpha,
}

struct Asker<'e> {
    engine: &'e Engine,
    channel: Channel,
    version: Version,
}

impl Asker<'_> {
    /// Settles on the version that the engine knows.
    async fn services(&mut self) -> Result<Vec<String>, ReflectError> {
        for version in [Version::V1, Version::V1Alpha] {
            self.version = version;
            match self.ask(Ask::Services).await {
                Ok(Told::Services(names)) => return Ok(names),
                Ok(Told::Files(_)) => {
                    return Err(ReflectError::Status(Status::internal("an answer to another question")));
                }
                Err(ReflectError::Status(status)) if status.code() == Code::Unimplemented => {}
                Err(error) => return Err(error),
            }
        }
        Err(ReflectError::Unserved)
    }

    async fn add(&self, question: Ask, files: &mut FileSet) -> Result<(), ReflectError> {
        if let Told::Files(found) = self.ask(question).await? {
            for file in found {
                files.add(&file).map_err(ReflectError::File)?;
            }
        }
        Ok(())
    }

    async fn ask(&self, question: Ask) -> Result<Told, ReflectError> {
        match self.version {
            Version::V1 => self.ask_v1(question).await,
            Version::V1Alpha => self.ask_v1alpha(question).await,
        }
    }
}

/// The two versions are the same messages under two names; generics over generated code would be longer.
macro_rules! version {
    ($ask:ident, $pb:ident) => {
        impl Asker<'_> {
            async fn $ask(&self, question: Ask) -> Result<Told, ReflectError> {
                use $pb::{
                    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
                };
                let message = match question {
                    Ask::Services => MessageRequest::ListServices(String::new()),
                    Ask::Symbol(name) => MessageRequest::FileContainingSymbol(name),
                    Ask::File(name) => MessageRequest::FileByFilename(name),
                };
                let message =
                    $pb::ServerReflectionRequest { host: String::new(), message_request: Some(message) };
                let request =
                    self.engine.authorized(tokio_stream::once(message)).map_err(ReflectError::Call)?;
                let mut client =
                    $pb::server_reflection_client::ServerReflectionClient::new(self.channel.clone())
                        .max_decoding_message_size(LARGEST);
                let answers = client.server_reflection_info(request).await.map_err(ReflectError::Status)?;
                let answer = answers.into_inner().message().await.map_err(ReflectError::Status)?;
                match answer.and_then(|answer| answer.message_response) {
                    Some(MessageResponse::ListServicesResponse(list)) => {
                        Ok(Told::Services(list.service.into_iter().map(|service| service.name).collect()))
                    }
                    Some(MessageResponse::FileDescriptorResponse(files)) => {
                        Ok(Told::Files(files.file_descriptor_proto))
                    }
                    Some(MessageResponse::ErrorResponse(error)) => Err(ReflectError::Status(Status::new(
                        Code::from_i32(error.error_code),
                        error.error_message,
                    ))),
                    _ => Err(ReflectError::Status(Status::internal("no answer"))),
                }
            }
        }
    };
}

version!(ask_v1, v1);
version!(ask_v1alpha, v1alpha);

impl ReflectError {
    /// Whether it is no fault of the engine to have none.
    pub(super) fn is_unserved(&self) -> bool {
        matches!(self, Self::Unserved)
    }
}

/// The descriptors in `files`.
pub(super) fn descriptors(files: &FileSet) -> Result<Descriptors, ReflectError> {
    files.descriptors().map_err(ReflectError::Set)
}

/// A schema comes in many small answers; an engine that drips them is not waited for.
const DEADLINE: Duration = Duration::from_secs(15);
/// Of an engine's message.
pub(super) const SHOWN: usize = 512;
/// More than any real file's descriptor.
const LARGEST: usize = 8 << 20;
