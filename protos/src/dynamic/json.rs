//! Messages as protobuf's own JSON, both ways. Unknown fields refuse: a typo must not become an empty request.

use std::io;

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
    write(message, defaults, &mut text)?;
    String::from_utf8(text).map_err(|e| failed(message, serde::ser::Error::custom(e)))
}

/// As [`to_json`]; none if it takes more than `most` bytes, of which no more are made.
pub fn to_json_within(
    message: &DynamicMessage,
    defaults: Defaults,
    most: usize,
) -> Result<Option<String>, JsonError> {
    let mut text = Within { text: Vec::new(), most };
    match write(message, defaults, &mut text) {
        Err(error) if error.source.is_io() => return Ok(None),
        written => written?,
    }
    let text = String::from_utf8(text.text).map_err(|e| failed(message, serde::ser::Error::custom(e)))?;
    Ok(Some(text))
}

fn write(message: &DynamicMessage, defaults: Defaults, out: impl io::Write) -> Result<(), JsonError> {
    let options = SerializeOptions::new().skip_default_fields(defaults == Defaults::Omit);
    let written = message.serialize_with_options(&mut serde_json::Serializer::pretty(out), &options);
    written.map_err(|source| failed(message, source))
}

fn failed(message: &DynamicMessage, source: serde_json::Error) -> JsonError {
    JsonError { message: message.descriptor().full_name().to_owned(), source }
}

/// Takes no more than it may.
struct Within {
    text: Vec<u8>,
    most: usize,
}

impl io::Write for Within {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len() + bytes.len() > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    #[test]
    fn json_within_a_bound_is_all_of_it_or_none() {
        let list = DescriptorPool::global().get_message_by_name("google.protobuf.ListValue").unwrap();
        let message = from_json(list, r#"["one", 2, {"three": [true]}]"#).unwrap();
        let whole = to_json(&message, Defaults::Omit).unwrap();
        let within = |most| to_json_within(&message, Defaults::Omit, most).unwrap();
        assert_eq!(within(whole.len()).as_ref(), Some(&whole));
        assert_eq!(within(whole.len() - 1), None);
    }
}
