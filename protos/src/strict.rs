//! Decoding of signed payloads: a field that this build does not know refuses the whole message.
//!
//! An approver must see everything that was signed; what cannot be shown is not accepted. Control messages of
//! tunnels are the one place that ignores unknown fields, and do not come here.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage, Value};

use crate::FILE_DESCRIPTOR_SET;

/// Why a payload was refused.
#[derive(Debug, thiserror::Error)]
pub enum StrictError {
    /// Not an encoding of the message.
    #[error("malformed {message}")]
    Malformed {
        /// The message's full name.
        message: &'static str,
        /// What the decoder said.
        source: prost::DecodeError,
    },
    /// Encoded with a field that this build does not know.
    #[error("unknown field {number} in {message}; it was written by a newer version")]
    UnknownField {
        /// Full name of the message that holds the field.
        message: String,
        /// The field's number.
        number: u32,
    },
    /// Named a message that is not ours.
    #[error("no message {0}")]
    UnknownMessage(&'static str),
}

/// Decodes `bytes` as the message named `name` (for example `postern.v1.Request`), refusing unknown fields at any depth.
pub fn decode<M: Message + Default>(name: &'static str, bytes: &[u8]) -> Result<M, StrictError> {
    let descriptor = POOL.get_message_by_name(name).ok_or(StrictError::UnknownMessage(name))?;
    let malformed = |source| StrictError::Malformed { message: name, source };
    let dynamic = DynamicMessage::decode(descriptor, bytes).map_err(malformed)?;
    refuse_unknown(&dynamic)?;
    M::decode(bytes).map_err(malformed)
}

/// Depth is bounded by the decoder's own recursion limit.
fn refuse_unknown(message: &DynamicMessage) -> Result<(), StrictError> {
    if let Some(field) = message.unknown_fields().next() {
        let message = message.descriptor().full_name().to_owned();
        return Err(StrictError::UnknownField { message, number: field.number() });
    }
    message.fields().try_for_each(|(_, value)| refuse_unknown_in(value))
}

fn refuse_unknown_in(value: &Value) -> Result<(), StrictError> {
    match value {
        Value::Message(inner) => refuse_unknown(inner),
        Value::List(items) => items.iter().try_for_each(refuse_unknown_in),
        Value::Map(entries) => entries.values().try_for_each(refuse_unknown_in),
        _ => Ok(()),
    }
}

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("our own descriptor set decodes; a test says so")
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1;

    const REQUEST: &str = "postern.v1.Request";

    #[test]
    fn accepts_what_it_knows() {
        let request = v1::Request { version: 1, reason: Some(v1::Reason::default()), ..Default::default() };
        let decoded: v1::Request = decode(REQUEST, &request.encode_to_vec()).unwrap();
        assert_eq!(decoded, request);
    }

    #[test]
    fn refuses_an_unknown_field_at_the_top() {
        let mut bytes = v1::Request { version: 1, ..Default::default() }.encode_to_vec();
        prost::encoding::string::encode(99, &"x".to_owned(), &mut bytes);
        let error = decode::<v1::Request>(REQUEST, &bytes).unwrap_err();
        assert!(matches!(error, StrictError::UnknownField { number: 99, .. }), "{error}");
    }

    #[test]
    fn refuses_an_unknown_field_in_a_nested_message() {
        let mut inner = Vec::new();
        prost::encoding::uint32::encode(77, &1, &mut inner);
        let mut bytes = Vec::new();
        prost::encoding::bytes::encode(8, &inner, &mut bytes);
        let error = decode::<v1::Request>(REQUEST, &bytes).unwrap_err();
        assert!(matches!(error, StrictError::UnknownField { number: 77, .. }), "{error}");
    }

    #[test]
    fn refuses_an_unknown_field_in_a_list() {
        let mut fact = Vec::new();
        prost::encoding::string::encode(9, &"x".to_owned(), &mut fact);
        let mut bytes = Vec::new();
        prost::encoding::bytes::encode(9, &fact, &mut bytes);
        assert!(decode::<v1::Registration>("postern.v1.Registration", &bytes).is_err());
    }

    #[test]
    fn refuses_garbage() {
        assert!(matches!(decode::<v1::Request>(REQUEST, &[0xff; 7]), Err(StrictError::Malformed { .. })));
    }
}
