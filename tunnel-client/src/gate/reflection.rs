//! Server reflection as one grant may see it: the customer's descriptors, pruned to what is granted.
//!
//! Pure: a request in, an answer out. What is not granted is not found, whether it exists or not.

mod messages;
mod serve;

use std::collections::{BTreeSet, HashMap};

use tonic_reflection::pb::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
    ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tunnel_protos::dynamic::Pruned;

pub(super) use self::serve::Reflect;

/// What reflection tells.
#[derive(Debug)]
pub(super) struct Reflection {
    pruned: Pruned,
    by_name: HashMap<String, usize>,
    by_symbol: HashMap<String, usize>,
}

impl Reflection {
    /// Tells of all that `pruned` holds.
    pub(super) fn new(pruned: Pruned) -> Self {
        let files = || pruned.files.iter().enumerate();
        let by_name = files().map(|(place, file)| (file.name.clone(), place)).collect();
        let symbols =
            files().flat_map(|(place, file)| file.symbols.iter().map(move |name| (name.clone(), place)));
        let by_symbol = symbols.collect();
        Self { pruned, by_name, by_symbol }
    }

    /// Answers one request.
    pub(super) fn answer(&self, request: ServerReflectionRequest) -> ServerReflectionResponse {
        let answer = match &request.message_request {
            Some(MessageRequest::ListServices(_)) => self.services(),
            Some(MessageRequest::FileByFilename(name)) => self.file(&self.by_name, "file", name),
            Some(MessageRequest::FileContainingSymbol(name)) => self.file(&self.by_symbol, "symbol", name),
            Some(MessageRequest::AllExtensionNumbersOfType(name)) => self.no_extensions(name),
            Some(MessageRequest::FileContainingExtension(asked)) => {
                not_found("extension", &format!("{} of {}", asked.extension_number, asked.containing_type))
            }
            None => error(tonic::Code::InvalidArgument, "the request asks nothing".to_owned()),
        };
        ServerReflectionResponse {
            valid_host: request.host.clone(),
            original_request: Some(request),
            message_response: Some(answer),
        }
    }

    fn services(&self) -> MessageResponse {
        let service = |name: &String| ServiceResponse { name: name.clone() };
        let service = self.pruned.services.iter().map(service).collect();
        MessageResponse::ListServicesResponse(ListServiceResponse { service })
    }

    fn file(&self, index: &HashMap<String, usize>, kind: &str, name: &str) -> MessageResponse {
        let Some(place) = index.get(name) else { return not_found(kind, name) };
        let file_descriptor_proto = self.with_imports(*place);
        MessageResponse::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto })
    }

    /// A file and all that it imports, so that nobody has to ask for each.
    fn with_imports(&self, place: usize) -> Vec<Vec<u8>> {
        let (mut seen, mut waiting, mut found) = (BTreeSet::from([place]), vec![place], Vec::new());
        while let Some(file) = waiting.pop().and_then(|place| self.pruned.files.get(place)) {
            found.push(file.encoded.clone());
            waiting.extend(file.imports.iter().copied().filter(|import| seen.insert(*import)));
        }
        found
    }

    /// Extensions are pruned away, so a type that may be seen has none.
    fn no_extensions(&self, name: &str) -> MessageResponse {
        if !self.by_symbol.contains_key(name) {
            return not_found("type", name);
        }
        let (base_type_name, extension_number) = (name.to_owned(), Vec::new());
        MessageResponse::AllExtensionNumbersResponse(ExtensionNumberResponse {
            base_type_name,
            extension_number,
        })
    }
}

fn not_found(kind: &str, name: &str) -> MessageResponse {
    error(tonic::Code::NotFound, format!("{kind} {name:?} is not granted, or does not exist"))
}

fn error(code: tonic::Code, error_message: String) -> MessageResponse {
    MessageResponse::ErrorResponse(ErrorResponse { error_code: code as i32, error_message })
}

#[cfg(test)]
mod tests;
