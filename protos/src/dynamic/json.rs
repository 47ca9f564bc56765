//! Messages as protobuf's own JSON, both ways. Unknown fields refuse: a typo must not become an empty request.

use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage, SerializeOptions};

/// A text that is not the JSON form of a message.
#[derive(Debug, thiserror::Error)]
#[error("not a {message} in JSON")]
pub struct JsonError {
    message: String,
    source: serde_json::Error,
}

/// Reads a message from its JSON form; nothing may follow it.
pub fn from_json(message: MessageDescriptor, json: &str) -> Result<DynamicMessage, JsonError> {
    let name = message.full_name().to_owned();
    let mut input = serde_json::Deserializer::from_str(json);
    DynamicMessage::deserialize(message, &mut input)
        .and_then(|message| input.end().map(|()| message))
        .map_err(|source| JsonError { message: name, source })
}

/// Whether JSON shows fields that have no presence and stand at their default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defaults {
    /// Shown.
    Emit,
    /// Left out.
    Omit,
}

/// Writes a message in its JSON form, indented.
pub fn to_json(message: &DynamicMessage, defaults: Defaults) -> Result<String, JsonError> {
    let mut text = Vec::new();
    let options = SerializeOptions::new().skip_default_fields(defaults == Defaults::Omit);
    let error = |source| JsonError { message: message.descriptor().full_name().to_owned(), source };
    message
        .serialize_with_options(&mut serde_json::Serializer::pretty(&mut text), &options)
        .map_err(error)?;
    String::from_utf8(text).map_err(|e| error(serde::ser::Error::custom(e)))
}
