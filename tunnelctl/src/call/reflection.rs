//! Descriptors by server reflection through the session; the gate serves them from the customer's own set.

use std::{collections::BTreeMap, time::Duration};

use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tokio::time::timeout;
use tonic::{Code, Status, transport::Channel};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest as Ask, server_reflection_response::MessageResponse as Answer,
};
use tunnel_protos::dynamic::Descriptors;

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
    let mut files = BTreeMap::new();
    load(&channel, Ask::FileContainingSymbol(symbol.into()), &mut files).await?;
    while let Some(missing) = missing(&files) {
        load(&channel, Ask::FileByFilename(missing.clone()), &mut files).await?;
        if !files.contains_key(&missing) || files.len() > MOST_FILES {
            return Err(Error::Reflection(format!("imports of {} cannot be resolved", safe(&missing))));
        }
    }
    let set = FileDescriptorSet { file: in_order(files) };
    Descriptors::decode(&set.encode_to_vec()).map_err(Error::Descriptors)
}

type Files = BTreeMap<String, FileDescriptorProto>;

async fn load(channel: &Channel, question: Ask, files: &mut Files) -> Result<(), Error> {
    match ask(channel, question).await? {
        Answer::FileDescriptorResponse(answer) => {
            for bytes in answer.file_descriptor_proto {
                let file = FileDescriptorProto::decode(bytes.as_slice())
                    .map_err(|error| Error::Reflection(error.to_string()))?;
                files.insert(file.name().to_owned(), file);
            }
            Ok(())
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

fn missing(files: &Files) -> Option<String> {
    let mut imports = files.values().flat_map(|file| &file.dependency);
    imports.find(|name| !files.contains_key(*name)).cloned()
}

/// Imported files first, as descriptor sets have them; a cycle stays in and is refused by the decoder.
fn in_order(mut files: Files) -> Vec<FileDescriptorProto> {
    let mut ordered: Vec<FileDescriptorProto> = Vec::with_capacity(files.len());
    loop {
        let ready = |file: &FileDescriptorProto| file.dependency.iter().all(|name| !files.contains_key(name));
        let Some(name) = files.iter().find(|(_, file)| ready(file)).map(|(name, _)| name.clone()) else {
            ordered.extend(files.into_values());
            return ordered;
        };
        ordered.extend(files.remove(&name));
    }
}

/// The gate answers from memory.
const DEADLINE: Duration = Duration::from_secs(15);
/// More than any real schema imports.
const MOST_FILES: usize = 1_000;
/// More than any real file's descriptor.
const LARGEST: usize = 8 << 20;
