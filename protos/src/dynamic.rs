//! Calls without generated code: descriptor sets, messages as JSON, and a codec for both.
//!
//! Descriptor sets are the caller's own files; what arrives on the wire never changes them.

mod codec;
mod files;
mod json;
mod options;
mod prune;
mod undecoded;

use bytes::Bytes;
use prost_reflect::{DescriptorError, DescriptorPool, FileDescriptor, MethodDescriptor, ServiceDescriptor};

pub use self::{
    codec::DynamicCodec,
    files::{FileError, FileSet},
    json::{Defaults, JsonError, from_json, to_json, to_json_within},
    options::is_redacted,
    prune::{Pruned, PrunedFile},
    undecoded::{MOST_FIELDS, Undecoded, UndecodedError},
};
pub use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value,
};

use crate::{MethodName, MethodPattern};

/// Why a descriptor set was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DescriptorsError {
    /// Not an encoded `FileDescriptorSet`, or one that lacks a file it imports.
    #[error("not a complete FileDescriptorSet (protoc --include_imports --descriptor_set_out)")]
    Decode(#[source] DescriptorError),
    /// A service or method whose name no gRPC call could carry.
    #[error("method {0} has a name outside the grammar of gRPC paths")]
    Name(String),
    /// Sets that contradict each other.
    #[error("another descriptor set has a different file {0}")]
    Twice(String),
}

/// The services of one descriptor set, with the messages they need.
#[derive(Debug, Clone, Default)]
pub struct Descriptors(DescriptorPool);

impl Descriptors {
    /// Reads an encoded `FileDescriptorSet`, imports included.
    pub fn decode(bytes: &[u8]) -> Result<Self, DescriptorsError> {
        let set = Self(DescriptorPool::decode(bytes).map_err(DescriptorsError::Decode)?);
        let bad = set.descriptors().find(|method| name_of(method).is_none());
        bad.map_or(Ok(set.clone()), |method| Err(DescriptorsError::Name(method.full_name().to_owned())))
    }

    /// These and those of a further set; a file that is in both must be the same.
    pub fn with(mut self, bytes: &[u8]) -> Result<Self, DescriptorsError> {
        let further = Self::decode(bytes)?;
        let differs = |file: &FileDescriptor| {
            let known = self.0.get_file_by_name(file.name());
            known.is_some_and(|known| known.encode_to_vec() != file.encode_to_vec())
        };
        if let Some(file) = further.0.files().find(differs) {
            return Err(DescriptorsError::Twice(file.name().to_owned()));
        }
        self.0.decode_file_descriptor_set(bytes).map_err(DescriptorsError::Decode)?;
        Ok(self)
    }

    /// Every method of every service, in the order of the files.
    pub fn methods(&self) -> impl Iterator<Item = Method> + '_ {
        self.descriptors().filter_map(Method::new)
    }

    /// The method of this name.
    pub fn method(&self, name: &MethodName) -> Option<Method> {
        let service = self.0.get_service_by_name(name.service())?;
        service.methods().find(|method| method.name() == name.method()).and_then(Method::new)
    }

    /// The methods that a pattern stands for; none if the set has no such service or method.
    pub fn expand(&self, pattern: &MethodPattern) -> Vec<MethodName> {
        self.methods().map(|method| method.name).filter(|name| pattern.matches(name)).collect()
    }

    /// Full names of the services.
    pub fn services(&self) -> impl Iterator<Item = String> + '_ {
        self.0.services().map(|service| service.full_name().to_owned())
    }

    /// The message of this full name.
    pub fn message(&self, name: &str) -> Option<MessageDescriptor> {
        self.0.get_message_by_name(name)
    }

    /// The enumeration of this full name.
    pub fn enumeration(&self, name: &str) -> Option<EnumDescriptor> {
        self.0.get_enum_by_name(name)
    }

    fn descriptors(&self) -> impl Iterator<Item = MethodDescriptor> + '_ {
        self.0.services().flat_map(|service: ServiceDescriptor| service.methods().collect::<Vec<_>>())
    }
}

/// One method of a descriptor set.
#[derive(Debug, Clone)]
pub struct Method {
    name: MethodName,
    descriptor: MethodDescriptor,
}

impl Method {
    fn new(descriptor: MethodDescriptor) -> Option<Self> {
        Some(Self { name: name_of(&descriptor)?, descriptor })
    }

    /// `package.Service/Method`.
    pub fn name(&self) -> &MethodName {
        &self.name
    }

    /// Which sides stream.
    pub fn kind(&self) -> CallKind {
        match (self.descriptor.is_client_streaming(), self.descriptor.is_server_streaming()) {
            (false, false) => CallKind::Unary,
            (true, false) => CallKind::ClientStream,
            (false, true) => CallKind::ServerStream,
            (true, true) => CallKind::Bidirectional,
        }
    }

    /// The message it takes.
    pub fn input(&self) -> MessageDescriptor {
        self.descriptor.input()
    }

    /// The message it answers.
    pub fn output(&self) -> MessageDescriptor {
        self.descriptor.output()
    }

    /// A request message from its JSON form.
    pub fn request(&self, json: &str) -> Result<DynamicMessage, JsonError> {
        from_json(self.input(), json)
    }

    /// What it answered, by its bytes.
    pub fn answer(&self, bytes: Bytes) -> Undecoded {
        Undecoded::new(self.output(), bytes)
    }

    /// The codec for calling it.
    pub fn codec(&self) -> DynamicCodec {
        DynamicCodec::new(self.output())
    }
}

/// Which sides of a call stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// One message each way.
    Unary,
    /// Many requests, one answer.
    ClientStream,
    /// One request, many answers.
    ServerStream,
    /// Many each way.
    Bidirectional,
}

fn name_of(method: &MethodDescriptor) -> Option<MethodName> {
    format!("{}/{}", method.parent_service().full_name(), method.name()).parse().ok()
}

#[cfg(test)]
mod tests;
