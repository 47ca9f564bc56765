//! Descriptors by server reflection through the session; the gate serves them from the customer's own set.

use std::time::Duration;

use tokio::time::timeout;
use tonic::{Code, Status, transport::Channel};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest as Ask, server_reflection_response::MessageResponse as Answer,
};
use tunnel_protos::dynamic::{Descriptors, FileSet};
use tunnel_runtime::chain;

use super::Error;
use crate::console::safe;

/// The services that the session may see.
pub async fn list_services(channel: Channel) -> Result<Vec<String>, Error> {
    match ask(&channel, Ask::ListServices(String::new())).await? {
        Answer::ListServicesResponse(list) => {
            Ok(list.service.into_iter().map(|service| service.name).collect())
        }
        other => Err(unexpected(other)),
    }
}

/// The descriptors of the file that declares `symbol`, with all that it imports.
pub async fn reflect(channel: Channel, symbol: &str) -> Result<Descriptors, Error> {
    let mut files = FileSet::default();
    load(&channel, Ask::FileContainingSymbol(symbol.into()), &mut files).await?;
    while let Some(missing) = files.missing().map(str::to_owned) {
        load(&channel, Ask::FileByFilename(missing.clone()), &mut files).await?;
        if !files.has(&missing) {
            return Err(Error::Reflection(format!("imports of {} cannot be resolved", safe(&missing))));
        }
    }
    files.descriptors().map_err(Error::Descriptors)
}

async fn load(channel: &Channel, question: Ask, files: &mut FileSet) -> Result<(), Error> {
    match ask(channel, question).await? {
        Answer::FileDescriptorResponse(answer) => {
            let add = |bytes: &Vec<u8>| files.add(bytes);
            let added = answer.file_descriptor_proto.iter().try_for_each(add);
            added.map_err(|error| Error::Reflection(chain(&error).to_string()))
        }
        other => Err(unexpected(other)),
    }
}

/// One question per stream: few are asked, and no stream is left half open.
async fn ask(channel: &Channel, question: Ask) -> Result<Answer, Error> {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut client = ServerReflectionClient::new(channel.clone()).max_decoding_message_size(LARGEST);
    let exchange = async {
        let mut answers = client.server_reflection_info(tokio_stream::once(request)).await?.into_inner();
        answers.message().await
    };
    let late = |_| Err(Status::deadline_exceeded("the engine's reflection did not answer"));
    let answer = timeout(DEADLINE, exchange).await.unwrap_or_else(late).map_err(refused)?;
    answer.and_then(|answer| answer.message_response).ok_or_else(|| Error::Reflection("no answer".into()))
}

/// Reflection that is absent or not granted, or knows nothing of that name, is not the status of the call wanted.
fn refused(status: Status) -> Error {
    match status.code() {
        Code::NotFound | Code::Unimplemented => Error::Reflection(safe(status.message())),
        Code::PermissionDenied => Error::Reflection("the customer grants none".into()),
        _ => status.into(),
    }
}

fn unexpected(answer: Answer) -> Error {
    match answer {
        Answer::ErrorResponse(error) => Error::Reflection(safe(&error.error_message)),
        _ => Error::Reflection("an answer to another question".into()),
    }
}

/// The gate answers from memory.
const DEADLINE: Duration = Duration::from_secs(15);
/// More than any real file's descriptor.
const LARGEST: usize = 8 << 20;
